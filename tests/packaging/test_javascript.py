"""The JavaScript that the build makes: complete, pinned, and one instance of each module."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import hatch_build
from hatch_build import DIST, JAVASCRIPT, ROOT, BuildError

MANIFEST = json.loads((DIST / "manifest.json").read_text())


def imports() -> dict[str, str]:
    """The import map that the manifest describes, with each major under its own name."""
    return {
        f"{name}/{subpath}".rstrip("/"): (DIST / file).as_uri()
        for name in ("xstate4", "xstate5")
        for subpath, file in MANIFEST[name]["modules"].items()
    }


def run_module(source: str, folder: Path) -> object:
    """Run a JavaScript module under that import map. What it hands to `report()` comes back."""
    import_map = folder / "import_map.json"
    import_map.write_text(json.dumps({"imports": imports()}))
    main = folder / "main.js"
    main.write_text("const report = (value) => console.log(JSON.stringify(value));\n" + source)
    result = subprocess.run(
        # Without the permission to read the environment: a build for production must not ask for it.
        [
            *(hatch_build.find_deno(), "run", "--quiet", "--no-prompt", "--no-remote", "--no-npm"),
            *("--no-config", f"--allow-read={DIST}", f"--import-map={import_map}", main),
        ],
        env={"HOME": str(folder), "DENO_DIR": str(folder), "DENO_NO_UPDATE_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the sources that the build reads, which it takes for its own checkout."""
    copy = tmp_path / "checkout"
    javascript = copy / JAVASCRIPT.relative_to(ROOT)
    shutil.copytree(JAVASCRIPT, javascript, ignore=shutil.ignore_patterns("dist", ".dist-*"))
    monkeypatch.setattr(hatch_build, "ROOT", copy)
    monkeypatch.setattr(hatch_build, "JAVASCRIPT", javascript)
    monkeypatch.setattr(hatch_build, "DIST", javascript / "dist")
    monkeypatch.setattr(hatch_build, "__file__", str(copy / "hatch_build.py"))
    shutil.copy(ROOT / "hatch_build.py", copy)
    return copy


def test_the_manifest_names_every_file():
    """Each file of dist/ is named in the manifest, shared by those that are, or a licence."""
    named = {
        *MANIFEST["xstate4"]["modules"].values(),
        *MANIFEST["xstate5"]["modules"].values(),
        MANIFEST["host"],
        MANIFEST["bundler"],
        "esbuild/LICENSE.md",
        "esbuild/bin/esbuild",
        "esbuild/lib/main.js",
        "esbuild/package.json",
        "manifest.json",
        "inputs.sha256",
        "xstate4/LICENSE",
        "xstate5/LICENSE",
    }
    found = {path.relative_to(DIST).as_posix() for path in files_of(DIST)}

    assert named <= found
    assert all(re.fullmatch(r"xstate[45]/shared-\w+\.js", extra) for extra in found - named)


def test_subpaths_share_instances(tmp_path):
    """What two subpaths of one major export under one name is one value."""
    source = """
        import * as four from "xstate4";
        import * as fourLib from "xstate4/lib/actions";
        import * as fourEs from "xstate4/es/actions.js";
        import * as five from "xstate5";
        import * as fiveActions from "xstate5/actions";
        import * as fiveGuards from "xstate5/guards";
        import * as fiveActors from "xstate5/actors";
        report([
          four.assign === fourLib.assign,
          four.actions.raise === fourEs.raise,
          five.assign === fiveActions.assign,
          five.and === fiveGuards.and,
          five.fromPromise === fiveActors.fromPromise,
          four.assign === five.assign,
        ]);
    """
    assert run_module(source, tmp_path) == [True, True, True, True, True, False]


def test_every_subpath_loads(tmp_path):
    """Each specifier that the manifest lists can be imported."""
    source = f"""
        const specifiers = {json.dumps(list(imports()))};
        const modules = await Promise.all(specifiers.map((specifier) => import(specifier)));
        report(modules.filter((module) => Object.keys(module).length > 0).length);
    """
    assert run_module(source, tmp_path) == len(imports())


