"""How long it takes from saving a file to its machine being deployed, as `statekeep dev` does it.

    python benchmarks/dev.py [--rounds 30] [--instances 100] [--json]

A session with the machine that comes with the package and some instances. Each round saves a change, and looks when the server has another current version: that is what
`deployed` is, the time that the watcher takes included; `moved` is when all instances are of that version. Medians and the worst, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import statekeep
from statekeep.client import Client

EXAMPLE = Path(statekeep.__file__).parent / "examples/turnstile/turnstile.ts"
SECONDS_MAX = 60
LOOK_EVERY_SECONDS = 0.002


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--instances", type=int, default=100)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options.rounds, options.instances)
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for what, figure in results.items():
        print(f"{what:<9} {figure}")


def measure(folder: Path, rounds: int, instances: int) -> dict[str, str]:
    """All figures."""
    file = Path(shutil.copy(EXAMPLE, folder / "turnstile.ts"))
    source = file.read_text()
    command = [sys.executable, "-m", "statekeep", "dev", "--port", "0", file.name]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        next(line for line in session.stdout if "Ctrl-C" in line)
        # What it says further on must not fill the pipe.
        draining = subprocess.Popen(["cat"], stdin=session.stdout, stdout=subprocess.DEVNULL)
        deployed, moved = [], []
        with client(folder) as api:
            for n in range(instances):
                api.machine_instances.create("turnstile", f"i{n}")
            for n in range(rounds):
                before = current_version(api)
                began = time.perf_counter()
                save(file, f"{source}\nexport const round = {n};\n")
                wait(lambda before=before: current_version(api) != before)
                deployed.append(time.perf_counter() - began)
                version = current_version(api)
                wait(lambda version=version: all_are_of(api, version))
                moved.append(time.perf_counter() - began)
        session.send_signal(signal.SIGINT)
        draining.wait()
    return {"deployed": told(deployed), "moved": told(moved)}


def client(folder: Path) -> Client:
    """That of the first admin."""
    admin = json.loads((folder / ".statekeep/credentials.json").read_text())
    return Client(admin["token"], api_url=admin["apiUrl"], org_id=admin["orgId"])


def save(file: Path, text: str) -> None:
    """As editors do."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, file)


def current_version(api: Client) -> str:
    version = api.machines.get("turnstile").current_version
    assert version is not None
    return version.id


def all_are_of(api: Client, version: str) -> bool:
    found = api.machine_instances.list("turnstile")
    return all(instance.machine_version.id == version for instance in found)


def wait(is_so: Callable[[], bool]) -> None:
    """Until it is."""
    ends_at = time.monotonic() + SECONDS_MAX
    while not is_so():
        assert time.monotonic() < ends_at, "it never came about"
        time.sleep(LOOK_EVERY_SECONDS)


def told(seconds: list[float]) -> str:
    """Of several rounds."""
    return f"{statistics.median(seconds) * 1000:.0f} (worst {max(seconds) * 1000:.0f})"


if __name__ == "__main__":
    main()
