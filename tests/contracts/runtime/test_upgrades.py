"""What ports.runtime promises about migrations, with real hosts of both majors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from statekeep.domain.errors import (
    HostTakenDown,
    InvalidCode,
    MachineError,
    Overloaded,
    TooLarge,
    UpgradeFailed,
)
from statekeep.domain.machine import MachineVersion
from statekeep.domain.migration import Losses, Upgraded
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.step import Stepped
from statekeep.domain.timer import apply_timer_ops
from statekeep.ports.runtime import HostLost, Leaving, MigrationCode
from tests.contracts.runtime.conftest import Bench, sent, view_of

MACHINE = """
import { createMachine } from "npm:xstate@%(major)d";
export default createMachine({
  predictableActionArguments: true,
  id: "m",
  initial: "idle",
  context: { public: { n: 1 } },
  states: {
    idle: { on: { go: "%(busy)s" } },
    %(busy)s: { after: { 60000: "idle" }, on: { stop: "idle" } },
  },
});
export const allowRead = () => true;
export const allowWrite = () => true;
"""
RENAME = """
export const upgradeState = (path) => { console.log("asked about", path.join(".")); return [path[0] === "busy" ? "working" : path[0]]; };
export const upgradeContext = (before, after, context) => ({ ...context, public: { n: context.public.n + 1 } });
"""
ME = OrganizationId("org_a")


def machine(bench: Bench, *, major: int = 5, busy: str = "busy") -> MachineVersion:
    version = bench.version(MACHINE % {"major": major, "busy": busy})
    # As publishing told.
    return replace(version, xstate_major=major)


def migration(code: str, name: str = "mig_a", loads: list[str] | None = None) -> MigrationCode:
    async def load() -> bytes:
        if loads is not None:
            loads.append(name)
        return code.encode()

    return MigrationCode(name, load)


async def busy_instance(bench: Bench, version: MachineVersion) -> Leaving:
    """One that waits with a timer pending."""
    await bench.created(version)
    [outcome] = await bench.step(version, sent("go"))
    assert isinstance(outcome, Stepped)
    timers = apply_timer_ops({}, outcome.timer_ops, next_seq=3, now_ms=0).set
    return Leaving(version, bench.standing[InstanceId(1)], timers)


def snapshot_of(upgraded: Upgraded) -> Any:
    return json.loads(upgraded.snapshot)


@pytest.mark.parametrize(("start", "target"), [(5, 5), (4, 4), (4, 5), (5, 4)])
async def test_an_instance_is_carried_over(bench: Bench, start: int, target: int) -> None:
    """With its timer under the new name, and goes on in the new version from what was answered."""
    old, new = machine(bench, major=start), machine(bench, major=target, busy="working")
    leaving = await busy_instance(bench, old)
    upgraded = await bench.runtime.upgrade(leaving, new, [migration(RENAME)])
    assert snapshot_of(upgraded)["value"] == "working"
    assert json.loads(upgraded.view) == {
        "state": "working",
        "publicContext": {"n": 2},
        "tags": [],
        "done": False,
    }
    (timer,) = upgraded.renamed
    assert timer.seq == 3
    assert json.loads(timer.after) == {"path": ["working"], "n": 0, "delay": 60000}
    assert (upgraded.cancelled, upgraded.started, upgraded.lost) == ((), (), Losses())
    standing = leaving.standing._replace(
        revision=leaving.standing.revision + 1, snapshot=upgraded.snapshot
    )
    bench.standing[InstanceId(1)] = standing
    name = json.loads(timer.event)["type"]
    [fired] = await bench.step(new, sent(name, auth=None))
    assert view_of(fired)["state"] == "idle"


@pytest.mark.parametrize("major", [4, 5])
async def test_the_same_code_changes_nothing(bench: Bench, major: int) -> None:
    """But the version: the snapshot is the same to the byte, and no timer moves."""
    old, new = machine(bench, major=major), machine(bench, major=major)
    leaving = await busy_instance(bench, old)
    code = "export const upgradeState = (p) => p; export const upgradeContext = (b, a, c) => c;"
    upgraded = await bench.runtime.upgrade(leaving, new, [migration(code), migration(code, "b")])
    assert upgraded.snapshot == leaving.standing.snapshot
    assert upgraded[2:] == Upgraded(b"", b"")[2:]


async def test_what_migrations_print_is_the_instances(bench: Bench) -> None:
    """And the host holds nothing of the instance afterwards."""
    old, new = machine(bench), machine(bench, busy="working")
    leaving = await busy_instance(bench, old)
    await bench.runtime.upgrade(leaving, new, [migration(RENAME)])
    assert (InstanceId(1), 1, "asked about busy") in bench.listener.logs
    with pytest.raises(HostLost):
        await bench.runtime.save(new, InstanceId(1))
    # The old version still has it.
    [stopped] = await bench.step(old, sent("stop"))
    assert view_of(stopped)["state"] == "idle"


async def test_code_goes_to_a_host_once(bench: Bench) -> None:
    """And again to the next host."""
    old, new = machine(bench), machine(bench, busy="working")
    leaving = await busy_instance(bench, old)
    loads: list[str] = []
    path = [migration(RENAME, "mig_a", loads), migration(RENAME, "mig_b", loads)]
    for _ in range(3):
        upgraded = await bench.runtime.upgrade(leaving, new, path)
        assert snapshot_of(upgraded)["context"] == {"public": {"n": 3}}
    assert loads == ["mig_a", "mig_b"]
    host = bench.runtime.pool.warm(new.id)
    assert host is not None
    host.process.kill("a test")
    await host.process.ended()
    await bench.runtime.upgrade(leaving, new, path)
    assert loads == ["mig_a", "mig_b"] * 2


async def test_a_host_that_has_forgotten_code_is_given_it_again(bench: Bench) -> None:
    """A wrong belief costs a round trip, no more."""
    old, new = machine(bench), machine(bench, busy="working")
    leaving = await busy_instance(bench, old)
    await bench.runtime.describe(new)
    host = bench.runtime.pool.warm(new.id)
    assert host is not None
    host.migrations.add("mig_a")
    upgraded = await bench.runtime.upgrade(leaving, new, [migration(RENAME)])
    assert snapshot_of(upgraded)["value"] == "working"


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        ("upgradeState = () => { throw new Error('no'); }", "migration-error", "failed: no"),
        ("upgradeState = () => ['nowhere']", "no-such-state", '"nowhere"'),
        ("upgradeState = (", "migration-error", "cannot be loaded"),
    ],
)
async def test_failures_say_why(bench: Bench, code: str, reason: str, message: str) -> None:
    """In a way that programs can tell apart."""
    version = machine(bench)
    leaving = await busy_instance(bench, version)
    whole = f"export const {code}; export const upgradeContext = (b, a, c) => c;"
    with pytest.raises(UpgradeFailed, match=message) as raised:
        await bench.runtime.upgrade(leaving, machine(bench), [migration(whole)])
    assert raised.value.reason == reason
    assert raised.value.path == (("nowhere",) if reason == "no-such-state" else None)
    if "throw" in code:
        assert "migration.js:1" in str(raised.value.stack)


async def test_a_context_may_not_grow_beyond_its_bound(bench: Bench) -> None:
    """As in a transition."""
    leaving = await busy_instance(bench, machine(bench))
    code = "export const upgradeState = (p) => p; export const upgradeContext = () => ({ a: 'x'.repeat(400001) });"
    with pytest.raises(TooLarge):
        await bench.runtime.upgrade(leaving, machine(bench), [migration(code)])


async def test_a_migration_that_loops_takes_only_its_host_along(bench: Bench) -> None:
    """And is to blame for it."""
    leaving = await busy_instance(bench, machine(bench))
    code = "export const upgradeState = () => { for (;;); }; export const upgradeContext = (b, a, c) => c;"
    with pytest.raises(MachineError, match="took its host process down"):
        await bench.runtime.upgrade(leaving, machine(bench), [migration(code)])


async def test_a_migration_reaches_nobody(bench: Bench) -> None:
    """What it begins elsewhere belongs to no transition, so it never happens."""
    leaving = await busy_instance(bench, machine(bench))
    code = """
