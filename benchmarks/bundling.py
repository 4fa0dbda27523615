"""How long it takes to bundle a machine: from nothing, and again after its file was saved.

    python benchmarks/bundling.py [--rounds 30] [--json]

`example` is the machine that comes with the package. `project` is one of 200 modules in TypeScript with a package of 300 kB, as an
application grown for years may be. `first` starts a bundler, `again` saves a change and asks a warm one, both until there is something to upload; `inspect` is what a server does with it before it publishes
it. `size` is what is uploaded, with its source map. Medians and the worst, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import statekeep
from statekeep.bundling import Bundler, Dialect, inspect_machine

FIRST_ROUNDS = 5
MODULES = 200
EXAMPLE = Path(statekeep.__file__).parent / "examples/turnstile/turnstile.ts"


def example(folder: Path) -> Path:
    """A copy of the example."""
    return Path(shutil.copy(EXAMPLE, folder / "machine.ts"))


def project(folder: Path) -> Path:
    """A machine with many modules, each with a function of some lines, and a package that is taken whole."""
    (folder / "package.json").write_text("{}")
    package = folder / "node_modules/big"
    package.mkdir(parents=True)
    functions = [
        f"exports.f{n} = function (a) {{ return a + {n} + '{'x' * 80}'; }};" for n in range(2_500)
    ]
    (package / "index.js").write_text("\n".join(functions))
    for n in range(MODULES):
        body = "\n".join(f"  if (value === {i}) return `{n}/{i}`;" for i in range(30))
        text = f"export function module{n}(value: number): string {{\n{body}\n  return '';\n}}\n"
        (folder / f"module{n}.ts").write_text(text)
    imports = "\n".join(f'import {{ module{n} }} from "./module{n}";' for n in range(MODULES))
    calls = ", ".join(f"module{n}" for n in range(MODULES))
    machine = (
        EXAMPLE.read_text()
        + f'\n{imports}\nimport big from "big";\nexport const used = [{calls}, big];\n'
    )
    (folder / "machine.ts").write_text(machine)
    return folder / "machine.ts"


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    results: dict[str, Any] = {}
    for make, dialect in ((example, Dialect.DENO), (project, Dialect.NODE)):
        with tempfile.TemporaryDirectory() as folder:
            results[make.__name__] = await measure(make(Path(folder)), dialect, options.rounds)
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for name, result in results.items():
        print(name)
        for what, figure in result.items():
            print(f"  {what:<8} {figure}")


async def measure(entry: Path, dialect: Dialect, rounds: int) -> dict[str, Any]:
    """All figures of one machine."""
    first = []
    for _ in range(FIRST_ROUNDS):
        async with Bundler() as bundler:
            first.append((await clocked(lambda: bundler.bundle(entry, dialect)))[0])
    results: dict[str, Any] = {"first": told(first)}
    save = saving(entry)
    async with Bundler() as bundler:
        bundle = await bundler.bundle(entry, dialect)
        again = []
        for n in range(rounds):
            save(n)
            elapsed, bundle = await clocked(lambda: bundler.bundle(entry, dialect))
            assert f"={n}".encode() in bundle.code
            again.append(elapsed)
        results["again"] = told(again)
    inspected = [
        (await clocked(lambda: inspect_machine(bundle.code)))[0] for _ in range(FIRST_ROUNDS)
    ]
    results["inspect"] = told(inspected)
    results["size"] = (
        f"{len(bundle.code) / 1000:.1f} kB, {len(bundle.gzipped) / 1000:.1f} kB gzipped"
    )
    return results


def saving(entry: Path) -> Callable[[int], object]:
    """What saves the file with another change each time."""
    text = entry.read_text()
    return lambda n: entry.write_text(f"{text}\nexport const round = {n};\n")


async def clocked(act: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    """Milliseconds, and what came of it."""
    began = time.perf_counter()
    result = await act()
    return (time.perf_counter() - began) * 1000, result


def told(milliseconds: list[float]) -> str:
    """Of several runs."""
    return f"{statistics.median(milliseconds):.1f} (worst {max(milliseconds):.1f})"


if __name__ == "__main__":
    asyncio.run(main())
