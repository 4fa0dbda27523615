"""The fixtures that authors get, whether or not the installed package says so already."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from statekeep.testing.hosts import close_shared_hosts
from statekeep.testing.plugin import async_machine, async_world, machine, world

__all__ = ["async_machine", "async_world", "machine", "world"]


@pytest.fixture(scope="module", autouse=True)
def _end_of_hosts() -> Iterator[None]:
    yield
    close_shared_hosts()


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """A run of pytest in a project of its own, whose plugin is the one of this checkout."""

    def run(*arguments: str) -> pytest.RunResult:
        plugin = ("-p", "no:statekeep", "-p", "statekeep.testing.plugin", "-p", "no:cacheprovider")
        return pytester.runpytest_subprocess(*plugin, *arguments)

    return run
