"""One host process: start it, confine it, talk lines to it, end it.

A host is a child process in a session of its own that dies with the server, has bounded private memory, and is connected by one Unix socket. This
module knows lines, not what they say.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import resource
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from statekeep.domain.limits import FRAME_BYTES_MAX, MIB

_STDERR_LINES_KEPT: Final = 20
_STDERR_LINE_BYTES_MAX: Final = 4096
_PR_SET_PDEATHSIG: Final = 1
_EXIT_SECONDS_MAX: Final = 1
"""How long a process that has let go of its socket may take to end by itself."""


class HostDied(Exception):
    """The process ended or was ended. `reason` is fit for the author's eyes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HostProcess(asyncio.Protocol):
    """A running host.

    `on_line` is called for every line it sends, in order, `on_end` once when it is gone for whatever reason; both from the
    event loop. Lines that are sent in one turn of the loop leave in one write.
    """

    def __init__(self, on_line: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._partial = b""
        self._outgoing: list[bytes] = []
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES_KEPT)
        self._reason: str | None = None
        self._has_ended = False
        self._loop = asyncio.get_running_loop()

    async def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        socket_path: Path,
        *,
        data_mib: int,
        timeout_seconds: float,
    ) -> None:
        """Start it and wait until it has connected to `socket_path`. Raises HostDied where it does not."""
        with contextlib.closing(_listen(socket_path)) as listener:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_confine(data_mib) if sys.platform == "linux" else None,
                limit=_STDERR_LINE_BYTES_MAX,
            )
            self._watcher = asyncio.create_task(self._watch(self._process))
            await self._accept(listener, timeout_seconds)
        _remove(socket_path)

    def send(self, line: bytes) -> None:
        """Send a line, which ends with a newline."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(line)

    def kill(self, reason: str) -> None:
        """End it now. `on_end` follows, and `reason` becomes the reason."""
        if self._reason is None:
            self._reason = reason
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def ended(self) -> None:
        """Wait until the process is gone."""
        if self._watcher is not None:
            await self._watcher

    @property
    def pid(self) -> int | None:
        """The process's number while there is one."""
        return None if self._process is None else self._process.pid

    @property
    def reason(self) -> str:
        """Why it ended, once it has."""
        return self._reason or "its process ended"

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = self._partial + lines[0]
            self._partial = rest
            for line in lines:
                self._on_line(line)
        else:
            self._partial += rest
        if len(self._partial) > FRAME_BYTES_MAX:
            self.kill(f"it sent a frame of more than {FRAME_BYTES_MAX} bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        # The host does not close its socket while it lives: the process is gone, or about to be. What it says last tells why.
        self._loop.call_later(_EXIT_SECONDS_MAX, self.kill, self._reason or "")

    def _flush(self) -> None:
        lines, self._outgoing = self._outgoing, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(lines))

    async def _accept(self, listener: socket.socket, timeout_seconds: float) -> None:
        assert self._watcher is not None
        accepting = asyncio.create_task(self._loop.sock_accept(listener))
        await asyncio.wait(
            {accepting, self._watcher},
            timeout=timeout_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not accepting.done():
            accepting.cancel()
            self.kill(f"it did not start within {timeout_seconds:g} s")
            await self._watcher
            raise HostDied(self.reason)
        connection, _ = accepting.result()
        connection.setblocking(False)
        await self._loop.create_unix_connection(lambda: self, sock=connection)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        await _drain(process.stderr, self._stderr)
        code = await process.wait()
        if not self._reason:
            self._reason = _explain(code, self._stderr)
        if self._transport is not None:
            self._transport.abort()
        if not self._has_ended:
            self._has_ended = True
            self._on_end()


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.setblocking(False)
    _remove(path)
    listener.bind(str(path))
    listener.listen(1)
    return listener


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _drain(stream: asyncio.StreamReader, kept: deque[str]) -> None:
    """Read to the end, so that the host never blocks on a full pipe; keep the last lines."""
    while chunk := await stream.read(_STDERR_LINE_BYTES_MAX):
        kept.extend(chunk.decode(errors="replace").splitlines())


def _explain(code: int, stderr: Sequence[str]) -> str:
    text = "\n".join(stderr)
    if "out of memory" in text or "Fatal JavaScript" in text or code == -signal.SIGABRT:
        return "it ran out of memory"
    if "Top-level await promise never resolved" in text:
        # Deno ends where everything waits and nothing is under way that could end that: code that is loaded, then, and no handler.
        return "it waits for a promise that nothing is left to fulfil: a top-level await of the code never ends"
    if code < 0:
        return f"its process was ended by signal {signal.Signals(-code).name}"
    last = next((line for line in reversed(stderr) if line.strip()), "")
    return f"its process ended with status {code}" + (f": {last.strip()[:300]}" if last else "")


def _confine(data_mib: int) -> Callable[[], None]:
    """What the child does to itself between fork and exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    bound = data_mib * MIB

    def confine() -> None:
        # Without this a host that spins survives a server that was killed.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Buffers live outside V8's heap and its limit.
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return confine
