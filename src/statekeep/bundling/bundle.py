"""What a build comes to: a bundle, or diagnostics that say where in the author's files something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FRAME_WIDTH: Final = 100
"""Characters of a line that are shown: it may be that of a minified package."""


@dataclass(frozen=True, slots=True)
class Place:
    """Some characters of a source file. `file` is relative to the working folder where it is below it, and may be an address."""

    file: str
    line: int
    """From 1, as `column`."""
    column: int
    length: int
    line_text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def code_frame(self) -> str:
        """The line with its number, and under it what is meant."""
        start = max(0, self.column - 1 - _FRAME_WIDTH // 2) if self._is_long else 0
        shown = self.line_text[start : start + _FRAME_WIDTH] if self._is_long else self.line_text
        before = shown[: self.column - 1 - start]
        number = str(self.line)
        # Tabs stay tabs, so that the marks stand where the reader's terminal puts the characters.
        blank = "".join("\t" if character == "\t" else " " for character in before)
        marks = "^" * max(1, min(self.length, len(shown) - len(before)))
        return f"  {number} | {shown}\n  {' ' * len(number)} | {blank}{marks}"

    @property
    def _is_long(self) -> bool:
        return len(self.line_text) > _FRAME_WIDTH


@dataclass(frozen=True, slots=True)
class Note:
    """What helps to understand a diagnostic."""

    text: str
    place: Place | None = None

    def __str__(self) -> str:
        return _placed(self.text, self.place)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something that is wrong, or may be. As text it is what a terminal shows: place, message, code frame, notes."""

    text: str
    place: Place | None = None
    notes: tuple[Note, ...] = ()

    def __str__(self) -> str:
        return "\n".join([_placed(self.text, self.place), *map(str, self.notes)])


def _placed(text: str, place: Place | None) -> str:
    return text if place is None else f"{place}: {text}\n{place.code_frame()}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """One ES module that imports nothing but what servers provide, and fits their bounds (SPEC 4 and 10)."""

    code: bytes
    """UTF-8. Ends with a source map, unless there was no room for one."""
    gzipped: bytes
    """The same as it is uploaded. Equal code makes equal bytes."""
    has_source_map: bool
    """Whether stacks on the server will show the author's files. Names in it are relative to the project; no text of sources is."""
    imports: tuple[str, ...]
    """The specifiers that the server provides, such as `npm:xstate@5`, sorted."""
    inputs: tuple[Path, ...]
    """The author's files that decided what came of it, sorted: once one of them changes, build again. Packages are not among them."""
    warnings: tuple[Diagnostic, ...]


class BundlingError(Exception):
    """Root of what can go wrong here."""


class BundlerUnavailable(BundlingError):
    """The bundler could not be started, or ended unasked. No fault of the author's files; the message says what to do."""


class BuildFailed(BundlingError):
    """The author's files do not make a bundle. As text: all `errors`, as a terminal shows them."""

    def __init__(
        self,
        errors: tuple[Diagnostic, ...],
        *,
        warnings: tuple[Diagnostic, ...] = (),
        inputs: tuple[Path, ...] = (),
    ) -> None:
        super().__init__("\n\n".join(map(str, errors)))
        self.errors = errors
        self.warnings = warnings
        self.inputs = inputs
        """As those of a bundle, and files that were missed: once one of them changes or is there, it may go well."""
