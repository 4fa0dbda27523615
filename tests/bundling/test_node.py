"""Projects with `node_modules`, in TypeScript and JavaScript."""

from __future__ import annotations

import json
import re

import pytest

from statekeep.bundling import BuildFailed, Dialect, Kind, inspect_machine
from tests.support.source_maps import sources_of

NODE = Dialect.NODE

MACHINE = """
    import { createMachine } from "xstate";
    export const allowRead = () => true;
    export const allowWrite = () => true;
    export default createMachine({ initial: "a", states: { a: {} } });
"""


async def test_a_typescript_machine_becomes_one_module(project, bundler):
    """Types go, files come together, names of functions stay: XState tells actions by them."""
    project.write_all(
        {
            "package.json": '{"dependencies": {"xstate": "^5.20.0"}}',
            "src/states.json": '{"first": "a"}',
            "src/greet.ts": """
                export enum Tone { Kind = 7 }
                export function greet(name: string): string { return `hello ${name satisfies string}`; }
            """,
            "src/machine.ts": """
                import { createMachine } from "xstate";
                import type { AnyEventObject } from "xstate";
                import { greet, Tone } from "./greet";
                import states from "./states.json";
                export const allowRead = () => Tone.Kind === 7;
                export const allowWrite = ({ event }: { event: AnyEventObject }) => greet(event.type) !== "";
                export default createMachine({ initial: states.first, states: { a: {} } });
            """,
        }
    )

    bundle = await bundler.bundle(project.folder / "src/machine.ts", NODE)

    facts = await inspect_machine(bundle.code)
    assert (facts.xstate_major, facts.xstate) == (5, "5.33.3")
    assert bundle.imports == ("npm:xstate@5",)
    assert b'"allowRead"' in bundle.code
    assert len(bundle.code.splitlines()) == 2  # the code, and its source map
    assert bundle.inputs == tuple(
        project.folder / name
        for name in ("package.json", "src/greet.ts", "src/machine.ts", "src/states.json")
    )
    assert bundle.warnings == ()


@pytest.mark.parametrize(
    ("installed", "asked", "expected"),
    [
        ("4.38.0", None, "npm:xstate@4"),
        ("5.2.0", "^4.0.0", "npm:xstate@5"),
        (None, "~5.1", "npm:xstate@5"),
        (None, ">= 4", "npm:xstate@4"),
        (None, None, "npm:xstate@4"),
    ],
)
async def test_a_plain_xstate_is_the_one_of_the_project(
    project, bundler, installed, asked, expected
):
    """What is installed decides, then what package.json asks for, then what State Backed documents: 4."""
    if installed:
        package = {"name": "xstate", "version": installed}
        project.write("node_modules/xstate/package.json", json.dumps(package))
    if asked:
        project.write("package.json", json.dumps({"devDependencies": {"xstate": asked}}))
    entry = project.write("machine.js", MACHINE)

    bundle = await bundler.bundle(entry, NODE)

    assert bundle.imports == (expected,)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("npm:xstate@5", "npm:xstate@5"),
        ("npm:xstate@^5.18.1/actions", "npm:xstate@5/actions"),
        ("npm:/xstate@4.38.3/lib/actions.js", "npm:xstate@4/lib/actions.js"),
        ("npm:xstate", "npm:xstate@4"),
        ("xstate/lib/actions", "npm:xstate@4/lib/actions"),
        ("npm:xstate@latest", "npm:xstate@5"),
    ],
)
async def test_every_way_to_write_xstate_is_left_to_the_server(project, bundler, written, expected):
    """As the server maps it: the major, and the part of it."""
    entry = project.write("machine.js", f'export * from "{written}";')

    bundle = await bundler.bundle(entry, NODE)

    assert bundle.imports == (expected,)
    assert f'from"{expected}"'.encode() in bundle.code


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("npm:xstate@3", "The server has XState 4 and 5, not 3"),
        ("npm:xstate@5/lib/actions", 'XState 5 has no "xstate/lib/actions"'),
        ("xstate/dist/xstate.web.js", 'XState 4 has no "xstate/dist/xstate.web.js"'),
    ],
)
async def test_an_xstate_that_no_server_has_is_refused(project, bundler, written, message):
    """At once, and not when it is uploaded."""
    entry = project.write("machine.js", f'export * from "{written}";')

    with pytest.raises(BuildFailed, match=re.escape(message)):
        await bundler.bundle(entry, NODE)


