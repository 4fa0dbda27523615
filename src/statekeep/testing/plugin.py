"""The pytest plugin. It does nothing until a test asks for one of its fixtures or for paths, and imports nothing before."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Generator, Iterator
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:
    from statekeep.testing.asynchronous import AsyncMachine, AsyncWorld
    from statekeep.testing.blocking import Machine, World
    from statekeep.testing.cases import Path
    from statekeep.testing.reporting import CoverageReport

ID_LENGTH_MAX: Final = 120
"""Characters of a path's id. Where paths begin alike, pytest adds a number."""

_PATHS: Final = "statekeep_paths"
_REPORT: Final = pytest.StashKey["CoverageReport"]()


@pytest.fixture
def world() -> Iterator[World]:
    """A world of the test's own, with nothing in it."""
    from statekeep.testing.blocking import World

    with World() as world:
        yield world


@pytest.fixture
def machine(world: World, request: pytest.FixtureRequest) -> Callable[..., Machine]:
    """Loads machines into the test's world: `machine("door.ts")`, a path from the test's folder or from that of the project."""

    def load(source: str | FilePath | None = None, **options: str) -> Machine:
        return world.machine(_of(source, request), **options)

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

    async def load(source: str | FilePath | None = None, **options: str) -> AsyncMachine:
        return await async_world.machine(_of(source, request), **options)

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


def _of(source: str | FilePath | None, request: pytest.FixtureRequest) -> FilePath | None:
    return None if source is None else _found(source, request.path.parent, request.config)


# Paths


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case for each path that a test asks for with `statekeep.testing.paths`."""
    marker = metafunc.definition.get_closest_marker(_PATHS)
    if marker is None:
        return
    from statekeep.testing.cases import paths_through
    from statekeep.testing.handles import FOR_AUTHORS

    if "path" not in metafunc.fixturenames:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid} asks for paths, and takes none: add the argument `path`"
        )
    source, options = marker.args
    file = _found(source, metafunc.definition.path.parent, metafunc.config)
    try:
        found = paths_through(file, **options)
    except FOR_AUTHORS as error:
        raise pytest.Collector.CollectError(str(error)) from None
    metafunc.parametrize("path", found, ids=[path.label[:ID_LENGTH_MAX] for path in found])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """A path on which the machine throws fails the test, whatever that looks at."""
    if pyfuncitem.get_closest_marker(_PATHS) is not None:
        path = cast("Path", pyfuncitem.funcargs["path"])
        path.cover()
        if path.failure is not None:
            pytest.fail(str(path.failure), pytrace=False)


# Coverage


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("statekeep", "tests of state machines")
    what = "fail where less of the states or transitions of a machine file is covered, in percent"
    group.addoption("--statekeep-coverage-min", type=float, metavar="PERCENT", help=what)
    parser.addini("statekeep_coverage_min", what)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_PATHS}(file, options): made by statekeep.testing.paths")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist is done: take over what its tests have covered."""
    entries = getattr(node, "workeroutput", {}).get(_PATHS)
    if entries:
        _report_of(node.config).add_json(entries)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    hosts = sys.modules.get("statekeep.testing.hosts")
    if hosts is not None:
        for file, coverage in hosts.shared_coverage():
            _report_of(config).add(file, coverage)
    report = config.stash.get(_REPORT, None)
    if report is None:
        return
    if hasattr(config, "workeroutput"):
        config.workeroutput[_PATHS] = report.to_json()
    elif report.too_little(_percent_min(config)) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    report = config.stash.get(_REPORT, None)
    if report is None or terminalreporter.verbosity < 0:
        return
    terminalreporter.section("coverage of machines")
    for line in report.lines(show_all=terminalreporter.verbosity > 0):
        terminalreporter.write_line(line)
    for line in report.too_little(_percent_min(config)):
        terminalreporter.write_line(line, red=True)


def pytest_unconfigure() -> None:
    # Whoever has used no machine has not imported this either.
    hosts = sys.modules.get("statekeep.testing.hosts")
    if hosts is not None:
        hosts.close_shared_hosts()


def _report_of(config: pytest.Config) -> CoverageReport:
    from statekeep.testing.reporting import CoverageReport

    return config.stash.setdefault(_REPORT, CoverageReport())


def _percent_min(config: pytest.Config) -> float:
    given = config.getoption("--statekeep-coverage-min")
    return float(config.getini("statekeep_coverage_min") or 0) if given is None else given


def _found(source: str | FilePath, folder: FilePath, config: pytest.Config) -> FilePath:
    """Raises FileNotFoundError where there is no such file."""
    beside, in_project = folder / source, config.rootpath / source
    for path in (beside, in_project):
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is no machine file {beside}, and no {in_project}")
