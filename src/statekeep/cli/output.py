"""What commands say: results on stdout, everything else on stderr.

Rich colours only what goes to a terminal, and nothing where NO_COLOR is set. It takes a while to import, and most output goes to
programs or fails in one line, so it is imported where something is to be seen.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

Row = Mapping[str, Any]
Columns = Mapping[str, str]
"""Where in a row the values of a table are, such as machineVersion.id, and what stands above each."""

_NAMES: Final = ("statekeep", "smply")
_TYPED: Final = Path(sys.argv[0]).stem
PROGRAM: Final = _TYPED if _TYPED in _NAMES else _NAMES[0]
"""The name that was typed, of the two that the program has."""

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
"""As servers write them."""
_ID_WIDTH: Final = 26
"""As in ver_ and 22 characters."""
_TABLE_WIDTH_MAX: Final = 1_000
"""Columns of the widest line that is printed whole, for a terminal to fold."""
_MORE: Final = "Press enter for more (q + Enter to quit)... "


class CommandFailed(Exception):
    """A command could not do its work; the message is for the person who typed it. Ends the process with 1."""


class Misused(Exception):
    """What was typed makes no sense together; the message says what would. Ends the process with 2."""


def say(text: str = "") -> None:
    """A line of the result, exactly as it is: never wrapped, so that it can be copied, and seen at once, in a pipe too."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell(message: str) -> None:
    """What happened, to the person who typed: no result that a program may want."""
    sys.stderr.write(message + "\n")


def warn(message: str) -> None:
    """What they may not have meant, while the command goes on."""
    _tell_coloured("warning: ", "bold yellow", message)


def complain(message: str) -> None:
    """Why it did not work."""
    _tell_coloured(f"{PROGRAM}: ", "bold red", message)


def show(value: Any, format_: str | None = None) -> None:
    """A result that is one thing: JSON, coloured on a terminal, or a table of its fields."""
    if format_ == "table" and isinstance(value, Mapping):
        rows = [{"field": name, "value": part} for name, part in value.items()]
        _show_tables([rows], {"field": "", "value": ""})
    elif sys.stdout.isatty():
        _console().print_json(data=value, ensure_ascii=False)
    else:
        say(json.dumps(value, indent=2, ensure_ascii=False))


def show_pages(
    pages: Iterable[Sequence[Row]], columns: Columns, format_: str | None = None
) -> None:
    """A result that is a list, as it comes: one JSON array of all pages, or a table for each page.

    On a terminal the next page is fetched when the reader wants it.
    """
    if format_ == "table" or (format_ is None and sys.stdout.isatty()):
        _show_tables(pages, columns)
    else:
        _show_array(pages)


def _show_array(pages: Iterable[Sequence[Row]]) -> None:
    # Indented as if it had been written at once, but never all of it in memory. Nothing comes before a row: where there is nothing to
    # list, the error stands alone.
    separator = "[\n"
    for page in pages:
        for row in page:
            text = json.dumps(row, indent=2, ensure_ascii=False)
            sys.stdout.write(separator + "  " + text.replace("\n", "\n  "))
            separator = ",\n"
        sys.stdout.flush()
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _show_tables(pages: Iterable[Sequence[Row]], columns: Columns) -> None:
    shown = 0
    for page in pages:
        # There is another page, and only now is it known.
        if shown and not _wants_more():
            return
        if page:
            _print_whole(_table(page, columns))
        shown += len(page)
    if not shown:
        tell("There are none.")


def _print_whole(table: Any) -> None:
    """As wide as the terminal, or as its ids: Rich would cut them off, and what has lost its last letter is no id any more."""
    console = _console()
    needed = console.measure(table, options=console.options.update(max_width=_TABLE_WIDTH_MAX))
    console.width = max(console.width, needed.minimum)
    console.print(table, soft_wrap=False)


def _wants_more() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    sys.stderr.write(_MORE)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() != "q"


def _table(rows: Sequence[Row], columns: Columns) -> Any:
    """Without columns that would be empty: the width of a terminal is scarce."""
    from rich.table import Table
    from rich.text import Text

    cells = {path: [_cell(row, path) for row in rows] for path in columns}
    shown = [path for path in columns if any(cells[path])]
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
        show_header=any(columns.values()),
    )
    for path in shown:
        # Ids are copied, so what must be folded are the longer things beside them.
        width = max(map(len, (columns[path], *cells[path])))
        is_short = width <= _ID_WIDTH
        table.add_column(
            columns[path],
            overflow="fold",
            no_wrap=is_short,
            min_width=width if is_short else None,
        )
    for line in zip(*(cells[path] for path in shown), strict=True):
        # Text, since what a user named may look like markup.
        table.add_row(*map(Text, line))
    return table


def _cell(row: Row, path: str) -> str:
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return _local_time(value) if _INSTANT.fullmatch(value) else value


def _local_time(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M:%S}"


def _console(stream: TextIO | None = None) -> Console:
    from rich.console import Console

    return Console(
        file=stream or sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


def _tell_coloured(prefix: str, style: str, message: str) -> None:
    if not sys.stderr.isatty():
        tell(prefix + message)
        return
    from rich.text import Text

    _console(sys.stderr).print(Text.assemble((prefix, style), message))
