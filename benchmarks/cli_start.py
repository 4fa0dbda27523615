"""How long the command line takes until it is done, from a shell's point of view.

    python benchmarks/cli_start.py [--rounds 21] [--json]

`python` is the interpreter alone, what nothing here can be quicker than; `import` is `import statekeep.client` in it. `list` asks a server on this machine, which is started for it, and `mistake` is told of before anybody is asked.
Each round runs all of them, one after the other, so that what else the machine does meets all alike. Medians and the quickest, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STATEKEEP = str(Path(sys.executable).parent / "statekeep")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=21)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)):
        results = measure(Path(folder), options.rounds)
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for what, figure in results.items():
        print(f"{what:<12} {figure}")


def commands() -> dict[str, Sequence[str]]:
    """What is run, by what it is called in the results."""
    return {
        "python": (sys.executable, "-c", "pass"),
        "import": (sys.executable, "-c", "import statekeep.client"),
        "--version": (STATEKEEP, "--version"),
        "--help": (STATEKEEP, "--help"),
        "list --help": (STATEKEEP, "machines", "list", "--help"),
        "mistake": (STATEKEEP, "machines", "lsit"),
        "list": (STATEKEEP, "machines", "list", "--data-dir", "data"),
    }


def measure(folder: Path, rounds: int) -> dict[str, str]:
    """All figures."""
    for command in commands().values():
        seconds(command, folder)  # Compiles what it imports.
    took: dict[str, list[float]] = {what: [] for what in commands()}
    for _ in range(rounds):
        for what, command in commands().items():
            took[what].append(seconds(command, folder))
    return {what: told(durations) for what, durations in took.items()}


def seconds(command: Sequence[str], folder: Path) -> float:
    """From before the process is made to after its end."""
    began = time.perf_counter()
    ended = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, check=False
    )
    took = time.perf_counter() - began
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    return took


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """One that listens, with its data in `data`."""
    command = (STATEKEEP, "serve", "--port", "0", "--data-dir", "data")
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stderr is not None
        next(line for line in serving.stderr if '"ready"' in line)
        yield
        serving.terminate()


def environment(folder: Path) -> dict[str, str]:
    """Without what is set for whoever runs this, and with compiled modules, which an installation has."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SMPLY", "STATEKEEP", "PYTHON"))
    }
    return {**ours, "HOME": str(folder), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def told(durations: list[float]) -> str:
    """Of several rounds."""
    return f"{statistics.median(durations) * 1000:.0f} (quickest {min(durations) * 1000:.0f})"


if __name__ == "__main__":
    main()
