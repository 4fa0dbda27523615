"""Migrations tried out, written and applied to many instances, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.deno import run_deno
from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.server import RunningServer

SHOP = (
    OPEN_TO_ALL
    + """
const slow = fromPromise(() => new Promise((resolve) => setTimeout(resolve, 60_000)));
export default createMachine({
  id: "%(id)s",
  initial: "open",
  context: ({ input }) => ({ public: { n: 0 }, ...input }),
  states: {
    open: { on: { pay: "%(paid)s", work: "working"%(pack)s } },
    %(paid)s: { after: { 3600000: "open" } },
    working: { invoke: { src: slow }, on: { stop: "open" } },
    %(packing)s
  },
});
"""
)
OLD = SHOP % {"id": "old", "paid": "paid", "pack": ', pack: "packing"', "packing": "packing: {},"}
NEW = SHOP % {"id": "new", "paid": "payed", "pack": "", "packing": ""}
IDENTITY = """
export const upgradeState = (path) => path;
export const upgradeContext = (before, after, context) => context;
"""
RENAME = """
export const upgradeState = ([state]) => [state === "paid" ? "payed" : state];
export const upgradeContext = (before, after, context) => {
  if (context.broken) throw new Error("it is broken");
  return { ...context, public: { n: context.public.n + 1 } };
};
"""


@pytest.fixture
def user(running_server: RunningServer) -> Iterator[Deployment]:
    with deployment(running_server) as user:
        yield user


@pytest.fixture
def old(user: Deployment) -> str:
    """The version of four instances: `open`, `paid`, `packing`, and `broken`, which is open."""
    old = user.deploy("shop", OLD)
    for name in ("open", "paid", "packing"):
        user.create("shop", name)
    user.create("shop", "broken", context={"broken": True})
    user.sent("shop", "paid", {"type": "pay"})
    user.sent("shop", "packing", {"type": "pack"})
    return old


def test_publishing_tells_the_blast_radius(user: Deployment, old: str) -> None:
    """The states that instances are in and that the new version lacks; asked for again it is the same."""
    published = user.new_version_of("shop", NEW)
    new = published["machineVersionId"]
    radius = published["blastRadius"]
    unmapped = sorted(radius.pop("unmapped"), key=lambda state: str(state["state"]))
    assert radius == {"instances": 2, "checked": 4, "isComplete": True}
    assert unmapped == [
        {"state": ["packing"], "fromMachineVersionId": old, "instances": 1},
        {"state": ["paid"], "fromMachineVersionId": old, "instances": 1},
    ]
    again = user.blast_radius("shop", new)
    assert (again["instances"], again["checked"], again["isComplete"]) == (2, 4, True)
    assert user.blast_radius("shop", old)["unmapped"] == []


def test_a_stub_compiles_and_carries_what_both_have(
    user: Deployment, old: str, tmp_path: Path
) -> None:
    """It asks about exactly the states that are gone, with a guess where one went."""
    new = user.new_version_of("shop", NEW)["machineVersionId"]
    stub = user.stub("shop", old, new)
    assert stub.count("() => todo(") == 2
    assert '// Perhaps ["payed"]' in stub
    source = tmp_path / "migration.ts"
    source.write_text(stub)
    run_deno("check", "--no-config", "--no-lock", str(source))
    code = run_deno("bundle", "--quiet", "--no-config", "--no-lock", str(source))
    report = user.dry_run("shop", fromMachineVersionId=old, toMachineVersionId=new, code=code)
    assert (report["state"], report["total"], report["fit"], report["failed"]) == ("done", 4, 2, 2)
    messages = {failure["message"]: failure["samples"] for failure in report["failures"]}
    assert {name for names in messages.values() for name in names} == {"paid", "packing"}
    assert all("TODO: say where state" in message for message in messages)


def test_a_dry_run_of_code_that_is_not_uploaded(user: Deployment, old: str) -> None:
    """Tells what would fit, fail, move and be lost, and changes nothing."""
    new = user.new_version_of("shop", NEW)["machineVersionId"]
    before = [user.admin("shop", name) for name in ("open", "paid", "packing", "broken")]
    report = user.dry_run("shop", fromMachineVersionId=old, toMachineVersionId=new, code=RENAME)
    assert (report["total"], report["done"], report["fit"], report["failed"]) == (4, 4, 2, 2)
    reasons = {failure["reason"]: failure for failure in report["failures"]}
    assert reasons["migration-error"]["samples"] == ["broken"]
    assert "it is broken" in reasons["migration-error"]["message"]
    assert report["unmapped"] == [
        {
            "state": ["packing"],
            "fromMachineVersionId": old,
            "instances": 1,
            "samples": ["packing"],
        }
    ]
    (moved,) = report["timers"]["moved"]
    assert (moved["from"], moved["to"]) == (
        "xstate.after.3600000.old.paid",
        "xstate.after.3600000.new.payed",
    )
    assert (moved["count"], moved["samples"]) == (1, ["paid"])
    leaving = RENAME.replace('"payed"', '"open"')
    report = user.dry_run("shop", fromMachineVersionId=old, toMachineVersionId=new, code=leaving)
    (cancelled,) = report["timers"]["cancelled"]
    assert cancelled["samples"] == ["paid"]
    assert [user.admin("shop", name) for name in ("open", "paid", "packing", "broken")] == before
    assert [len(user.journal("shop", name)) for name in ("open", "paid")] == [1, 2]


@pytest.mark.slow
def test_a_dry_run_that_kills_its_host_harms_nobody(user: Deployment, old: str) -> None:
    """And takes nothing of the version's own host along."""
    new = user.new_version_of("shop", NEW)["machineVersionId"]
    user.create("shop", "new", machineVersionId=new)
    for n in range(4):
        user.create("shop", f"more-{n}")
    endless = IDENTITY.replace("=> context", "=> { for (;;) {} }")
    report = user.dry_run(
        "shop", fromMachineVersionId=old, toMachineVersionId=new, code=endless, instances=["open"]
    )
    assert (report["state"], report["failed"]) == ("done", 1)
    assert report["failures"][0]["reason"] == "machine-error"
    assert user.sent("shop", "new", {"type": "pay"})["state"] == "payed"


