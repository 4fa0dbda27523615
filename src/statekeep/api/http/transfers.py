"""Exports and imports over HTTP: a line after the other, in both directions no faster than the other side goes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final

from starlette.requests import Request

from statekeep.api.http import export_lines
from statekeep.api.http.authentication import caller_of
from statekeep.api.http.body import stream_body
from statekeep.api.http.reply import Headers, Reply, StreamReply, answer_reply
from statekeep.api.http.route import machine_in_path
from statekeep.api.http.services import Services
from statekeep.application.exports import Export
from statekeep.application.imports import Import, ImportSummary
from statekeep.domain.errors import InvalidParameter, StatekeepError, TooLarge
from statekeep.domain.limits import (
    EXPORT_STALL_TIMEOUT,
    IMPORT_LINE_BYTES_MAX,
    IMPORT_RECORD_BYTES_MAX,
)
from statekeep.domain.transfer import JournalPart, Record
from statekeep.wire import answers
from statekeep.wire import transfers as wire
from statekeep.wire.codecs import Malformed

NDJSON: Final = "application/x-ndjson"
_HEADERS: Final[Headers] = [
    (b"content-type", NDJSON.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_ANY_SIZE: Final = 2**62


class ExportResponder:
    """The organization, or the machine in the path."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Reply | StreamReply:
        services = self._services
        headers = dict(request.scope["headers"])
        caller = await caller_of(headers, services.authenticator, services.rate_limits)
        name = request.path_params.get("machine")
        machine = None if name is None else machine_in_path(name)
        export = await services.exports.begin(caller, machine, _journal_part(request))
        if request.method == "HEAD":
            return Reply(200, _HEADERS, b"")
        # What is wrong from the beginning is an answer like any other.
        first: Sequence[Record] = await anext(export.portions, [])
        parts = _parts(export, first)
        return StreamReply(200, _HEADERS, parts, EXPORT_STALL_TIMEOUT.total_seconds())


def _journal_part(request: Request) -> JournalPart:
    text = request.query_params.get("journal") or JournalPart.ALL.value
    try:
        return JournalPart(text)
    except ValueError:
        raise InvalidParameter("journal is all or newest", parameter="journal") from None


async def _parts(export: Export, first: Sequence[Record]) -> AsyncGenerator[bytes, None]:
    writer = _Writer()
    async with aclosing(export.portions) as portions:
        yield writer.text([export_lines.header_line(export), *map(export_lines.line_of, first)])
        try:
            async for portion in portions:
                yield writer.text([export_lines.line_of(record) for record in portion])
        except StatekeepError as error:
            yield wire.encode_line(wire.Failure(error.message))
            return
    yield writer.end()


class _Writer:
    """Counts lines and sums them up."""

    def __init__(self) -> None:
        self._lines = 0
        self._sum = hashlib.sha256()

    def text(self, lines: Sequence[wire.Line]) -> bytes:
        text = b"".join(map(wire.encode_line, lines))
        self._lines += len(lines)
        self._sum.update(text)
        return text

    def end(self) -> bytes:
        return wire.encode_line(wire.End(self._lines, self._sum.hexdigest()))


class ImportResponder:
    """Takes an export into the caller's organization."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, request: Request) -> Reply:
        services = self._services
        headers = dict(request.scope["headers"])
        caller = await caller_of(headers, services.authenticator, services.rate_limits)
        async with services.imports.begin(caller) as running:
            reading = _Reading(running)
            body = stream_body(request.receive, bytes_max=_ANY_SIZE)
            async with aclosing(_lines_of(body)) as lines:
                async for line in lines:
                    await reading.take(line)
            reading.require_end()
            # The last thing that can fail: from here on it is there.
            summary = await running.finish()
        return answer_reply(200, _answer(summary))


class _Reading:
    """Lines on their way into an import. An error names the line that was being read."""

    def __init__(self, running: Import) -> None:
        self._running = running
        self._number = 0
        self._sum = hashlib.sha256()
        self._has_ended = False

    async def take(self, line: bytes) -> None:
        """The next line, with its end."""
        self._number += 1
        try:
            await self._take(line)
        except Malformed as error:
            message = f"line {self._number}: {error.message}"
            raise InvalidParameter(message, parameter=error.field) from error
        except StatekeepError as error:
            error.message = f"line {self._number}: {error.message}"
            raise

    def require_end(self) -> None:
        """Raises InvalidParameter where the last line was not the end of an export."""
        if not self._has_ended:
            raise InvalidParameter(
                f"the export is cut off after line {self._number}: it has no end, and nothing of it was imported"
            )

    async def _take(self, line: bytes) -> None:
        if self._has_ended:
            raise InvalidParameter("there is something behind the end of the export")
        decoded = wire.decode_line(line.rstrip(b"\r\n"))
        if not isinstance(decoded, wire.Version | wire.Migration):
            _require_size(line, IMPORT_RECORD_BYTES_MAX)
        if self._number == 1:
            _require_header(decoded)
        elif isinstance(decoded, wire.End):
            self._require_same(decoded)
            self._has_ended = True
        elif isinstance(decoded, wire.Failure):
            raise InvalidParameter(f"the export did not come to its end: {decoded.error}")
        else:
            await self._running.accept(export_lines.record_of(decoded))
        self._sum.update(line)

    def _require_same(self, end: wire.End) -> None:
        if (end.lines, end.sha256) != (self._number - 1, self._sum.hexdigest()):
            raise InvalidParameter(
                "the lines before the end are not those that were exported: some are missing, or were changed"
            )


def _require_header(line: wire.AnyLine) -> None:
    if not isinstance(line, wire.Header) or line.format != wire.FORMAT:
        raise InvalidParameter(f"this is no export: those begin with the format {wire.FORMAT}")
    if line.version != wire.FORMAT_VERSION:
        raise InvalidParameter(
            f"this export has the format's version {line.version}, and this server knows {wire.FORMAT_VERSION}:"
            " import it with the release that exported it, or a later one"
        )


async def _lines_of(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The lines with their ends, the last one perhaps without. Raises TooLarge for one that does not end."""
    rest = bytearray()
    async for part in body:
        begin = 0
        while (end := part.find(b"\n", begin) + 1) > 0:
            rest += part[begin:end]
            line, rest = bytes(rest), bytearray()
            begin = end
            _require_size(line, IMPORT_LINE_BYTES_MAX)
            yield line
        rest += part[begin:]
        _require_size(rest, IMPORT_LINE_BYTES_MAX)
        # There may be more at hand: let others get a word in.
        await asyncio.sleep(0)
    if rest:
        yield bytes(rest)


def _require_size(line: bytes | bytearray, bytes_max: int) -> None:
    if len(line) > bytes_max:
        raise TooLarge(f"this line of an export is longer than {bytes_max} bytes")


def _answer(summary: ImportSummary) -> answers.Imported:
    return answers.Imported(
        machines=list(summary.machines),
        versions=summary.versions,
        migrations=summary.migrations,
        instances=summary.instances,
        entries=summary.entries,
        timers=summary.timers,
        changed_version_ids={str(old): str(new) for old, new in summary.version_ids.items()},
    )
