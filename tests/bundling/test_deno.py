"""Projects as Deno knows them, with everything that they fetch on a server of this machine."""

from __future__ import annotations

import json

import pytest

from statekeep.bundling import (
    BuildFailed,
    Bundler,
    BundlerUnavailable,
    Dialect,
    Kind,
    inspect_machine,
)
from tests.support.registries import Package, module_server
from tests.support.source_maps import sources_of

DENO = Dialect.DENO

EXPORTS = """
    export const allowRead = () => true;
    export const allowWrite = () => true;
"""


@pytest.fixture
def web(monkeypatch):
    with module_server() as server:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{server.url}/")
        monkeypatch.setenv("JSR_URL", f"{server.url}/")
        yield server


async def test_a_single_file_needs_nothing_else(project, bundler, web):
    """`npm:xstate` is the server's, so that nothing is fetched and nothing configured."""
    entry = project.write(
        "machine.ts",
        f"""
        import {{ createMachine }} from "npm:xstate@^5.20.0";
        {EXPORTS}
        export default createMachine({{}});
        """,
    )

    bundle = await bundler.bundle(entry, DENO)

    assert (await inspect_machine(bundle.code)).xstate == "5.33.3"
    assert bundle.inputs == (entry,)
    assert web.asked == []


async def test_the_import_map_says_which_xstate_is_meant(project, bundler, web):
    """By the name that it gives. It is not fetched for that."""
    imports = {"xstate": "npm:xstate@^5.20.0", "four/": "npm:/xstate@4/", "plain": "npm:xstate"}
    project.write("deno.jsonc", f"// with comments\n{json.dumps({'imports': imports})}")
    entry = project.write(
        "machine.ts",
        """
        export * from "xstate";
        export * from "xstate/actions";
        export * from "four/lib/actions.js";
        export * from "plain";
        """,
    )

    bundle = await bundler.bundle(entry, DENO)
    assert await bundler.bundle(entry, DENO) == bundle

    assert bundle.imports == (
        *("npm:xstate@4", "npm:xstate@4/lib/actions.js"),
        *("npm:xstate@5", "npm:xstate@5/actions"),
    )
    assert web.asked == []


async def test_everything_that_deno_resolves_is_bundled(project, bundler, progress, web, tmp_path):
    """An import map, npm packages with their own dependencies, JSR, and addresses with what these import."""
    web.serve(
        "/lib/one.ts", 'import { two } from "./two.ts"; export const one: string = `one+${two()}`;'
    )
    web.serve("/lib/two.ts", 'export const two = (): string => "two";')
    web.serve_jsr("acme", "money", "1.2.3", 'export const money: string = "money";')
    web.serve_npm(
        Package("deep", "1.0.0", {"index.js": "module.exports = 'deep1';"}),
        Package("deep", "2.0.0", {"index.js": "module.exports = 'deep2';"}),
        Package(
            "outer",
            "3.1.0",
            {"index.js": "exports.outer = require('deep');", "sub.js": "exports.sub = 'sub';"},
            {"dependencies": {"deep": "^1.0.0"}},
        ),
        Package(
            "renamed",
            "1.0.0",
            {"index.js": "module.exports = require('nick');"},
            {"dependencies": {"nick": "npm:deep@2"}},
        ),
        Package("xstate", "5.20.1", {"index.js": "throw new Error('not this one');"}),
    )
    imports = {
        "xstate": "npm:xstate@^5.20.0",
        "outer": "npm:outer@^3",
        "@/": "./src/",
        "one": f"{web.url}/lib/one.ts",
    }
    project.write_all(
        {
            "deno.json": json.dumps({"imports": imports}),
            "src/own.ts": 'export const own = (): string => "own";',
            "src/machine.ts": f"""
                import {{ createMachine }} from "xstate";
                import {{ outer }} from "outer";
                import {{ sub }} from "outer/sub.js";
                import renamed from "npm:renamed@1";
                import {{ money }} from "jsr:@acme/money@1";
                import {{ one }} from "one";
                import {{ own }} from "@/own.ts";
                console.log(outer, sub, renamed, money, one, own());
                {EXPORTS}
                export default createMachine({{}});
            """,
        }
    )

    bundle = await bundler.bundle(project.folder / "src/machine.ts", DENO)

    facts = await inspect_machine(bundle.code)
    assert facts.output == ("deep1 sub deep2 money one+two own",)
    assert facts.xstate == "5.33.3"
    assert set(sources_of(bundle.code)) == {
        "src/machine.ts",
        "src/own.ts",
        "npm:outer@3.1.0/index.js",
        "npm:outer@3.1.0/sub.js",
        "npm:deep@1.0.0/index.js",
        "npm:deep@2.0.0/index.js",
        "npm:renamed@1.0.0/index.js",
        f"{web.url}/@acme/money/1.2.3/mod.ts",
        f"{web.url}/lib/one.ts",
        f"{web.url}/lib/two.ts",
    }
    assert str(tmp_path).encode() not in bundle.code
    assert bundle.inputs == tuple(
        project.folder / name for name in ("deno.json", "src/machine.ts", "src/own.ts")
    )
    assert any("lib/one.ts" in line for line in progress)
    # A build leaves nothing behind that was not there.
    assert not (project.folder / "deno.lock").exists()


