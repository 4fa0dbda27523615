"""Every file in docs/testing.md is written down and tested as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"
FILE = re.compile(r"^```(?:ts|python|json)\n(?:#|//) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_files_of_the_document_work_together(pytester, run_pytest):
    files = dict(FILE.findall(DOCUMENT.read_text()))
    assert {"door.ts", "test_door.py"} <= files.keys()
    for name, text in files.items():
        pytester.path.joinpath(name).write_text(text)
    tests = sum(text.count("\ndef test_") + text.startswith("def test_") for text in files.values())
    outcomes = run_pytest().parseoutcomes()
    # One that asks for paths is several.
    assert outcomes.keys() == {"passed"}
    assert outcomes["passed"] >= tests > 0
