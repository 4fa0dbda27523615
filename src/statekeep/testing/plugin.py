"""The pytest plugin. It does nothing until a test asks for one of its fixtures, and imports nothing before."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from statekeep.testing.asynchronous import AsyncMachine, AsyncWorld
    from statekeep.testing.blocking import Machine, World


@pytest.fixture
def world() -> Iterator[World]:
    """A world of the test's own, with nothing in it."""
    from statekeep.testing.blocking import World

    with World() as world:
        yield world


@pytest.fixture
def machine(world: World, request: pytest.FixtureRequest) -> Callable[..., Machine]:
    """Loads machines into the test's world: `machine("door.ts")`, a path from the test's folder or from that of the project."""

    def load(source: str | Path | None = None, **options: str) -> Machine:
        return world.machine(_found(source, request), **options)

    return load


@pytest.fixture
def async_world() -> Iterator[AsyncWorld]:
    """The same for tests that are coroutines."""
    from statekeep.testing.asynchronous import AsyncWorld

    world = AsyncWorld()
    yield world
    world.close_now()


@pytest.fixture
def async_machine(
    async_world: AsyncWorld, request: pytest.FixtureRequest
) -> Callable[..., Awaitable[AsyncMachine]]:
    """The same for tests that are coroutines: `await async_machine("door.ts")`."""

    async def load(source: str | Path | None = None, **options: str) -> AsyncMachine:
        return await async_world.machine(_found(source, request), **options)

    return load


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Below a test that failed: how each of its instances came to be where it is, and what their code printed."""
    report = yield
    if report.failed:
        for name in ("world", "async_world"):
            world = getattr(item, "funcargs", {}).get(name)
            story = getattr(world, "story", None)
            # The test may have a fixture of its own of that name.
            if isinstance(story, str) and story:
                report.sections.append(("instances", story))
    return report


def pytest_unconfigure() -> None:
    # Whoever has used no world has not imported this either.
    hosts = sys.modules.get("statekeep.testing.hosts")
    if hosts is not None:
        hosts.close_shared_hosts()


def _found(source: str | Path | None, request: pytest.FixtureRequest) -> Path | None:
    """Raises FileNotFoundError where there is no such file."""
    if source is None:
        return None
    beside, in_project = request.path.parent / source, request.config.rootpath / source
    for path in (beside, in_project):
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is no machine file {beside}, and no {in_project}")
