"""What a server would say of a bundle: the same host loads it here, as confined as there, and is asked what it found."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from statekeep.bundling.packing import compress, excess
from statekeep.domain.errors import InvalidCode
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import MachineName, OrganizationId, VersionId
from statekeep.runtimes.host import Host
from statekeep.runtimes.local import HostOptions, running_hosts
from statekeep.runtimes.pool import Deaf, Pool
from statekeep.runtimes.protocol import HostFrame


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What is known of a machine once it is loaded."""

    xstate_major: int
    """4 or 5."""
    xstate: str
    """The version of the server's XState that it uses, or `bundled` where it brings its own."""
    http_api: tuple[str, ...]
    """The slugs of its HTTP endpoints (SPEC 9)."""
    output: tuple[str, ...]
    """What it printed while it was loaded, and what the host has to say about it: mostly that something will not do what it looks like."""


async def inspect_machine(code: bytes) -> MachineFacts:
    """Load a machine version (SPEC 4) as a server does before it publishes it, with the bounds of a server without settings.

    Raises InvalidCode where it would be refused: the message says why and the way out, `stack` where in the author's files it threw.
    """
    _require_size(code)
    output = _Output()
    async with _pool() as pool:
        loaded = await pool.inspect(_NOBODYS, code, output)
    # A host that answers without it is none.
    assert loaded.major is not None
    return MachineFacts(loaded.major, loaded.xstate, loaded.http_api, tuple(output.lines))


async def inspect_migration(code: bytes) -> tuple[str, ...]:
    """The same for a migration (SPEC 8). What it printed while it was loaded."""
    _require_size(code)
    output = _Output()
    async with _pool() as pool:
        await pool.inspect_migration(_NOBODYS, code, output)
    return tuple(output.lines)


def _require_size(code: bytes) -> None:
    if too_large := excess(len(code), compress(code)):
        raise InvalidCode(too_large)


class _Output(Deaf):
    """Keeps what is printed. The host bounds it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def reported(self, host: Host, frame: HostFrame) -> None:
        if frame.op == "log":
            self.lines.append(frame.text)


@asynccontextmanager
async def _pool() -> AsyncIterator[Pool]:
    with tempfile.TemporaryDirectory(prefix="statekeep-") as folder:
        options = HostOptions(cache_dir=Path(folder), hosts_max=1)
        async with running_hosts(options, _no_code) as runtime:
            yield runtime.pool


async def _no_code(version: MachineVersion) -> bytes:
    raise AssertionError(f"nobody publishes {version.id} here")


_NOBODYS: Final = MachineVersion(
    id=VersionId("(unpublished)"),
    machine_id=0,
    organization_id=OrganizationId("(nobody)"),
    machine_name=MachineName("(unpublished)"),
    created_at=datetime.fromtimestamp(0, tz=UTC),
    client_info=None,
    index_selectors={},
    xstate_major=0,
    code_hash=b"",
)
