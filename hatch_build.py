"""Builds the JavaScript that ships inside the package.

Reads `host/*.ts` and `bundler/*.ts` in `src/statekeep/runtimes/javascript` and, as pinned by `deno.json`
and `deno.lock` beside them, XState and esbuild from npm. Writes `dist/` there:

    host.js                  the host, one file; imports XState 4 as the bare specifier `xstate4`
    bundler.js               the bundler of authors' machines, one file; loads esbuild from beside it
    esbuild/                 esbuild for this platform: its JavaScript and its program
    xstate4/, xstate5/       production builds, one file per public subpath
    manifest.json            which subpath is which file; which built-in modules an author may not have
    inputs.sha256            what all this was made from

What must stay true: subpaths of one major share their chunks, because an author's `xstate/lib/actions`
and the host's `xstate4` have to be the same module instances. Nothing here names a registry. `dist/`
is replaced as a whole or not at all.

Hatch runs this for wheels and editable installs; `python hatch_build.py` does the same by hand.
docs/decisions/0001-build-the-host-at-install-time.md says why.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
JAVASCRIPT = ROOT / "src" / "statekeep" / "runtimes" / "javascript"
DIST = JAVASCRIPT / "dist"

PROGRAMS = ("host", "bundler")

# Specifiers that stay bare in host.js. The import map that the runtime writes resolves them, for the
# host as for the author's code.
PROVIDED_AT_RUN_TIME = ("xstate4", "xstate5")

NPM_UNREACHABLE = """\
The npm packages pinned in src/statekeep/runtimes/javascript/deno.lock could not be had:

{reason}

Building Statekeep from source needs the npm registry once; installing its wheel does not.
Deno reads NPM_CONFIG_REGISTRY, HTTPS_PROXY, DENO_CERT and DENO_TLS_CA_STORE from the environment."""


class BuildError(Exception):
    """The JavaScript could not be built; the message says what to do about it. `dist/` is as it was."""


class JavaScriptBuildHook(BuildHookInterface[BuilderConfig]):
    """Makes sure that `dist/` is there and current before hatch collects the files of a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            build()
            # dist/ has a program for this platform.
            build_data["pure_python"] = False
            build_data["tag"] = wheel_tag()
        except BuildError as error:
            self.app.abort(str(error))


