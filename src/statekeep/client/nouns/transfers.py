"""Exports and imports: machines with all their instances out of a server, and into one."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

from statekeep.client.errors import ApiError, UnreadableAnswerError
from statekeep.client.models import Imported
from statekeep.client.noun import Noun, Shell, iteration, operation
from statekeep.client.nouns.machines import MACHINE
from statekeep.client.steps import Content, Emit, Emits, Read, Request, Steps, ask

LINES: Final = "application/x-ndjson"


class Transfers(Noun[Shell]):
    """Exports and imports."""

    @iteration
    def export(
        self,
        *,
        machine_name: str | None = None,
        journal: Literal["all", "newest"] = "all",
    ) -> Emits[bytes]:
        """The organization, or one of its machines, as it is at this moment, in pieces of lines of JSON. Not all of it is ever in memory.

        Whole journals ("all"), or only the "newest" entry of each, which is the state. Raises ApiError at the end where the export is not whole:
        what was written of it until then is worth nothing.
        """
        path, names = (
            ("/export", {})
            if machine_name is None
            else (f"{MACHINE}/export", {"machine": machine_name})
        )
        yield Request("GET", path, names, {"journal": journal}, is_streamed=True)
        check = ExportCheck()
        while piece := (yield Read()):
            check.add(piece)
            yield Emit(piece)
        check.finish()

    @operation
    def import_(self, content: Content) -> Steps[Imported]:
        """Take what `export` made, whole or in pieces, into the organization: all of it at once, or nothing.

        An AsyncClient takes asynchronous iterables too. Raises AlreadyExistsError where a machine is there already.
        """
        headers = {"content-type": LINES}
        return ask(Request("POST", "/import", content=content, headers=headers), Imported)


class _End(msgspec.Struct):
    type: str | None = None
    sha256: str | None = None
    error: str | None = None


class ExportCheck:
    """Looks whether what passes by is a whole export. Keeps its last line only."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._line = bytearray()
        self.lines = 0
        """So many before the last one."""

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        self._line += piece
        # The last line may be the end, so it waits until there is another, complete or not.
        begin = self._line.rfind(b"\n", 0, -1) + 1
        self._sum.update(self._line[:begin])
        self.lines += self._line.count(b"\n", 0, begin)
        del self._line[:begin]

    def finish(self) -> None:
        """That was all of it. Raises ApiError where that cannot be."""
        try:
            end = msgspec.json.decode(self._line, type=_End)
        except (msgspec.DecodeError, UnicodeDecodeError):
            end = _End()
        if end.type == "error":
            raise ApiError(f"the server ended the export early: {end.error}")
        if end.type != "end" or end.sha256 != self._sum.hexdigest():
            raise UnreadableAnswerError("the export was cut off: try again")
