"""The server's own key: 32 random bytes in `server.key`, from which every other key is derived.

Whoever has this file can read the secrets of all API keys and sign in as any member. Whoever loses it loses
these secrets: it belongs into the same backup as the database.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from statekeep.ports.entropy import Entropy
from statekeep.ports.tokens import BrokenServerKey
from statekeep.secret_files import create_secret_file

SERVER_KEY_BYTES: Final = 32
SERVER_KEY_FILE: Final = "server.key"

_log = structlog.get_logger(__name__)


class ServerKey:
    """The root of all keys. It is never used itself, so that no use of one derived key tells anything about another."""

    def __init__(self, root: bytes) -> None:
        assert len(root) == SERVER_KEY_BYTES
        self._root = root

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes, always the same for the same purpose."""
        info = f"statekeep/1/{purpose}".encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._root)


def load_server_key(folder: Path, entropy: Entropy) -> ServerKey:
    """Read `server.key` in the data folder, made on the first start.

    Servers that start in one folder at the same time get the same key. Raises BrokenServerKey.
    """
    path = folder / SERVER_KEY_FILE
    if not path.exists():
        create_secret_file(path, entropy.token_bytes(SERVER_KEY_BYTES))
    root = path.read_bytes()
    if len(root) != SERVER_KEY_BYTES:
        raise BrokenServerKey(
            f"{path} has {len(root)} bytes instead of {SERVER_KEY_BYTES}: restore it from a backup."
            " Without it the secrets of all API keys are lost."
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        _log.warning("server key is accessible to others", path=str(path), advice="chmod 600")
    return ServerKey(root)
