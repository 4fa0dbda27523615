"""An upgrade happens as a whole or not at all, wherever the process dies, and comes before its event."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest

from statekeep import crash_points
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME
from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.server import server_process

DYING_SECONDS_MAX = 30

LAMP = (
    OPEN_TO_ALL
    + """
export default createMachine({
  id: "%(id)s",
  initial: "%(dark)s",
  context: { public: { seen: [] } },
  states: {
    %(dark)s: { after: { 3600000: "%(lit)s" }, on: { go: "%(lit)s" } },
    %(lit)s: {},
  },
  on: {
    note: { actions: assign({ public: ({ context, event }) => ({ seen: [...context.public.seen, event.n + "%(mark)s"] }) }) },
  },
});
"""
)
OLD = LAMP % {"id": "lamp", "dark": "off", "lit": "on", "mark": "a"}
NEW = LAMP % {"id": "light", "dark": "dark", "lit": "lit", "mark": "b"}
MIGRATION = """
export const upgradeState = ([state]) => [state === "off" ? "dark" : "lit"];
export const upgradeContext = (before, after, context) => context;
"""


@pytest.mark.parametrize(
    ("point", "is_upgraded"),
    [
        (crash_points.BEFORE_UPGRADE, False),
        (crash_points.BEFORE_COMMIT, False),
        (crash_points.AFTER_UPGRADE, True),
    ],
)
def test_an_upgrade_is_whole_or_not_at_all(tmp_path: Path, point: str, is_upgraded: bool) -> None:
    """Version, wish, state, history and timers agree after the crash; the event, sent again, is handled once by the new version."""
    data_dir = tmp_path / "data"
    with server_process(data_dir) as server, deployment(server) as user:
        old = user.deploy("lamp", OLD)
        user.create("lamp", "one")
        user.sent("lamp", "one", {"type": "note", "n": 1})
        new = user.new_version("lamp", NEW)
        user.migrate("lamp", old, new, MIGRATION)
        user.desire("lamp", "one", new)
        token = user.token
    (before,) = timers_in(data_dir)
    event = {"type": "note", "n": 2}
    with (
        server_process(data_dir, "--crash-at", point) as armed,
        deployment(armed, token) as user,
    ):
        with pytest.raises(httpx.TransportError):
            user.send("lamp", "one", event, key="second")
        assert armed.process.wait(DYING_SECONDS_MAX) == -SIGKILL
    (timer,) = timers_in(data_dir)
    assert timer["due_at"] == before["due_at"]
    assert (b"light.dark" in timer["event"]) == is_upgraded
    with server_process(data_dir) as server, deployment(server, token) as user:
        admin = user.admin("lamp", "one")
        assert admin["machineVersion"]["id"] == (new if is_upgraded else old)
        assert ("desiredMachineVersion" in admin) == (not is_upgraded)
        assert admin["state"] == ("dark" if is_upgraded else "off")
        upgrades = ["statebacked.upgrade"] if is_upgraded else []
        assert events_of(user) == ["xstate.init", "note", *upgrades]
        state = user.send("lamp", "one", event, key="second").json()
        assert state["publicContext"] == {"seen": ["1a", "2b"]}
        assert user.send("lamp", "one", event, key="second").json() == state
        assert events_of(user) == ["xstate.init", "note", "statebacked.upgrade", "note"]
        assert user.admin("lamp", "one")["machineVersion"]["id"] == new
    (timer,) = timers_in(data_dir)
    assert timer["due_at"] == before["due_at"]
    assert b"light.dark" in timer["event"]


def events_of(user: Deployment) -> list[str]:
    return [entry["event"]["type"] for entry in user.journal("lamp", "one")]


def timers_in(data_dir: Path) -> list[dict[str, Any]]:
    """The timers of all instances, as the next server will find them."""
    connection = sqlite3.connect(data_dir / DATABASE_FILE_NAME)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT due_at, event FROM timers")]
    finally:
        connection.close()