async def test_a_migration_brings_its_own_xstate(project, bundler, web):
    """There is none for migrations on the server, whatever the import map calls it."""
    web.serve_npm(
        Package("xstate", "5.20.1", {"index.js": "exports.setup = 'from npm';"}),
    )
    project.write("deno.json", '{"imports": {"xstate": "npm:xstate@5"}}')
    entry = project.write("migration.ts", 'import { setup } from "xstate"; export default setup;')

    bundle = await bundler.bundle(entry, DENO, kind=Kind.MIGRATION)

    assert bundle.imports == ()
    assert b"from npm" in bundle.code


async def test_building_again_asks_nobody_until_there_is_something_new(project, bundler, web):
    """What Deno has told is kept; a new import, and a changed configuration, make it be asked again."""
    web.serve("/a.ts", 'export const a = "aaaa";')
    web.serve("/b.ts", 'export const b = "bbbb";')
    project.write("deno.json", json.dumps({"imports": {"mod": f"{web.url}/a.ts"}}))
    entry = project.write("machine.ts", 'export * from "mod";')

    assert b"aaaa" in (await bundler.bundle(entry, DENO)).code
    assert b"aaaa" in (await bundler.bundle(entry, DENO)).code
    assert web.asked == ["/a.ts"]

    project.write("machine.ts", f'export * from "mod"; export * from "{web.url}/b.ts";')
    assert b"bbbb" in (await bundler.bundle(entry, DENO)).code

    project.write("deno.json", json.dumps({"imports": {"mod": f"{web.url}/b.ts"}}))
    bundle = await bundler.bundle(entry, DENO)
    assert b"aaaa" not in bundle.code


async def test_what_cannot_be_resolved_is_shown_where_it_is_imported(project, bundler, web):
    """In Deno's words, and again with every build until it is there."""
    project.write("deno.json", "{}")
    entry = project.write(
        "src/machine.ts",
        f"""
        import "unmapped";
        import "{web.url}/gone.ts";
        import "npm:nowhere@1";
        import "./missing.ts";
        import "node:fs";
        """,
    )

    with pytest.raises(BuildFailed) as failed:
        await bundler.bundle(entry, DENO)

    found = {str(error.place): error.text for error in failed.value.errors}
    assert list(found) == [f"src/machine.ts:{line}:8" for line in range(1, 6)]
    unmapped, gone, nowhere, missing, fs = found.values()
    assert 'Import "unmapped" not a dependency' in unmapped
    assert "gone.ts" in gone
    assert "'nowhere' does not exist" in nowhere
    assert 'Could not resolve "./missing.ts"' in missing
    assert "is a part of Node.js" in fs
    assert project.folder / "src/missing.ts" in failed.value.inputs

    web.serve("/gone.ts", "console.log('gone');")
    project.write("src/machine.ts", f'import "{web.url}/gone.ts";')
    assert b"'gone'" in (await bundler.bundle(entry, DENO)).code.replace(b'"', b"'")


async def test_a_lock_file_is_kept_to(project, bundler, web):
    """What is not what the project locked does not get into a bundle."""
    address = web.serve("/a.ts", "export const a = 1;")
    project.write("deno.json", "{}")
    project.write("deno.lock", json.dumps({"version": "5", "remote": {address: "0" * 64}}))
    entry = project.write("machine.ts", f'export * from "{address}";')

    with pytest.raises(BuildFailed, match=r"(?i)integrity"):
        await bundler.bundle(entry, DENO)


async def test_a_project_with_deno_s_own_node_modules(project, bundler, web):
    """Packages are taken from there, where that is how the project is set up."""
    web.serve_npm(
        Package("deep", "1.0.0", {"index.js": "module.exports = 'deep1';"}),
        Package(
            "outer",
            "3.1.0",
            {"index.js": "exports.outer = require('deep');"},
            {"dependencies": {"deep": "^1.0.0"}},
        ),
    )
    project.write("deno.json", '{"nodeModulesDir": "auto", "imports": {"outer": "npm:outer@3"}}')
    entry = project.write("machine.ts", 'import { outer } from "outer"; export default outer;')

    bundle = await bundler.bundle(entry, DENO)

    assert b"deep1" in bundle.code
    assert bundle.inputs == (project.folder / "deno.json", entry)


async def test_a_failing_listener_ends_the_bundler_and_is_heard(project, web):
    """Nobody waits for ever for what was asked, and the failure is not hidden."""

    def fail(_: str) -> None:
        raise RuntimeError("the terminal is gone")

    entry = project.write("machine.ts", f'import "{web.serve("/a.ts", "")}";')
    bundler = Bundler(on_progress=fail)

    with pytest.raises(BundlerUnavailable):
        await bundler.bundle(entry, DENO)
    with pytest.raises(RuntimeError, match="the terminal is gone"):
        await bundler.__aexit__(None, None, None)


async def test_a_configuration_that_deno_cannot_read_is_told_once(project, bundler, web):
    """However many imports could not be resolved because of it."""
    project.write("deno.json", "{ nonsense")
    entry = project.write("machine.ts", 'import "xstate"; import "two"; import "npm:three";')

    with pytest.raises(BuildFailed, match=r"deno\.json") as failed:
        await bundler.bundle(entry, DENO)

    [error] = failed.value.errors
    assert error.text.startswith("Failed ")
    assert "Stack backtrace" not in error.text
    assert project.folder / "deno.json" in failed.value.inputs
