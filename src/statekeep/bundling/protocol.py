"""Requests to the bundler and its answers, as lines of JSON. No I/O; `runtimes/javascript/bundler/frames.ts` is the other end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from statekeep.bundling.bundle import Diagnostic, Note, Place


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """What is built; all of it together tells one warm build from another."""

    path: str
    root: str
    dialect: str
    kind: str
    bytes_max: int


class PlaceFrame(msgspec.Struct, rename="camel"):
    """See Place."""

    file: str
    line: int
    column: int
    length: int
    line_text: str


class NoteFrame(msgspec.Struct):
    """See Note."""

    text: str
    place: PlaceFrame | None = None


class MessageFrame(msgspec.Struct):
    """See Diagnostic."""

    text: str
    place: PlaceFrame | None = None
    notes: list[NoteFrame] = []


class BundledFrame(msgspec.Struct):
    """A build that went well. Without code where that is larger than it may be."""

    bytes: int
    code: str
    map: str
    provided: list[str]
    weights: list[tuple[str, int]]
    warnings: list[MessageFrame]
    inputs: list[str]


class FailedFrame(msgspec.Struct):
    """One that did not."""

    errors: list[MessageFrame]
    warnings: list[MessageFrame]
    inputs: list[str]


class Frame(msgspec.Struct):
    """Anything that the bundler says: an answer with `re`, or a report with `op`."""

    re: int | None = None
    op: Literal["progress"] | None = None
    text: str = ""
    ok: BundledFrame | None = None
    failed: FailedFrame | None = None


_decode: Final = msgspec.json.Decoder(Frame).decode


def decode(line: bytes) -> Frame:
    """Raises msgspec.DecodeError where it is nothing that the bundler says."""
    return _decode(line)


def bundle(request_id: int, entry: Entry) -> bytes:
    """Build it, or build it again."""
    return msgspec.json.encode({"op": "bundle", "id": request_id, "entry": entry}) + b"\n"


def forget(entry: Entry) -> bytes:
    """Keep it warm no longer."""
    return msgspec.json.encode({"op": "forget", "entry": entry}) + b"\n"


def diagnostics_of(
    messages: Sequence[MessageFrame], working_folder: Path
) -> tuple[Diagnostic, ...]:
    """As values, with files below the working folder told from there."""

    def place_of(frame: PlaceFrame | None) -> Place | None:
        if frame is None:
            return None
        file = _shown(frame.file, working_folder)
        return Place(file, frame.line, frame.column, frame.length, frame.line_text)

    return tuple(
        Diagnostic(
            message.text,
            place_of(message.place),
            tuple(Note(note.text, place_of(note.place)) for note in message.notes),
        )
        for message in messages
    )


def _shown(file: str, working_folder: Path) -> str:
    path = Path(file)
    return str(path.relative_to(working_folder)) if path.is_relative_to(working_folder) else file
