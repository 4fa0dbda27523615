"""Dry runs: what they find, and that they change nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from statekeep.application.dry_running import DryRunState
from statekeep.application.dry_runs import DryRunRequest
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
    Overloaded,
    TooLarge,
    UpgradeFailed,
)
from statekeep.domain.names import InstanceName, VersionId
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
    """The report has what was found until then, and no more hosts die of those that were under way."""
    for n in range(limits.DRY_RUNS_AT_ONCE):
        await world.create(f"n{n}")
    world.runtime.upgrade_error = HostTakenDown("it died")
    world.runtime.careful = asyncio.Lock()
    run = await dry_run(world)
    assert run.state is DryRunState.STOPPED
    assert "host process" in run.why
    assert len(world.runtime.upgrades) == limits.HOST_DEATHS_MAX
    assert (run.report.failed, run.report.done) == (limits.HOST_DEATHS_MAX, limits.HOST_DEATHS_MAX)
    assert run.total == limits.DRY_RUNS_AT_ONCE + 2


async def test_a_busy_server_ends_it(world):
    """Once, with nothing under way that would still report."""
    world.runtime.upgrade_error = Overloaded("busy", retry_after_seconds=0)
    run = await dry_run(world)
    assert (run.state, run.why) == (
        DryRunState.STOPPED,
        "the server was too busy; try again later",
    )
    assert run.report.done == 0
    tried = len(world.runtime.upgrades)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(world.runtime.upgrades) == tried


async def test_a_machine_that_is_deleted_meanwhile_ends_it(world, monkeypatch):
    """Its instances went before it."""
    portion = world.store.selected_instances

    async def read_just_before(*args, **named):
        found = await portion(*args, **named)
        for name in ("a", "b"):
            await world.instances.delete(CALLER, MACHINE, InstanceName(name))
        machine = await world.store.machine(ORGANIZATION, MACHINE)
        await world.store.delete_machine(machine.id)
        return found

    monkeypatch.setattr(world.store, "selected_instances", read_just_before)
    run = await dry_run(world, SelectionText())
    assert (run.state, run.why) == (DryRunState.STOPPED, "the machine was deleted")


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


async def test_the_last_ones_are_remembered(world):
    """Of each organization, and of all together."""
    first = await dry_run(world)
    for _ in range(limits.DRY_RUNS_KEPT - 1):
        last = await dry_run(world)
    assert await world.dry_runs.get(CALLER, MACHINE, first.id) is first
    await dry_run(world)
    with pytest.raises(NotFound):
        await world.dry_runs.get(CALLER, MACHINE, first.id)
    assert await world.dry_runs.get(CALLER, MACHINE, last.id) is last


async def test_all_organizations_share_what_is_remembered(world, monkeypatch):
    """However many there are."""
    monkeypatch.setattr("statekeep.application.dry_runs.DRY_RUNS_KEPT_IN_ALL", 1)
    first = await dry_run(world)
    await dry_run(world)
    with pytest.raises(NotFound):
        await world.dry_runs.get(CALLER, MACHINE, first.id)


async def test_few_wait_for_their_turn(world, monkeypatch):
    """One of an organization runs, some wait, and no more are taken on."""
    monkeypatch.setattr("statekeep.application.dry_runs.DRY_RUN_WAIT", -limits.DRY_RUN_WAIT)
    world.runtime.upgrade_gate.clear()
    runs = [await dry_run(world) for _ in range(limits.DRY_RUNS_UNFINISHED_MAX)]
    with pytest.raises(InvalidState, match="not over"):
        await dry_run(world)
    await until(lambda: runs[0].total == 2)
    assert [run.total for run in runs[1:]] == [None] * (len(runs) - 1)
    await world.dry_runs.cancel(CALLER, MACHINE, runs[1].id)
    monkeypatch.setattr("statekeep.application.dry_runs.DRY_RUNS_UNFINISHED_IN_ALL_MAX", 1)
    with pytest.raises(Overloaded):
        await dry_run(world)


async def test_none_runs_for_ever(world, monkeypatch):
    """One that takes too long has what was found until then."""
    monkeypatch.setattr("statekeep.application.dry_runs.DRY_RUN_TIME_MAX", timedelta(0))
    world.runtime.upgrade_gate.clear()
    run = await dry_run(world)
    assert run.state is DryRunState.STOPPED
    assert "took too long" in run.why


async def test_a_report_is_bounded(world):
    """In kinds and in the length of what it names; what is beyond is counted."""
    path = ("x" * limits.DRY_RUN_KIND_LENGTH_MAX, "y")
    world.runtime.upgrade_error = UpgradeFailed("no", reason="no-such-state", path=path)
    report = (await dry_run(world)).report
    assert (list(report.unmapped), report.others) == ([], 2)
    ((failure, group),) = report.failures
    assert (failure.message, group.count) == ("no", 2)


async def test_an_instance_stands_as_an_example_once(world):
    """However many alike findings it has."""
    for _ in range(3):
        await world.send("SET", name="a", id="vanishing", delay=1_000, event="E")
    ((_, group),) = (await dry_run(world)).report.timers_cancelled
    assert (group.count, group.samples) == (3, ["a"])


async def test_what_is_finished_by_it_loses_its_timers(world):
    """And tells its parent, which is no timer."""
    await world.send("SET", name="a", id="old", delay=1_000, event="E")
    world.runtime.ends_upgrades = True
    report = (await dry_run(world)).report
    assert [kind for kind, _ in report.timers_cancelled] == ["old"]
    assert (list(report.timers_renamed), list(report.timers_started)) == ([], [])
