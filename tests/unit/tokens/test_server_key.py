"""The server's key: made once, the same for ever, the root of all others."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from statekeep.ports.tokens import BrokenServerKey
from statekeep.system import SystemEntropy
from statekeep.tokens.server_key import ServerKey, load_server_key
from tests.support.entropy import SeededEntropy


def test_the_key_is_made_once(tmp_path):
    """A later start derives the same keys, whatever its chance."""
    first = load_server_key(tmp_path, SeededEntropy(1))
    second = load_server_key(tmp_path, SeededEntropy(2))
    assert first.derive("x") == second.derive("x")


def test_the_file_is_32_bytes_for_its_owner(tmp_path):
    """Also where the folder has to be made."""
    load_server_key(tmp_path / "data", SystemEntropy())
    path = tmp_path / "data" / "server.key"
    assert len(path.read_bytes()) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["server.key"]


def test_servers_that_start_together_agree(tmp_path):
    """None goes on with a key that is not the one on disk."""
    with ThreadPoolExecutor(8) as threads:
        keys = list(
            threads.map(lambda _: load_server_key(tmp_path, SystemEntropy()).derive("x"), range(16))
        )
    assert set(keys) == {load_server_key(tmp_path, SystemEntropy()).derive("x")}


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_key_is_neither_used_nor_replaced(tmp_path, content):
    """Going on with another key would make every stored secret unreadable."""
    path = tmp_path / "server.key"
    path.write_bytes(content)
    with pytest.raises(BrokenServerKey, match=r"server\.key"):
        load_server_key(tmp_path, SystemEntropy())
    assert path.read_bytes() == content


def test_a_key_that_others_can_read_is_pointed_out(tmp_path):
    """Once at each start; the server runs all the same, as some volumes know no modes."""
    path = tmp_path / "server.key"
    path.write_bytes(bytes(32))
    path.chmod(0o640)
    with structlog.testing.capture_logs() as logs:
        load_server_key(tmp_path, SystemEntropy())
    assert [(line["log_level"], line["path"]) for line in logs] == [("warning", str(path))]


def test_each_purpose_has_a_key_of_its_own():
    """And each server."""
    keys = {ServerKey(root).derive(purpose) for root in (bytes(32), b"x" * 32) for purpose in "ab"}
    assert len(keys) == 4
    assert bytes(32) not in keys
