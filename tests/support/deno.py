"""JavaScript for tests: the Deno that comes with the package, with a cache that all tests and runs share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import deno

ROOT = Path(__file__).parents[2]


def run_deno(
    *arguments: str,
    source: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """What `deno ARGUMENTS` prints on stdout, `source` being its stdin. Fails the test with all it printed where Deno fails.

    Packages come from npm, once: later runs find them in the checkout, as the build does.
    """
    result = subprocess.run(
        [deno.find_deno_bin(), *arguments],
        input=source,
        env=deno_environment(variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def deno_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of a Deno process: the cache of the checkout, no questions, no colours."""
    own = {
        "DENO_DIR": str(ROOT / "build" / "deno"),
        "DENO_TLS_CA_STORE": "system,mozilla",
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
    }
    return own | os.environ | dict(variables or {})


def run_module(source: str) -> str:
    """What an ES module in TypeScript prints, type-checked first; it may read files and the environment."""
    return run_deno(
        "run",
        "--check",
        "--no-config",
        "--no-lock",
        "--allow-env",
        "--allow-read",
        "--ext=ts",
        "-",
        source=source,
    )