async def test_packages_of_both_kinds_are_bundled(project, bundler):
    """CommonJS and ES modules, found by `exports` with the conditions of web workers, and their own dependencies beside them."""
    project.write_all(
        {
            "node_modules/old/package.json": '{"name": "old", "main": "./lib"}',
            "node_modules/old/lib/index.js": """
                const deep = require("deep");
                exports.old = () => `old:${deep}`;
            """,
            "node_modules/old/node_modules/deep/index.js": "module.exports = 'deep';",
            "node_modules/@new/one/package.json": json.dumps(
                {
                    "name": "@new/one",
                    "type": "module",
                    "exports": {
                        ".": {"node": "./node.js", "worker": "./worker.js"},
                        "./sub": {"import": "./sub.mjs"},
                    },
                }
            ),
            "node_modules/@new/one/node.js": "export const where = 'node';",
            "node_modules/@new/one/worker.js": "export const where = 'worker';",
            "node_modules/@new/one/sub.mjs": "export default 'sub';",
            "machine.ts": """
                import { createMachine } from "npm:xstate@5";
                import { old } from "old";
                import { where } from "npm:@new/one@1";
                import sub from "@new/one/sub";
                console.log(old(), where, sub);
                export const allowRead = () => true;
                export const allowWrite = () => true;
                export default createMachine({});
            """,
        }
    )

    bundle = await bundler.bundle(project.folder / "machine.ts", NODE)

    facts = await inspect_machine(bundle.code)
    assert facts.output == ("old:deep worker sub",)
    assert bundle.inputs == (project.folder / "machine.ts",)


async def test_a_package_that_requires_xstate_gets_that_of_the_server(project, bundler):
    """A CommonJS package and the machine share one XState."""
    project.write_all(
        {
            "node_modules/xstate/package.json": '{"name": "xstate", "version": "5.0.0"}',
            "node_modules/helper/index.js": "exports.assign = require('xstate').assign;",
            "machine.js": """
                import { assign, createMachine } from "xstate";
                import helper from "helper";
                console.log(helper.assign === assign);
                export const allowRead = () => true;
                export const allowWrite = () => true;
                export default createMachine({});
            """,
        }
    )

    bundle = await bundler.bundle(project.folder / "machine.js", NODE)

    assert (await inspect_machine(bundle.code)).output == ("true",)


async def test_paths_of_tsconfig_are_followed(project, bundler):
    """Also those of a configuration that it extends."""
    project.write_all(
        {
            "package.json": "{}",
            "tsconfig.base.json": '{"compilerOptions": {"paths": {"@lib/*": ["./lib/*"]}}}',
            "tsconfig.json": '{"extends": "./tsconfig.base.json"}',
            "lib/price.ts": "export const price: number = 4711;",
            "src/machine.ts": 'import { price } from "@lib/price"; export default price;',
        }
    )

    bundle = await bundler.bundle(project.folder / "src/machine.ts", NODE)

    assert b"4711" in bundle.code
    assert project.folder / "tsconfig.json" in bundle.inputs


async def test_a_syntax_error_is_shown_where_it_is(project, bundler):
    """With the author's file, line and column, and the line itself."""
    entry = project.write("src/machine.ts", "const a: number = 1;\n\tconst ä = (;\n")

    with pytest.raises(BuildFailed) as failed:
        await bundler.bundle(entry, NODE)

    [error] = failed.value.errors
    assert str(error) == (
        'src/machine.ts:2:13: Unexpected ";"\n  2 | \tconst ä = (;\n    | \t           ^'
    )
    assert failed.value.inputs == (entry,)


async def test_a_missing_file_is_shown_where_it_is_imported(project, bundler):
    """And is among the inputs, so that the build can be tried again once it is there."""
    entry = project.write("machine.js", 'import "./gone";\nimport "nothing/at/all";\n')

    with pytest.raises(BuildFailed) as failed:
        await bundler.bundle(entry, NODE)

    first, second = failed.value.errors
    assert str(first).startswith(
        'machine.js:1:8: Could not resolve "./gone"\n  1 | import "./gone"'
    )
    assert str(second).startswith('machine.js:2:8: Could not resolve "nothing/at/all"')
    assert [str(note) for note in second.notes] == [
        "Is it installed? `npm install nothing` does that."
    ]
    assert project.folder / "gone.ts" in failed.value.inputs


@pytest.mark.parametrize(
    ("specifier", "notes"),
    [
        ("@shop/prices/list", ["Is it installed? `npm install @shop/prices` does that."]),
        ("@/prices", []),
    ],
)
async def test_only_packages_are_to_be_installed(project, bundler, specifier, notes):
    """By their whole name; an alias that no configuration knows is none."""
    entry = project.write("machine.js", f'import "{specifier}";\n')

    with pytest.raises(BuildFailed) as failed:
        await bundler.bundle(entry, NODE)

    [error] = failed.value.errors
    assert [str(note) for note in error.notes] == notes


@pytest.mark.parametrize(
    ("written", "message", "advice"),
    [
        ("npm:absent@1", 'The package "absent" is not installed', "npm install absent"),
        ("https://example.com/x.ts", "is for Deno to resolve", "--deno"),
        ("jsr:@std/path", "is for Deno to resolve", "--deno"),
        ("node:fs", "is a part of Node.js, which machines do not have", "fetch, crypto"),
        ("path", "is a part of Node.js, which machines do not have", "fetch, crypto"),
    ],
)
async def test_what_cannot_be_had_comes_with_advice(project, bundler, written, message, advice):
    """Each with the place of the import."""
    entry = project.write("machine.js", f'import "{written}";\n')

    with pytest.raises(BuildFailed) as failed:
        await bundler.bundle(entry, NODE)

    [error] = failed.value.errors
    assert message in error.text
    assert advice in str(error)
    assert str(error.place) == "machine.js:1:8"


