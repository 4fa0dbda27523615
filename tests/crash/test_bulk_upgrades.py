"""A bulk upgrade that is killed goes on where it was, and upgrades each instance once."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGKILL

import pytest

from statekeep import crash_points
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME
from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.server import server_process

DYING_SECONDS_MAX = 30
INSTANCES = 10_000

LAMP = (
    OPEN_TO_ALL
    + """
export default createMachine({
  id: "%(id)s",
  initial: "%(dark)s",
  context: ({ input }) => ({ ...input, public: { upgrades: 0 } }),
  states: { %(dark)s: { after: { 3600000: "lit" } }, lit: {} },
});
"""
)
OLD = LAMP % {"id": "lamp", "dark": "off"}
NEW = LAMP % {"id": "light", "dark": "dark"}
MIGRATION = """
export const upgradeState = ([state]) => [state === "off" ? "dark" : state];
export const upgradeContext = (before, after, context) => {
  if (context.n % 1000 === 999) throw new Error("not this one");
  return { ...context, public: { upgrades: context.public.upgrades + 1 } };
};
"""


def make(user: Deployment, count: int) -> None:
    """So many instances, numbered in their context."""
    with ThreadPoolExecutor(16) as clients:
        made = [
            clients.submit(user.create, "lamp", f"lamp-{n}", context={"n": n}) for n in range(count)
        ]
        for one in made:
            one.result()


def upgrades_in(data_dir: Path) -> Counter[int]:
    """How often each instance was upgraded, by what is durable."""
    connection = sqlite3.connect(data_dir / DATABASE_FILE_NAME)
    try:
        rows = connection.execute(
            "SELECT instance_id FROM journal WHERE json_extract(cast(event AS TEXT), '$.type') = 'statebacked.upgrade'"
        )
        return Counter(instance_id for (instance_id,) in rows)
    finally:
        connection.close()


@pytest.mark.parametrize(
    "point",
    [
        crash_points.BEFORE_UPGRADE,
        crash_points.AFTER_UPGRADE,
        crash_points.BEFORE_UPGRADE_RESULTS,
    ],
)
def test_each_instance_is_upgraded_once(tmp_path: Path, point: str) -> None:
    """Wherever the process dies, the job goes on by itself and counts those that it had upgraded before."""
    data_dir = tmp_path / "data"
    with server_process(data_dir) as server, deployment(server) as user:
        old = user.deploy("lamp", OLD)
        make(user, 3)
        new = user.new_version_of("lamp", NEW)["machineVersionId"]
        user.migrate("lamp", old, new, MIGRATION)
        token = user.token
    with (
        server_process(data_dir, "--crash-at", point) as armed,
        deployment(armed, token) as user,
    ):
        job_id = user.begin_upgrade("lamp", fromMachineVersionId=old, toMachineVersionId=new)
        assert armed.process.wait(DYING_SECONDS_MAX) == -SIGKILL
    with server_process(data_dir) as server, deployment(server, token) as user:
        progress = user.upgraded("lamp", job_id)
        assert (progress["status"], progress["upgraded"], progress["total"]) == ("done", 3, 3)
    assert sorted(upgrades_in(data_dir).values()) == [1, 1, 1]


@pytest.mark.slow
def test_ten_thousand_instances(tmp_path: Path) -> None:
    """A dry run over them, then an upgrade that is killed half way: every instance is upgraded exactly once, but those that fail."""
    data_dir = tmp_path / "data"
    with server_process(data_dir) as server, deployment(server) as user:
        old = user.deploy("lamp", OLD)
        make(user, INSTANCES)
        published = user.new_version_of("lamp", NEW)
        new, radius = published["machineVersionId"], published["blastRadius"]
        assert radius["unmapped"][0]["instances"] == radius["instances"] == radius["checked"]
        whole = user.blast_radius("lamp", new)
        assert (whole["instances"], whole["isComplete"]) == (INSTANCES, True)
        report = user.dry_run(
            "lamp", fromMachineVersionId=old, toMachineVersionId=new, code=MIGRATION
        )
        assert (report["total"], report["fit"], report["failed"]) == (INSTANCES, INSTANCES - 10, 10)
        (moved,) = report["timers"]["moved"]
        assert moved["count"] == INSTANCES - 10
        assert not upgrades_in(data_dir)
        user.migrate("lamp", old, new, MIGRATION)
        token = user.token
        job_id = user.begin_upgrade("lamp", fromMachineVersionId=old, toMachineVersionId=new)
        while (progress := user.upgrade("lamp", job_id))["done"] < INSTANCES // 2:
            time.sleep(0.02)
        server.process.kill()
        server.process.wait(DYING_SECONDS_MAX)
        assert progress["status"] == "running"
    before = upgrades_in(data_dir)
    assert INSTANCES // 2 - 10 <= len(before) < INSTANCES - 10
    with server_process(data_dir) as server, deployment(server, token) as user:
        progress = user.upgraded("lamp", job_id)
        counted = {name: progress[name] for name in ("status", "total", "upgraded", "failed")}
        assert counted == {
            "status": "done",
            "total": INSTANCES,
            "upgraded": INSTANCES - 10,
            "failed": 10,
        }
        failed = user.results("lamp", job_id, "failed")
        assert {it["slug"] for it in failed} == {f"lamp-{n}" for n in range(999, INSTANCES, 1000)}
        assert user.admin("lamp", "lamp-999")["machineVersion"]["id"] == old
        assert user.admin("lamp", "lamp-0")["context"]["public"] == {"upgrades": 1}
    after = upgrades_in(data_dir)
    assert (len(after), set(after.values())) == (INSTANCES - 10, {1})
