from __future__ import annotations

from statekeep.bundling.bundle import BuildFailed, Diagnostic, Note, Place


def test_a_diagnostic_reads_as_compilers_write_it():
    """Place, message and code frame, then the notes with theirs."""
    diagnostic = Diagnostic(
        "Unexpected thing",
        Place("src/a.ts", 12, 5, 3, "let foo = 1;"),
        (Note("It began here", Place("src/b.ts", 1, 1, 1, "{")), Note("Close it.")),
    )

    assert str(diagnostic) == (
        "src/a.ts:12:5: Unexpected thing\n"
        "  12 | let foo = 1;\n"
        "     |     ^^^\n"
        "src/b.ts:1:1: It began here\n"
        "  1 | {\n"
        "    | ^\n"
        "Close it."
    )


def test_without_a_place_there_is_the_message_only():
    assert str(Diagnostic("The bundle is too large")) == "The bundle is too large"


def test_the_marks_stand_under_what_they_mean():
    """Behind tabs, at the end of a line where nothing is left, and for things that go on in the next line."""
    assert Place("a", 1, 3, 2, "\t\tab").code_frame() == "  1 | \t\tab\n    | \t\t^^"
    assert Place("a", 1, 3, 0, "ab").code_frame() == "  1 | ab\n    |   ^"
    assert Place("a", 1, 2, 50, "abc").code_frame() == "  1 | abc\n    |  ^^"


def test_of_a_long_line_only_the_surroundings_are_shown():
    """As of minified packages. The marks stand where they belong all the same."""
    line = "x" * 5_000 + "HERE" + "y" * 5_000

    shown, marks = Place("a", 1, 5_001, 4, line).code_frame().splitlines()

    assert len(shown) < 120
    assert shown.index("HERE") == marks.index("^^^^")


def test_a_failed_build_tells_all_errors():
    failed = BuildFailed((Diagnostic("one"), Diagnostic("two")))

    assert str(failed) == "one\n\ntwo"
