"""What commands say, and to whom."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime

import pytest

from statekeep.cli import output

ROWS: list[dict[str, object]] = [
    {"name": "a", "version": {"id": "ver_1"}, "tags": ["x"]},
    {"name": "[red]b", "version": None, "tags": []},
]
COLUMNS = {"name": "Name", "version.id": "Version", "tags": "Tags"}


class Terminal(io.StringIO):
    """A terminal that shows nothing."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def seen(monkeypatch):
    """`seen(function, ...)`: what a person at a wide screen sees on stdout when it is called so."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def seen(function, *arguments) -> str:
        with redirect_stdout(Terminal()) as shown:
            function(*arguments)
        return shown.getvalue()

    return seen


@pytest.mark.parametrize("pages", [[], [[]], [ROWS], [ROWS, [], ROWS]])
def test_a_list_is_one_array_for_programs(pages, capsys):
    """However many pages it came in, and indented as JSON.stringify does it."""
    output.show_pages(pages, COLUMNS)
    out, err = capsys.readouterr()
    rows = [row for page in pages for row in page]
    assert (out, err) == (json.dumps(rows, indent=2) + "\n", "")


def test_what_cannot_be_listed_leaves_nothing_behind(capsys):
    """No bracket that nobody closes."""

    def refused():
        yield from ()
        raise output.CommandFailed("there is no such machine")

    with pytest.raises(output.CommandFailed):
        output.show_pages(refused(), COLUMNS)
    assert capsys.readouterr().out == ""


def test_text_is_left_as_it_is(capsys):
    """Neither escaped nor taken for markup."""
    output.show({"name": "Zoë [b]"})
    assert capsys.readouterr().out == '{\n  "name": "Zoë [b]"\n}\n'


def test_a_list_is_a_table_on_a_terminal(seen):
    """With text as it is, and nothing where there is none."""
    table = seen(output.show_pages, [ROWS], COLUMNS)
    assert all(title in table.splitlines()[0] for title in COLUMNS.values())
    assert "ver_1" in table
    assert "[red]b" in table
    assert "None" not in table


def test_tables_are_for_reading(seen):
    """Local times without fractions of seconds, and no column that would be empty."""
    rows = [{"at": "2026-11-24T17:00:00.123Z", "name": "2026-11-24", "none": None}]
    columns = {"at": "Time", "name": "Name", "none": "Nothing"}
    table = re.sub(r"\x1b\[\d+m", "", seen(output.show_pages, [rows], columns))
    local = datetime(2026, 11, 24, 17, tzinfo=UTC).astimezone()
    assert [line.split() for line in table.splitlines()] == [
        ["Time", "Name"],
        [*f"{local:%Y-%m-%d %H:%M:%S}".split(), "2026-11-24"],
    ]


def test_ids_are_whole_however_narrow_the_terminal_is(seen, monkeypatch):
    """What has lost its last letter is no id."""
    monkeypatch.setenv("COLUMNS", "50")
    row = {name: f"{name}_MC7pkwR1uMDy5L_zJ8lUSQ" for name in ("org", "ver", "mig")}
    table = seen(output.show_pages, [[row]], {name: name for name in row})
    assert set(row.values()) <= set(table.split())
    about = {"name": "kitchen", "about": "so much that it is folded where the terminal ends"}
    columns = {"name": "Name", "about": "About"}
    folded = re.sub(r"\x1b\[\d+m", "", seen(output.show_pages, [[about]], columns))
    assert max(len(line.rstrip()) for line in folded.splitlines()) <= 50
    assert len(folded.splitlines()) == 3


def test_only_the_name_of_the_program_is_coloured(seen):
    """What went wrong may be long."""
    with redirect_stderr(Terminal()) as shown:
        seen(output.complain, "the disk is full")
    assert shown.getvalue() == "\x1b[1;31mstatekeep: \x1b[0mthe disk is full\n"


def test_a_terminal_gets_json_where_that_was_chosen(seen):
    """All pages of it, without a question."""
    assert json.loads(seen(output.show_pages, [ROWS, ROWS], COLUMNS, "json")) == ROWS + ROWS


def test_nothing_is_said_to_be_nothing(seen, capsys):
    """On stderr, since it is no result."""
    assert seen(output.show_pages, [[]], COLUMNS) == ""
    assert capsys.readouterr().err == "There are none.\n"


def test_a_table_can_be_had_anywhere(capsys):
    """Of one thing too."""
    output.show_pages([ROWS], COLUMNS, "table")
    output.show(ROWS[0], "table")
    out = capsys.readouterr().out
    assert "Version" in out
    assert '{"id": "ver_1"}' in out


def test_the_next_page_comes_when_it_is_wanted(seen, monkeypatch, capsys):
    """Enter is yes, and q is no."""
    monkeypatch.setattr("sys.stdin", Terminal("\nq\n"))
    pages = [[{"name": str(number)}] for number in range(1, 9)]
    lines = seen(output.show_pages, pages, {"name": "Name"}).splitlines()
    assert [line.strip() for line in lines if line.strip().isdigit()] == ["1", "2"]
    assert capsys.readouterr().err.count("Press enter for more (q + Enter to quit)...") == 2


def test_json_is_coloured_on_a_terminal_only(seen, monkeypatch):
    """And not where NO_COLOR is set."""
    assert "\x1b[" in seen(output.show, {"a": 1})
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in seen(output.show, {"a": 1})