@pytest.mark.slow
def test_deadly_migrations_are_called_off(user: Deployment, old: str) -> None:
    """After three processes, though many more instances were under way; then everybody is served as before."""
    new = user.new_version_of("shop", NEW)["machineVersionId"]
    for n in range(20):
        user.create("shop", f"more-{n}")
    # It runs out of memory.
    deadly = IDENTITY.replace(
        "=> context", "=> { const all = []; for (;;) all.push(new Array(1e6).fill(1)); }"
    )
    report = user.dry_run("shop", fromMachineVersionId=old, toMachineVersionId=new, code=deadly)
    assert (report["state"], report["failed"], report["done"]) == ("stopped", 3, 3)
    assert report["total"] == 24
    user.migrate("shop", old, new, deadly)
    job_id = user.begin_upgrade("shop", fromMachineVersionId=old, toMachineVersionId=new)
    progress = user.upgraded("shop", job_id)
    assert (progress["status"], progress["failed"], progress["pending"]) == ("paused", 3, 21)
    assert "host process" in progress["reason"]
    assert user.sent("shop", "more-19", {"type": "pay"})["state"] == "paid"
    user.migrate("shop", old, new, RENAME)
    user.set_upgrade("shop", job_id, "running")
    progress = user.upgraded("shop", job_id)
    assert (progress["status"], progress["upgraded"], progress["failed"]) == ("done", 20, 4)


def test_a_bulk_upgrade(user: Deployment, old: str) -> None:
    """Carries over what can be and settles; the rest stays as it is, with the reason. What was not settled comes later."""
    new = user.new_version_of("shop", NEW)["machineVersionId"]
    user.migrate("shop", old, new, RENAME)
    user.create("shop", "working")
    # Answered when the instance has settled, which it does not before it is stopped.
    with ThreadPoolExecutor(1) as background:
        working = background.submit(user.sent, "shop", "working", {"type": "work"})
        job_id = _begin_while_working(user, old, new)
        user.sent("shop", "working", {"type": "stop"})
        working.result()
    progress = user.upgraded("shop", job_id)
    assert (progress["status"], progress["upgraded"], progress["failed"]) == ("done", 3, 2)
    assert progress["isTotalKnown"]
    failed = {result["slug"]: result for result in user.results("shop", job_id, "failed")}
    assert failed["packing"]["reason"] == "no-such-state"
    assert failed["broken"]["reason"] == "migration-error"
    for name, state in (("open", "open"), ("paid", "payed"), ("working", "open")):
        admin = user.admin("shop", name)
        assert (admin["machineVersion"]["id"], admin["state"]) == (new, state)
        assert "desiredMachineVersion" not in admin
        last = user.journal("shop", name)[-1]["event"]
        assert (last["type"], last["toMachineVersionId"]) == ("statebacked.upgrade", new)
    for name in ("packing", "broken"):
        admin = user.admin("shop", name)
        assert admin["machineVersion"]["id"] == old
        assert "desiredMachineVersion" not in admin


def _begin_while_working(user: Deployment, old: str, new: str) -> str:
    """A bulk upgrade that has done all but the instance with a child; returns its id."""
    while user.admin("shop", "working")["state"] != "working":
        pass
    job_id = user.begin_upgrade("shop", fromMachineVersionId=old, toMachineVersionId=new)
    while (progress := user.upgrade("shop", job_id))["done"] < 4:
        assert progress["status"] == "running"
    assert (progress["total"], progress["waiting"], progress["failed"]) == (5, 1, 2)
    assert user.admin("shop", "working")["machineVersion"]["id"] == old
    return job_id
