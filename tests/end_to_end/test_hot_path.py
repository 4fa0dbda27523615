"""What an event and a creation cost the server in Python does not grow unnoticed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "hot_path.py"


def test_the_hot_path_costs_what_is_on_record() -> None:
    """Within a seventh, in instructions of the interpreter, which no other load on the machine changes."""
    checked = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=300
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_step_back_is_told(monkeypatch, tmp_path) -> None:
    """And a step ahead, so that the record follows it; nothing of another version of Python."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    hot_path = importlib.import_module("hot_path")
    record = tmp_path / "hot_path.json"
    monkeypatch.setattr(hot_path, "RECORD", record)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    record.write_text(json.dumps({"python": python, "event": 1_000}))
    assert [bool(hot_path.compare({"event": n})) for n in (840, 860, 1_140, 1_160)] == [
        True,
        False,
        False,
        True,
    ]
    record.write_text(json.dumps({"python": "2.7", "event": 1_000}))
    assert hot_path.compare({"event": 9_000}) is None
