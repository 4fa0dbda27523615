"""Questions to an author's HTTP mapping, whose answers may be promises: bounded in number, size and time.

A host answers at once that an answer is pending, so that its watchdog sees a loop and no promise. From then on it may die without being asked
again: nobody knows what the promise did outside.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

from statekeep.domain.errors import HttpMappingTimeout, Overloaded
from statekeep.domain.limits import HTTP_UNANSWERED_BYTES_MAX, HTTP_UNANSWERED_MAX
from statekeep.domain.names import InstanceId, VersionId
from statekeep.runtimes.host import Host
from statekeep.runtimes.process import HostDied
from statekeep.runtimes.protocol import HostFrame, bad_frame


class PendingAnswer(NamedTuple):
    """What a host said at once, and what it will be held to where that was not all: then `frame.pending` is true."""

    host: Host
    frame: HostFrame
    instance_id: InstanceId | None


class HttpQuestions:
    """What is asked of handlers and response mappers, of all versions."""

    def __init__(self, timeout: timedelta) -> None:
        self._timeout_s = timeout.total_seconds()
        self._count: Counter[VersionId] = Counter()
        self._bytes: Counter[VersionId] = Counter()

    @contextmanager
    def counted(self, version_id: VersionId, size: int) -> Iterator[None]:
        """Count a question for as long as the context lasts. Raises Overloaded where it is one too many; a single one is never too large."""
        count, size_before = self._count[version_id], self._bytes[version_id]
        if count >= HTTP_UNANSWERED_MAX or (
            count and size_before + size > HTTP_UNANSWERED_BYTES_MAX
        ):
            raise Overloaded("too many requests to this machine's endpoints wait for their answer")
        self._add(version_id, 1, size)
        try:
            yield
        finally:
            self._add(version_id, -1, -size)

    async def ask(
        self, host: Host, request: bytes, instance_id: InstanceId | None
    ) -> PendingAnswer:
        """Ask a host. Raises HostDied; otherwise `answer` has to be called."""
        if instance_id is not None:
            host.mapping[instance_id] += 1
        try:
            [frame] = await host.ask(request, may_wait=True)
        except BaseException:
            _leave(host, instance_id)
            raise
        return PendingAnswer(host, frame, instance_id)

    async def answer(self, pending: PendingAnswer) -> HostFrame:
        """The whole answer. Raises HttpMappingTimeout, and Overloaded where the host died: nothing is known to have come of it."""
        host, frame, instance_id = pending
        request_id = frame.re
        assert request_id is not None
        try:
            if frame.pending:
                async with asyncio.timeout(self._timeout_s):
                    frame = await host.pending[request_id]
        except TimeoutError:
            raise HttpMappingTimeout(
                f"the machine's endpoint did not answer within {self._timeout_s:g} s"
            ) from None
        except HostDied as death:
            raise Overloaded("the endpoint's process ended before it answered") from death
        finally:
            host.pending.pop(request_id, None)
            _leave(host, instance_id)
        if not frame.http and frame.error is None:
            raise bad_frame("an HTTP answer without content")
        return frame

    def _add(self, version_id: VersionId, count: int, size: int) -> None:
        self._count[version_id] += count
        self._bytes[version_id] += size
        if not self._count[version_id]:
            del self._count[version_id], self._bytes[version_id]


def _leave(host: Host, instance_id: InstanceId | None) -> None:
    if instance_id is None:
        return
    host.mapping[instance_id] -= 1
    if not host.mapping[instance_id]:
        del host.mapping[instance_id]
