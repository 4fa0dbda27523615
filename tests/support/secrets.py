"""Looks through what a server wrote to its log for anything that would open a door."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from statekeep.domain.token_exchange import SHARED_SECRET_ALGORITHMS
from statekeep.system import SystemEntropy
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.server_key import load_server_key

_SHAPES: Final = re.compile(
    # Tokens and what else the server signs; secrets of keys; codes of invitations and devices; what stands in a header of authorization.
    r"eyJ[\w-]{4,}\.[\w-]+\.[\w-]*|(?:sbsec|sbinv|dev)_[\w-]+|(?i:bearer\s+)[\w.~+/-]{16,}",
    re.ASCII,
)


def require_no_secrets(log: str, data_dir: Path) -> None:
    """Fail with the line of `log` that has a secret of the server that kept its data in `data_dir`."""
    known = list(_secrets_of(data_dir))
    for number, line in enumerate(log.splitlines(), 1):
        if _SHAPES.search(line) or any(secret in line for secret in known):
            pytest.fail(f"a secret is in line {number} of the log: {line}")


def _secrets_of(data_dir: Path) -> Iterator[str]:
    credentials = data_dir / "credentials.json"
    if credentials.exists():
        token: str = json.loads(credentials.read_text())["token"]
        # Its signature alone is as bad: the rest can be guessed.
        yield from (token, token.rpartition(".")[2])
    server_key = data_dir / "server.key"
    if server_key.exists():
        key = server_key.read_bytes()
        yield from (key.hex(), repr(key)[2:-1], base64.b64encode(key).decode())
        yield from _sealed_secrets(data_dir)


def _sealed_secrets(data_dir: Path) -> Iterator[str]:
    entropy = SystemEntropy()
    tokens = JwtTokens(load_server_key(data_dir, entropy), entropy, public_url="http://nowhere")
    # Only read, though there may be a log to apply first, as after a kill.
    with sqlite3.connect(
        f"{(data_dir / 'statekeep.db').resolve().as_uri()}?mode=ro", uri=True
    ) as db:
        keys = db.execute("SELECT sealed_secret FROM keys").fetchall()
        providers = db.execute(
            "SELECT organization_id, sealed_key, algorithms FROM identity_providers WHERE sealed_key IS NOT NULL"
        ).fetchall()
    db.close()
    for (secret,) in keys:
        yield tokens.unseal(secret).removeprefix("sbsec_")
    for organization_id, sealed_key, algorithms in providers:
        # The others are public keys.
        if SHARED_SECRET_ALGORITHMS.issuperset(json.loads(algorithms)):
            yield from _forms_of(tokens.unseal(sealed_key), organization_id)


def _forms_of(key: str, organization_id: str) -> Iterator[str]:
    """A shared secret as it is configured and kept, and as whoever made it up may know it."""
    secret = base64.urlsafe_b64decode(key)
    # That of anonymous tokens is no secret.
    if secret != organization_id.encode():
        yield from (key.rstrip("="), base64.b64encode(secret).decode().rstrip("="))
        yield from (secret.hex(), repr(secret)[2:-1])