async def test_a_package_may_get_by_without_node(project, bundler):
    """Whether it looks for Node.js, turns it off for browsers, brings a replacement, or never gets to use it."""
    project.write_all(
        {
            "node_modules/careful/index.js": """
                let crypto;
                try { crypto = require("node:crypto"); } catch (error) { exports.why = error.message; }
            """,
            "node_modules/portable/package.json": '{"browser": {"fs": false}}',
            "node_modules/portable/index.js": "exports.fs = require('fs');",
            "node_modules/events/index.js": "module.exports = 'events of npm';",
            "node_modules/emitting/index.js": "module.exports = require('events');",
            "node_modules/lazy/package.json": '{"type": "module", "exports": "./index.js"}',
            "node_modules/lazy/index.js": """
                import { readFileSync } from "node:fs";
                export const read = () => readFileSync("x");
            """,
            "machine.js": """
                import { createMachine } from "npm:xstate@5";
                import { why } from "careful";
                import { fs } from "portable";
                import events from "emitting";
                import { read } from "lazy";
                console.log(why);
                console.log(typeof fs, events);
                try { read(); } catch (error) { console.log(error.message); }
                export const allowRead = () => true;
                export const allowWrite = () => true;
                export default createMachine({});
            """,
        }
    )

    bundle = await bundler.bundle(project.folder / "machine.js", NODE)

    absent = "is a part of Node.js, which machines do not have"
    assert (await inspect_machine(bundle.code)).output == (
        f"node:crypto {absent}",
        "object events of npm",
        f"node:fs {absent}",
    )
    assert sorted(warning.text for warning in bundle.warnings) == [
        f"node:crypto {absent}: what needs it will throw",
        f"node:fs {absent}: what needs it will throw",
    ]


async def test_no_path_of_the_machine_is_in_the_bundle(project, bundler, tmp_path):
    """Neither in the code nor in the map: sources are named from the project's folder."""
    project.write_all(
        {
            "../above/node_modules/up/index.js": "module.exports = 'up';",
            "../node_modules/up/index.js": "module.exports = () => 'up';",
            "../shared/half.ts": "export const half = (n: number) => n / 2;",
            "package.json": "{}",
            "src/machine.ts": """
                import up from "up";
                import { half } from "../../shared/half.ts";
                export default [up(), half(2)];
            """,
        }
    )

    bundle = await bundler.bundle(project.folder / "src/machine.ts", NODE)

    sources = sources_of(bundle.code)
    assert set(sources) == {"src/machine.ts", "../shared/half.ts", "node_modules/up/index.js"}
    assert str(tmp_path).encode() not in bundle.code


async def test_building_again_sees_what_changed(project, bundler):
    """In the entry, in a file that it imports, and in which files it imports. Equal sources make equal bundles."""
    project.write("one.ts", "export const n = 1111;")
    entry = project.write("machine.ts", 'import { n } from "./one"; export default n;')
    first = await bundler.bundle(entry, NODE)

    assert await bundler.bundle(entry, NODE) == first

    project.write("one.ts", "export const n = 2222;")
    assert b"2222" in (await bundler.bundle(entry, NODE)).code

    project.write("machine.ts", "const ; nonsense")
    with pytest.raises(BuildFailed):
        await bundler.bundle(entry, NODE)

    project.write("two.ts", "export const n = 3333;")
    project.write("machine.ts", 'import { n } from "./two"; export default n;')
    third = await bundler.bundle(entry, NODE)
    assert b"3333" in third.code
    assert third.inputs == (entry, project.folder / "two.ts")


async def test_a_migration_brings_all_it_needs(project, bundler):
    """XState too: there is none for migrations on the server."""
    project.write_all(
        {
            "node_modules/xstate/package.json": '{"name": "xstate", "version": "5.0.0"}',
            "node_modules/xstate/index.js": "exports.setup = 'from the package';",
            "migration.ts": """
                import { setup } from "xstate";
                export const upgradeState = (path: string[]) => [...path, setup];
                export const upgradeContext = (_old: unknown, _new: unknown, context: unknown) => context;
            """,
        }
    )

    bundle = await bundler.bundle(project.folder / "migration.ts", NODE, kind=Kind.MIGRATION)

    assert bundle.imports == ()
    assert b"from the package" in bundle.code


async def test_a_folder_and_a_file_that_is_not_there_are_no_entries(project, bundler):
    """Told at once, by the name that was given."""
    for entry in (project.folder, project.folder / "gone.ts"):
        with pytest.raises(BuildFailed, match=f"There is no file {entry}"):
            await bundler.bundle(entry, NODE)
