"""`credentials.json`, as clients and people read it."""

from __future__ import annotations

import json
import stat

import pytest

from statekeep.domain.names import OrganizationId
from statekeep.ports.credentials import Credentials
from statekeep.tokens.credentials import CredentialsFile

CREDENTIALS = Credentials("http://127.0.0.1:8080", OrganizationId("org_x"), "eyJ.eyJ.x")


def test_what_is_written_is_read(tmp_path):
    """By us and by anybody who reads JSON, but by nobody else on the machine."""
    file = CredentialsFile(tmp_path)
    file.write(CREDENTIALS)
    assert CredentialsFile(tmp_path).read() == CREDENTIALS
    assert json.loads((tmp_path / "credentials.json").read_text()) == {
        "apiUrl": "http://127.0.0.1:8080",
        "orgId": "org_x",
        "token": "eyJ.eyJ.x",
    }
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_before_the_first_there_are_none(tmp_path):
    """Not even a folder is needed."""
    assert CredentialsFile(tmp_path / "data").read() is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"apiUrl":1}', b'{"apiUrl":"\xff"}']
)
def test_what_makes_no_sense_counts_as_none(tmp_path, content):
    """It is ours to write again."""
    (tmp_path / "credentials.json").write_bytes(content)
    assert CredentialsFile(tmp_path).read() is None