def test_xstate_is_built_for_production(tmp_path):
    """XState 4 asks no environment whether it runs in production; it knows."""
    source = 'import { IS_PRODUCTION } from "xstate4/es/environment"; report(IS_PRODUCTION);'
    assert run_module(source, tmp_path) is True


def test_the_host_brings_no_xstate_of_its_own():
    """The host imports XState by its bare name, so that it shares the author's instance."""
    assert "node_modules" not in (DIST / MANIFEST["host"]).read_text()


def test_built_in_modules_are_listed():
    """The specifiers that the import map has to take away from authors carry their scheme."""
    denied = MANIFEST["deniedModules"]

    assert {"node:fs", "node:fs/promises", "node:net", "node:child_process", "node:test"} <= {
        *denied
    }
    assert all(name.startswith("node:") for name in denied)


def test_the_lock_pins_hashes_and_names_no_registry():
    """Everything from npm is pinned by hash, and any mirror of the registry will do."""
    text = (JAVASCRIPT / "deno.lock").read_text()

    assert "://" not in text
    packages = json.loads(text)["npm"]
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    for name in ("xstate4", "xstate5"):
        assert f"xstate@{MANIFEST[name]['version']}" in packages


def test_a_current_dist_is_left_alone():
    """Building again without a change touches nothing."""
    before = DIST.stat().st_mtime_ns

    assert hatch_build.build() is False
    assert DIST.stat().st_mtime_ns == before


def test_any_changed_input_asks_for_a_new_dist(checkout):
    """A changed, a moved and a new file each change the digest; none does so by its time alone."""
    host = checkout / "src/statekeep/runtimes/javascript/host"
    digests = [hatch_build.digest_of_inputs()]

    (host / "main.ts").touch()
    assert hatch_build.digest_of_inputs() == digests[0]

    (host / "main.ts").write_text("export {};\n")
    digests.append(hatch_build.digest_of_inputs())
    (host / "main.ts").rename(host / "other.ts")
    digests.append(hatch_build.digest_of_inputs())
    (host / "main.ts").write_text("export {};\n")
    digests.append(hatch_build.digest_of_inputs())

    assert len(set(digests)) == 4


def test_a_dist_of_another_platform_is_not_current(checkout, monkeypatch):
    """A checkout that is shared by two machines does not keep the other's esbuild."""
    here = hatch_build.digest_of_inputs()
    monkeypatch.setattr(sysconfig, "get_platform", lambda: "plan9-mips")

    assert hatch_build.digest_of_inputs() != here


def test_without_the_registry_it_says_so_and_keeps_the_old_dist(checkout, monkeypatch):
    """An unreachable registry is explained; a working dist/ and nothing else is left behind."""
    old = checkout / "src/statekeep/runtimes/javascript/dist"
    old.mkdir()
    (old / "host.js").write_text("// old\n")
    before = {*old.parent.iterdir()}
    monkeypatch.setenv("DENO_DIR", str(checkout / "empty"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")  # discard: nobody listens

    with pytest.raises(BuildError, match="needs the npm registry once"):
        hatch_build.build()

    assert (old / "host.js").read_text() == "// old\n"
    assert {*old.parent.iterdir()} == before


def test_the_wheel_carries_what_runs_and_not_what_built_it(tmp_path):
    """A wheel has dist/ and the licence, and neither the sources of what is in there nor the locks."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.endswith(f"-{hatch_build.wheel_tag()}.whl")
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()

    folder = "statekeep/runtimes/javascript/"
    assert {f"{folder}dist/{path.relative_to(DIST).as_posix()}" for path in files_of(DIST)} <= {
        *names
    }
    assert "statekeep/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    sources = (f"{folder}host/", f"{folder}bundler/", f"{folder}deno.")
    assert not [name for name in names if name.startswith(sources)]
    # An installer makes a program of what has this bit.
    assert archive.getinfo(f"{folder}dist/esbuild/bin/esbuild").external_attr >> 16 & 0o100
