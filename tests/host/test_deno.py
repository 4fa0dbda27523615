"""Runs the Deno tests of the host: `deno test`, one folder at a time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import deno
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# Where the folder has a deno.json of its own, that one counts.
FOLDERS = sorted({path.parent.relative_to(HERE) for path in HERE.glob("*/*_test.ts")})


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_deno_tests_pass(folder: Path) -> None:
    """Every test in the folder passes, type-checked."""
    own = HERE / folder / "deno.json"
    config = own if own.exists() else HERE / "deno.json"
    result = subprocess.run(
        [deno.find_deno_bin(), "test", "--quiet", "-A", f"--config={config}", str(folder)],
        cwd=HERE,
        env={
            "DENO_DIR": str(ROOT / "build" / "deno"),
            "DENO_TLS_CA_STORE": "system,mozilla",
            "DENO_NO_UPDATE_CHECK": "1",
            "NO_COLOR": "1",
        }
        | os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 failed" in result.stdout
