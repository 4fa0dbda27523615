"""`statekeep backup` of a server under load, and a server on what it made."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.deployed import OPEN_TO_ALL, Deployment, deployment
from tests.support.ledger import await_that
from tests.support.server import server_process

COUNTER = (
    OPEN_TO_ALL
    + """
export default createMachine({
  context: { public: { n: 0 } },
  on: { add: { actions: assign({ public: ({ context }) => ({ n: context.public.n + 1 }) }) } },
});
"""
)
NAMES = [f"i{number}" for number in range(4)]


class Load:
    """Sends events to each instance until it is told to stop, and counts those that were answered."""

    def __init__(self, user: Deployment) -> None:
        self.answered = dict.fromkeys(NAMES, 0)
        self.is_over = threading.Event()
        self._user = user
        self._threads = [threading.Thread(target=self._send, args=(name,)) for name in NAMES]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self._threads:
            thread.join()

    def _send(self, name: str) -> None:
        while not self.is_over.is_set():
            state = self._user.sent("counter", name, {"type": "add"})
            self.answered[name] = state["publicContext"]["n"]


def backup(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "statekeep", "backup", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_backup_under_load_has_every_answered_event(tmp_path):
    """Restored with server.key it is the server as it was at that moment: the keys that were made work, and instances go on."""
    data, copy, other = tmp_path / "data", tmp_path / "copy.db", tmp_path / "other"
    with server_process(data) as server, deployment(server) as user:
        user.deploy("counter", COUNTER)
        for name in NAMES:
            user.create("counter", name)
        token = user.token
        with Load(user) as load:
            await_that(lambda: min(load.answered.values()) >= 20, "events are answered")
            before = dict(load.answered)
            made = backup(copy, "--data-dir", data)
            after = {name: n + 1 for name, n in load.answered.items()}
        assert made.returncode == 0, made.stderr
        assert "server.key" in made.stdout
        refused = backup(copy, "--data-dir", data)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "exists already" in refused.stderr
    other.mkdir(mode=0o700)
    shutil.copy(copy, other / "statekeep.db")
    shutil.copy(data / "server.key", other / "server.key")
    with server_process(other) as server, deployment(server, token) as user:
        for name in NAMES:
            n = user.read("counter", name)["publicContext"]["n"]
            assert before[name] <= n <= after[name]
            assert len(user.journal("counter", name)) == n + 1
            assert user.sent("counter", name, {"type": "add"})["publicContext"]["n"] == n + 1


def test_the_folder_can_come_from_where_the_server_has_it(tmp_path):
    """The same file of settings will do, whatever else is in it."""
    data = tmp_path / "data"
    with server_process(data):
        pass
    config = tmp_path / "keep.toml"
    config.write_text(f'data_dir = "{data}"\nport = 9\nlog_level = "error"\n')
    made = backup(tmp_path / "copy.db", "--config", config)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "copy.db").exists()
    missing = backup(tmp_path / "again.db", "--data-dir", tmp_path / "none")
    assert missing.returncode == 1
    assert "there is no database in" in missing.stderr
