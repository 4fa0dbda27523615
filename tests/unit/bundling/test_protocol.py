from __future__ import annotations

from pathlib import Path

import pytest

from statekeep.bundling.protocol import MessageFrame, NoteFrame, PlaceFrame, diagnostics_of


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("/home/ada/project/src/a.ts", "src/a.ts"),
        ("/home/ada/other/a.ts", "/home/ada/other/a.ts"),
        ("https://example.com/a.ts", "https://example.com/a.ts"),
    ],
)
def test_files_are_told_from_the_working_folder(file, shown):
    """Where they are below it. Notes too; addresses are left alone."""
    place = PlaceFrame(file, 1, 2, 3, "text")
    message = MessageFrame("wrong", place, [NoteFrame("see", place), NoteFrame("so")])

    [diagnostic] = diagnostics_of([message], Path("/home/ada/project"))

    assert diagnostic.place is not None
    assert diagnostic.place.file == shown
    assert diagnostic.notes[0].place == diagnostic.place
    assert diagnostic.notes[1].place is None
