"""All of `statekeep dev` but the server: a thread with a loop of its own, so that builds and the terminal never hold up the server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import httpx

from statekeep.bundling import Bundler
from statekeep.cli.api import client_for
from statekeep.cli.connection import Target
from statekeep.cli.developing import telling
from statekeep.cli.developing.files import MachineFile
from statekeep.cli.developing.first_event import first_event
from statekeep.cli.developing.watching import folders_of, saves
from statekeep.cli.developing.welcome import welcome
from statekeep.cli.developing.workshop import Workshop
from statekeep.cli.end_user import end_user_token, kept_key
from statekeep.cli.output import CommandFailed, complain, tell
from statekeep.client import AsyncClient
from statekeep.client.errors import ApiError, UnauthenticatedError
from statekeep.system import SystemClock

if TYPE_CHECKING:
    from statekeep.bootstrap import ReadyInfo
    from statekeep.workers.transition_feed import ToldTransition

_LOG_INTERVAL_SECONDS: Final = 0.25
_ANSWER_SECONDS_MAX: Final = 120
_ENDED_ELSEWHERE: Final = "the session in credentials.json, with which this asks its own server, was ended elsewhere: start statekeep dev again, and it begins another"


class DevSession:
    """Begun by the server once it is ready, and closed once that has ended. `has_failed` says whether it ended the server."""

    def __init__(self, files: Sequence[MachineFile]) -> None:
        self.has_failed = False
        self._files = files
        self._thread: Thread | None = None
        self._loop = asyncio.new_event_loop()
        self._is_closing = asyncio.Event()

    def start(self, info: ReadyInfo) -> None:
        """Called from the server's loop, which has to stay free to answer."""
        self._thread = Thread(target=self._run, args=(info,), daemon=True)
        self._thread.start()

    def hear(self, transition: ToldTransition) -> None:
        """Called from the server's loop, too. A terminal that is held up must not hold it up."""
        with suppress(RuntimeError):
            # Closed: what is told now, nobody waits for.
            self._loop.call_soon_threadsafe(telling.transition, transition)

    def close(self) -> None:
        """End everything that it began. Safe where it was never started."""
        if self._thread is None:
            self._loop.close()
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._is_closing.set)
        self._thread.join()

    def _run(self, info: ReadyInfo) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._until_closed(info))
        except UnauthenticatedError:
            self._end_server(_ENDED_ELSEWHERE)
        except (CommandFailed, ApiError) as error:
            self._end_server(str(error))
        except Exception:
            self._end_server("an internal error ended the session")
            raise

    def _end_server(self, why: str) -> None:
        self.has_failed = True
        complain(why)
        # The way a person would stop it: what is under way finishes, the database is closed.
        os.kill(os.getpid(), signal.SIGTERM)

    async def _until_closed(self, info: ReadyInfo) -> None:
        work = asyncio.create_task(self._work(info))
        closing = asyncio.create_task(self._is_closing.wait())
        closing.add_done_callback(lambda _: work.cancel())
        with suppress(asyncio.CancelledError):
            await work

    async def _work(self, info: ReadyInfo) -> None:
        async with AsyncExitStack() as stack:
            bundler = await stack.enter_async_context(Bundler(on_progress=tell))
            # It is on this machine: no proxy may get between.
            http = httpx.AsyncClient(timeout=_ANSWER_SECONDS_MAX, trust_env=False)
            await stack.enter_async_context(http)
            api = AsyncClient(
                info.token, api_url=info.url, org_id=info.organization_id, http_client=http
            )
            began = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
            workshops = [Workshop(file, api, bundler) for file in self._files]
            for workshop in workshops:
                stack.push_async_callback(workshop.close)
            await asyncio.gather(*(workshop.begin() for workshop in workshops))
            await asyncio.to_thread(_show_what_to_paste, info, self._files, workshops[0].code)
            await asyncio.gather(_follow_logs(api, began), _follow_files(workshops))


async def _follow_logs(api: AsyncClient, began: datetime) -> None:
    async for entry in api.logs.watch(began, interval_seconds=_LOG_INTERVAL_SECONDS):
        telling.log_entry(entry)


async def _follow_files(workshops: Sequence[Workshop]) -> None:
    while True:
        inputs = _inputs(workshops)
        folders = folders_of(inputs)
        async with aclosing(saves(inputs)) as changes:
            async for changed in changes:
                await _rebuild(workshops, changed)
                # Something else is imported now, or a folder came or went.
                if _inputs(workshops) != inputs or folders_of(inputs) != folders:
                    break


async def _rebuild(workshops: Sequence[Workshop], changed: frozenset[Path]) -> None:
    """Those that are made of what changed. Where it says no files, the watcher has only begun, and what was saved before it did is not known."""
    concerned = [
        workshop for workshop in workshops if not changed or _is_made_of(workshop, changed)
    ]
    await asyncio.gather(*(workshop.rebuild(only_news=not changed) for workshop in concerned))


def _is_made_of(workshop: Workshop, changed: frozenset[Path]) -> bool:
    # What changed may be a folder in which a file was missed.
    return any(
        path in workshop.inputs or any(path in wanted.parents for wanted in workshop.inputs)
        for path in changed
    )


def _inputs(workshops: Sequence[Workshop]) -> frozenset[Path]:
    return frozenset().union(*(workshop.inputs for workshop in workshops))


def _show_what_to_paste(info: ReadyInfo, files: Sequence[MachineFile], code: bytes | None) -> None:
    """`code` is that of the first file's machine, if it could be deployed."""
    # Only here, where it has been imported already.
    from statekeep.bootstrap import sign_in_link

    target = Target(url=info.url, token=info.token, organization=info.organization_id, is_near=True)
    with client_for(target) as api:
        key = kept_key(api, info.data_dir.resolve() / "dev-key.json", "dev")
    account = sign_in_link(info.data_dir, None, info.url)
    event = None if code is None else first_event(files[0].machine, code)
    welcome(info, files, end_user_token(key), account, event)