export const upgradeState = (path) => { fetch("http://example.com/").catch((error) => console.log(String(error))); return path; };
export const upgradeContext = (before, after, context) => context;"""
    new = machine(bench)
    await bench.runtime.upgrade(leaving, new, [migration(code)])
    await bench.runtime.describe(new)
    upgraded = await bench.runtime.upgrade(leaving, new, [migration(code)])
    assert snapshot_of(upgraded)["value"] == "busy"
    assert any("given up" in text for _, _, text in bench.listener.logs)


async def test_a_version_that_cannot_be_loaded_any_more_can_be_left(bench: Bench) -> None:
    """Only what it looked like is not known then."""
    old = machine(bench)
    leaving = await busy_instance(bench, old)
    host = bench.runtime.pool.warm(old.id)
    assert host is not None
    host.process.kill("a test")
    await host.process.ended()
    bench.code[old.id] = b"not a module ("
    upgraded = await bench.runtime.upgrade(
        leaving, machine(bench, busy="working"), [migration(RENAME)]
    )
    assert snapshot_of(upgraded)["value"] == "working"
    assert len(upgraded.renamed) == 1


async def test_it_is_not_loaded_anew_for_each_instance(bench: Bench) -> None:
    """Many may leave it at once."""
    old, new = machine(bench), machine(bench, busy="working")
    leaving = await busy_instance(bench, old)
    host = bench.runtime.pool.warm(old.id)
    assert host is not None
    host.process.kill("a test")
    await host.process.ended()
    bench.code[old.id] = b"not a module ("
    await bench.runtime.upgrade(leaving, new, [migration(RENAME)])
    # Whoever asked for it now would fail.
    del bench.code[old.id]
    upgraded = await bench.runtime.upgrade(leaving, new, [migration(RENAME)])
    assert snapshot_of(upgraded)["value"] == "working"


async def test_without_a_place_there_is_no_upgrade(make_bench: Any) -> None:
    """Come back later."""
    bench = make_bench(hosts_max=1, pinned_max=0)
    leaving = Leaving(machine(bench), None, ())  # type: ignore[arg-type]
    with pytest.raises(Overloaded):
        await bench.runtime.upgrade(leaving, machine(bench), [migration(RENAME)])


@pytest.mark.parametrize("major", [4, 5])
async def test_a_version_is_described(bench: Bench, major: int) -> None:
    """Its states in document order, from memory when it is asked again."""
    version = machine(bench, major=major)
    outline = await bench.runtime.describe(version)
    assert json.loads(outline) == {
        "major": major,
        "states": [
            {"path": [], "type": "compound", "initial": "idle"},
            {"path": ["idle"], "type": "atomic"},
            {"path": ["busy"], "type": "atomic", "after": [{"n": 0, "delay": 60000}]},
        ],
    }
    bench.code[version.id] = b"gone"
    host = bench.runtime.pool.warm(version.id)
    assert host is not None
    host.process.kill("a test")
    assert await bench.runtime.describe(version) == outline


async def test_a_migration_is_looked_at_before_it_is_published(bench: Bench) -> None:
    """It exports two functions and imports nothing."""
    await bench.runtime.inspect_migration(ME, RENAME.encode())
    for code, message in (
        ("export const upgradeState = () => [];", "does not export upgradeContext"),
        ("export const upgradeState = 1, upgradeContext = 1;", "not as a function"),
        (
            RENAME.replace("= (path) =>", "= async (path) =>"),
            "as an async function: it cannot wait",
        ),
        (f'import "npm:xstate@5";{RENAME}', "cannot import anything"),
        ("throw new Error('at once');", "at once"),
        ("for (;;);", "took longer than"),
    ):
        with pytest.raises(InvalidCode, match=message) as raised:
            await bench.runtime.inspect_migration(ME, code.encode())
        assert raised.value.parameter == "code"


async def test_a_rehearsal_answers_as_the_upgrade_would(bench: Bench) -> None:
    """And its host is not the version's own: what kills the one leaves the other alone."""
    old, new = machine(bench), machine(bench, busy="working")
    leaving = await busy_instance(bench, old)
    rehearsed = await bench.runtime.rehearse(leaving, new, [migration(RENAME)])
    assert bench.runtime.pool.warm(new.id) is None
    assert rehearsed == await bench.runtime.upgrade(leaving, new, [migration(RENAME)])
    host = bench.runtime.pool.warm(new.id)
    endless = "export const upgradeState = () => { for (;;) {} };" + RENAME.splitlines()[2]
    with pytest.raises(HostTakenDown):
        await bench.runtime.rehearse(leaving, new, [migration(endless, "mig_endless")])
    assert host is not None
    assert bench.runtime.pool.warm(new.id) is host
    assert host.is_alive


async def test_what_a_rehearsal_prints_belongs_to_no_instance(bench: Bench) -> None:
    """Nor does it reach one that is here."""
    old, new = machine(bench), machine(bench, busy="working")
    leaving = await busy_instance(bench, old)
    await bench.runtime.rehearse(leaving, new, [migration(RENAME)])
    assert (None, 1, "asked about busy") in bench.listener.logs
