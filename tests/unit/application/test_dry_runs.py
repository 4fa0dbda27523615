"""Dry runs: what they find, and that they change nothing."""

from __future__ import annotations

import pytest

from statekeep.application.dry_runs import DryRunRequest, DryRunState
from statekeep.application.selections import SelectionText
from statekeep.domain import limits
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import (
    HostTakenDown,
    InvalidCode,
    InvalidParameter,
    InvalidState,
    MissingScope,
    NoMigrationPath,
    NotFound,
    TooLarge,
    UpgradeFailed,
)
from statekeep.domain.names import VersionId
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, ORGANIZATION, World, until

V2 = VersionId("ver_2")
FROM_1 = SelectionText(VersionId("ver_1"))


@pytest.fixture
async def world():
    """Two instances of the first version, and a second version with a migration."""
    world = await World(ToyRuntime()).set_up()
    await world.add_version("ver_2")
    await world.add_migration("ver_1", "ver_2")
    for name in ("a", "b"):
        await world.create(name)
    yield world
    world.runtime.upgrade_gate.set()
    await world.dry_runs.close()
    await world.instances.drain(1)


async def dry_run(world, selection=FROM_1, target=V2, codes=(), caller=CALLER):
    request = DryRunRequest(target, selection, codes)
    return await world.dry_runs.begin(caller, MACHINE, request)


async def test_it_tells_who_fits(world):
    """And changes nothing: no commit, no wish, no resident in another version."""
    commits = len(world.store.commits)
    run = await dry_run(world)
    assert (run.state, run.total, run.report.fit, run.report.failed) == (
        DryRunState.DONE,
        2,
        2,
        0,
    )
    assert sorted(world.runtime.rehearsals) == ["a", "b"]
    assert len(world.store.commits) == commits
    assert await world.history("a") == ["xstate.init"]
    assert world.resident("a").version.id == "ver_1"


async def test_failures_are_told_apart(world):
    """By reason and message, each with some names; a state that is not there is named."""
    for n in range(10):
        await world.create(f"n{n}")
    error = UpgradeFailed("no x", reason="no-such-state", path=("x",))
    world.runtime.upgrade_error = error
    run = await dry_run(world)
    ((failure, group),) = run.report.failures
    assert (failure.reason, failure.message) == ("no-such-state", "no x")
    assert (group.count, len(group.samples)) == (12, limits.DRY_RUN_SAMPLES)
    ((unmapped, _),) = run.report.unmapped
    assert (unmapped.path, unmapped.version) == (("x",), "ver_1")


async def test_timers_are_told(world):
    """Which would get another name, be cancelled or begin."""
    await world.send("SET", name="a", id="old", delay=1_000, event="E")
    await world.send("SET", name="a", id="vanishing", delay=1_000, event="E")
    report = (await dry_run(world)).report
    assert [kind for kind, _ in report.timers_renamed] == [("old", "renamed")]
    assert [kind for kind, _ in report.timers_cancelled] == ["vanishing"]
    assert [kind for kind, _ in report.timers_started] == ["entered"]
    assert len(world.resident("a").timers) == 2


async def test_code_may_be_sent_along(world):
    """In place of what is published; it has to say from where, and to be a migration."""
    run = await dry_run(world, codes=["one", "two"])
    assert run.report.fit == 2
    assert len(world.runtime.upgrades[0][2]) == 2
    assert (await dry_run(world, codes=["fail"])).report.failed == 2
    with pytest.raises(InvalidParameter, match="which version"):
        await dry_run(world, SelectionText(), codes=["one"])
    with pytest.raises(InvalidCode):
        await dry_run(world, codes=["broken"])
    with pytest.raises(TooLarge):
        await dry_run(world, codes=["x" * (limits.CODE_BYTES_MAX + 1)])
    with pytest.raises(InvalidParameter):
        await dry_run(world, codes=["x"] * (limits.DRY_RUN_CODES_MAX + 1))


async def test_without_a_version_to_start_from(world):
    """Each by its own path; those that are there need none."""
    await world.add_version("ver_3")
    await world.desire("ver_2", name="a")
    await world.send("x", name="a")
    report = (await dry_run(world, SelectionText())).report
    assert (report.fit, report.unchanged, report.failed) == (1, 1, 0)
    report = (await dry_run(world, SelectionText(), VersionId("ver_3"))).report
    assert {failure.reason for failure, _ in report.failures} == {"no-migration-path"}


async def test_what_cannot_be_is_refused(world):
    """Before anything runs."""
    await world.add_version("ver_3")
    with pytest.raises(NoMigrationPath):
        await dry_run(world, target=VersionId("ver_3"))
    with pytest.raises(InvalidParameter):
        await dry_run(world, target=VersionId("ver_9"))
    with pytest.raises(InvalidParameter):
        await dry_run(world, SelectionText(V2))
    for scopes in ({"instances.admin"}, {"machine-versions.write"}):
        some = AuthContext(ORGANIZATION, None, frozenset(scopes), b"{}")
        with pytest.raises(MissingScope):
            await dry_run(world, caller=some)
    assert world.runtime.rehearsals == []


async def test_hosts_that_die_end_it(world):
    """The report has what was found until then."""
    for n in range(limits.DRY_RUNS_AT_ONCE):
        await world.create(f"n{n}")
    world.runtime.upgrade_error = HostTakenDown("it died")
    run = await dry_run(world)
    assert run.state is DryRunState.STOPPED
    assert "host process" in run.why
    assert run.report.done == limits.DRY_RUNS_AT_ONCE


async def test_a_long_one_is_followed_by_its_id(world, monkeypatch):
    """And may be ended, which forgets it."""
    monkeypatch.setattr("statekeep.application.dry_runs.DRY_RUN_WAIT", -limits.DRY_RUN_WAIT)
    world.runtime.upgrade_gate.clear()
    run = await dry_run(world)
    assert run.state.value == "running"
    await until(lambda: run.total == 2)
    world.runtime.upgrade_gate.set()
    await until(lambda: run.state is DryRunState.DONE)
    assert await world.dry_runs.get(CALLER, MACHINE, run.id) is run
    await world.dry_runs.cancel(CALLER, MACHINE, run.id)
    with pytest.raises(NotFound):
        await world.dry_runs.get(CALLER, MACHINE, run.id)


async def test_the_last_ones_are_remembered(world, monkeypatch):
    """An organization that has as many under way gets no more."""
    first = await dry_run(world)
    for _ in range(limits.DRY_RUNS_KEPT):
        await dry_run(world)
    with pytest.raises(NotFound):
        await world.dry_runs.get(CALLER, MACHINE, first.id)
    monkeypatch.setattr("statekeep.application.dry_runs.DRY_RUN_WAIT", -limits.DRY_RUN_WAIT)
    world.runtime.upgrade_gate.clear()
    for _ in range(limits.DRY_RUNS_KEPT):
        await dry_run(world)
    with pytest.raises(InvalidState):
        await dry_run(world)
