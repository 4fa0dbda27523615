"""The bundler's process: Deno with esbuild beside it, asked over its input and output.

It runs code of ours only: of the author's files it reads and writes nothing but text. It sees the author's environment, since Deno finds its cache,
its registries and its proxies there, and ends when its input does, so that it never outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable
from typing import Final

import deno
import msgspec

from statekeep.bundling import protocol
from statekeep.bundling.bundle import BundlerUnavailable
from statekeep.bundling.protocol import BundledFrame, Entry, FailedFrame, Frame
from statekeep.domain.limits import BUNDLER_FRAME_BYTES_MAX
from statekeep.runtimes.javascript.launch import DIST

_STDERR_LINES_KEPT: Final = 20
_EXIT_SECONDS_MAX: Final = 2
"""How long it may take to end by itself once its input has ended."""


class BundlerProcess:
    """A running bundler. Made by `start`, and must be closed."""

    def __init__(
        self, process: asyncio.subprocess.Process, on_progress: Callable[[str], None]
    ) -> None:
        self._process = process
        self._on_progress = on_progress
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[BundledFrame | FailedFrame]] = {}
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES_KEPT)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, scratch: str, on_progress: Callable[[str], None]) -> BundlerProcess:
        """Start one that writes to the folder `scratch` only. Raises BundlerUnavailable where the package was not built."""
        if not (DIST / "bundler.js").exists():
            raise BundlerUnavailable(
                f"{DIST / 'bundler.js'} is missing: the JavaScript of this package was not built."
                " Install it again (`pip install .`), or run `make host` in a checkout."
            )
        process = await asyncio.create_subprocess_exec(
            *_command(scratch),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C in a terminal is for whoever started it.
            start_new_session=True,
            limit=BUNDLER_FRAME_BYTES_MAX,
        )
        return cls(process, on_progress)

    @property
    def is_alive(self) -> bool:
        """Can it be asked?"""
        return not self._reader.done()

    async def bundle(self, entry: Entry) -> BundledFrame | FailedFrame:
        """Build the entry. Raises BundlerUnavailable where it ends before it has answered."""
        if not self.is_alive:
            raise self._death()
        request_id = next(self._ids)
        answer: asyncio.Future[BundledFrame | FailedFrame] = (
            asyncio.get_running_loop().create_future()
        )
        self._answers[request_id] = answer
        try:
            self._send(protocol.bundle(request_id, entry))
            return await answer
        finally:
            self._answers.pop(request_id, None)

    def forget(self, entry: Entry) -> None:
        """Keep the entry warm no longer."""
        if self.is_alive:
            self._send(protocol.forget(entry))

    async def close(self) -> None:
        """End it. What it was asked for fails."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_EXIT_SECONDS_MAX):
                await asyncio.shield(self._reader)
        except TimeoutError:
            self._kill()
            await self._reader

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        listening = asyncio.create_task(self._listen())
        try:
            async for line in self._process.stdout:
                self._handle(protocol.decode(line))
        except BaseException as error:
            # What it said is longer than it may be, or nonsense, or whoever hears of progress has failed: nobody reads on.
            self._kill()
            if not isinstance(error, (ValueError, msgspec.DecodeError)):
                raise
            self._stderr.append(str(error))
        finally:
            # It ends where its output does. Killing it then would reap it before the event loop can.
            await listening
            await self._process.wait()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(self._death())

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._stderr.append(line.decode(errors="replace").rstrip())

    def _handle(self, frame: Frame) -> None:
        if frame.re is None:
            self._on_progress(frame.text)
            return
        answer = self._answers.get(frame.re)
        outcome = frame.ok or frame.failed
        if answer is not None and not answer.done() and outcome is not None:
            answer.set_result(outcome)

    def _death(self) -> BundlerUnavailable:
        said = "\n".join(self._stderr) or f"exit code {self._process.returncode}"
        return BundlerUnavailable(f"the bundler ended unexpectedly: {said}")


def _command(scratch: str) -> list[str]:
    binary = deno.find_deno_bin()
    return [
        str(binary),
        "run",
        *("--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-remote", "--no-npm"),
        # Writing cannot be confined to the one folder that it writes to: Deno makes no links then.
        *("--allow-read", "--allow-write", "--allow-env"),
        f"--allow-run={DIST / 'esbuild' / 'bin' / 'esbuild'},{binary}",
        str(DIST / "bundler.js"),
        scratch,
    ]