def build() -> bool:
    """Bring `dist/` up to date with its inputs. False if it already was, and then nothing was touched."""
    inputs = digest_of_inputs()
    stamp = DIST / "inputs.sha256"
    if stamp.is_file() and stamp.read_text().strip() == inputs:
        return False

    # On the same file system as dist/, so that the new one takes its place by a rename.
    with tempfile.TemporaryDirectory(prefix=".dist-", dir=JAVASCRIPT) as folder:
        stage = Stage(Path(folder))
        stage.install()
        manifest = {
            "xstate4": stage.bundle_xstate("4"),
            "xstate5": stage.bundle_xstate("5"),
            "host": stage.bundle_host(),
            "bundler": stage.bundle_bundler(),
            "deniedModules": stage.built_in_modules(),
        }
        (stage.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        (stage.out / stamp.name).write_text(inputs + "\n")
        if DIST.exists():
            DIST.rename(stage.folder / "replaced")
        stage.out.rename(DIST)
    return True


def digest_of_inputs() -> str:
    """A hash of everything that decides what `dist/` contains: files with their places, and the platform."""
    sources = sorted(
        path for program in PROGRAMS for path in (JAVASCRIPT / program).rglob("*") if path.is_file()
    )
    digest = hashlib.sha256(f"{sysconfig.get_platform()}\n".encode())
    for path in (Path(__file__), JAVASCRIPT / "deno.json", JAVASCRIPT / "deno.lock", *sources):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


class Stage:
    """A folder with copies of the inputs, the npm packages, and `out/`, the `dist/` to be.

    Copies, because esbuild writes paths relative to its working folder into what it makes: this way
    they read `host/main.ts` and are the same on every machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.deno = find_deno()
        for program in PROGRAMS:
            shutil.copytree(JAVASCRIPT / program, folder / program)
        for name in ("deno.json", "deno.lock"):
            shutil.copy(JAVASCRIPT / name, folder)

    def install(self) -> None:
        """Put what `deno.lock` pins into `node_modules/`, each package checked against its hash."""
        result = self._run("install", "--quiet", "--frozen", "--node-modules-dir=auto")
        if result.returncode != 0:
            raise BuildError(NPM_UNREACHABLE.format(reason=result.stderr.strip()))

    def bundle_host(self) -> str:
        """Make `host.js` and return its path in `dist/`."""
        self._esbuild(
            "host/main.ts",
            "--outfile=out/host.js",
            *(f"--external:{specifier}" for specifier in PROVIDED_AT_RUN_TIME),
        )
        return "host.js"

    def bundle_bundler(self) -> str:
        """Make `bundler.js` with esbuild beside it, and return its path in `dist/`."""
        self._esbuild(
            *("bundler/main.ts", "--outfile=out/bundler.js", "--external:node:*"),
        )
        packages = self.folder / "node_modules" / ".deno"
        version = pinned_version(self.folder / "deno.json", "esbuild")
        target = self.out / "esbuild"
        package = packages / f"esbuild@{version}" / "node_modules" / "esbuild"
        for name in ("package.json", "LICENSE.md", "lib/main.js"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(package / name, target / name)
        # Deno installs the program for this platform only.
        [program] = packages.glob(f"@esbuild+*@{version}/node_modules/@esbuild/*/bin/esbuild")
        (target / "bin").mkdir()
        shutil.copy(program, target / "bin" / "esbuild")
        return "bundler.js"

    def bundle_xstate(self, major: str) -> dict[str, Any]:
        """Make the files of one major of XState and return its entry in the manifest."""
        version = pinned_version(self.folder / "deno.json", f"xstate{major}")
        package = self.folder / f"node_modules/.deno/xstate@{version}/node_modules/xstate"
        entries = entries_of_xstate4(package) if major == "4" else entries_of_xstate5(package)
        target = f"xstate{major}"
        self._esbuild(
            *(f"{name}={source.relative_to(self.folder)}" for name, source in entries.items()),
            f"--outdir=out/{target}",
            "--splitting",
            "--chunk-names=shared-[hash]",
            '--define:process.env.NODE_ENV="production"',
        )
        # The licence asks to go wherever the code goes.
        shutil.copy(package / "LICENSE", self.out / target)
        modules = {
            subpath: f"{target}/{name}.js" for name in entries for subpath in subpaths(major, name)
        }
        return {"version": version, "modules": dict(sorted(modules.items()))}

    def built_in_modules(self) -> list[str]:
        """Every `node:` specifier that Deno resolves by itself."""
        result = self._run(
            "eval",
            'import { builtinModules } from "node:module"; console.log(JSON.stringify(builtinModules));',
        )
        if result.returncode != 0:
            raise BuildError(result.stderr.strip())
        return sorted(f"node:{name.removeprefix('node:')}" for name in json.loads(result.stdout))

    def _esbuild(self, *arguments: str) -> None:
        # Not minified: authors read these files in their stack traces, and the start-up of a host did
        # not get measurably faster.
        result = self._run(
            *("run", "--allow-all", "--frozen", "--node-modules-dir=auto", "esbuild"),
            *("--bundle", "--format=esm", "--platform=neutral", "--target=esnext"),
            *("--charset=utf8", "--log-level=warning"),
            *arguments,
        )
        if result.returncode != 0:
            raise BuildError(result.stderr.strip())

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            # Certificates of a company's proxy are in the system's store, which Deno does not read
            # unless told to.
            "DENO_TLS_CA_STORE": "system,mozilla",
            # Beside the sources, not in the home folder (there may be none), and kept: the next change
            # of the host is then bundled without the network.
            "DENO_DIR": str(ROOT / "build" / "deno"),
            "DENO_NO_UPDATE_CHECK": "1",
            "NO_COLOR": "1",
        } | os.environ
        return subprocess.run(
            [self.deno, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def wheel_tag() -> str:
    """Where the wheel can be installed: where that of Deno can, which it needs. esbuild asks for less."""
    metadata = distribution("deno").read_text("WHEEL") or ""
    tags = re.findall(r"^Tag: (\S+)$", metadata, flags=re.MULTILINE)
    if not tags:
        raise BuildError("The Python package `deno` does not say for which platform it is.")
    return str(tags[0])


def find_deno() -> str:
    """The `deno` that came with the `deno` package of this environment.

    `deno.find_deno_bin()` looks first where the running interpreter keeps its scripts. In pip's isolated
    build environment that is not where the build requirements are, so look beside the package.
    """
    import deno

    name = "deno.exe" if os.name == "nt" else "deno"
    for folder in Path(deno.__file__).parents:
        for scripts in ("bin", "Scripts"):
            if (folder / scripts / name).is_file():
                return str(folder / scripts / name)
    raise BuildError("The Python package `deno` is installed without its binary.")


def pinned_version(config: Path, specifier: str) -> str:
    """`4.38.3`, where `deno.json` maps the specifier to `npm:xstate@4.38.3`."""
    target: str = json.loads(config.read_text())["imports"][specifier]
    return target.rpartition("@")[2]


def entries_of_xstate4(package: Path) -> dict[str, Path]:
    """Every ES module of the package. It declares no exports, so any of them may be imported."""
    return {source.stem: source for source in sorted((package / "es").glob("*.js"))}


def entries_of_xstate5(package: Path) -> dict[str, Path]:
    """What the package exports, without the development builds."""
    exports = json.loads((package / "package.json").read_text())["exports"]
    return {
        subpath.removeprefix("./") if subpath != "." else "index": package / targets["module"]
        for subpath, targets in exports.items()
        if isinstance(targets, dict)
    }


def subpaths(major: str, name: str) -> list[str]:
    """All that may follow `xstate/` in an import of this module; empty for the package itself."""
    if major == "5":
        return ["" if name == "index" else name]
    # lib/ and es/ hold the same modules, as CommonJS and as ES modules.
    written = [f"{folder}/{name}{suffix}" for folder in ("lib", "es") for suffix in ("", ".js")]
    return ["", "lib", "es", *written] if name == "index" else written


def main() -> None:
    started = time.perf_counter()
    try:
        built = build()
    except BuildError as error:
        sys.exit(str(error))
    if built:
        files = [path for path in DIST.rglob("*") if path.is_file()]
        size_kb = sum(path.stat().st_size for path in files) // 1000
        elapsed_s = time.perf_counter() - started
        print(f"Built {len(files)} files, {size_kb} kB, in {elapsed_s:.1f} s: {DIST}")


if __name__ == "__main__":
    main()
