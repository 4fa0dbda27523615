"""How far long work is: on stderr, where that is a terminal.

Rich is imported where something is to be seen, as in output.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


@contextmanager
def byte_progress(what: str) -> Iterator[Callable[[int], None]]:
    """A function that counts bytes while the context lasts."""
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.progress import (
        DownloadColumn,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn(what), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with _progress(*columns) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.advance(task, count)


@contextmanager
def busy(what: str) -> Iterator[Callable[[str], None]]:
    """Says what is being done while the context lasts, and lets it be said more exactly."""
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.progress import SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    with _progress(*columns) as progress:
        task = progress.add_task(what, total=None)
        yield lambda text: progress.update(task, description=text)


@contextmanager
def item_progress(what: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """A function that says how many are done, of how many where that is known, and what else there is to say."""
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), text, TimeElapsedColumn())
    with _progress(*columns) as progress:
        task = progress.add_task("", total=None)

        def show(done: int, total: int | None, text: str) -> None:
            progress.update(task, completed=done, total=total, description=text)

        yield show


def _nothing(*_: Any) -> None:
    return


def _progress(*columns: ProgressColumn) -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    # What is over need not be seen any more: the result says what came of it.
    return Progress(*columns, console=Console(stderr=True), transient=True)
