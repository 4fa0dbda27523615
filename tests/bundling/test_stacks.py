"""Errors of a bundle, told in the author's files."""

from __future__ import annotations

import re

import pytest

from statekeep.bundling import Dialect, inspect_machine
from statekeep.domain.errors import InvalidCode

MACHINE = """
    import { createMachine } from "npm:xstate@5";
    import { priceOf } from "./prices.ts";

    type Thing = { name: string };
    export const allowRead = () => true;
    export const allowWrite = () => true;
    const thing: Thing = { name: "gold" };
    try {
      priceOf(thing.name);
    } catch (error) {
      console.error(error);
    }
    priceOf(thing.name);
    export default createMachine({});
"""

PRICES = """
    export interface Price { cents: number }

    export function priceOf(name: string): Price {
      // Comments, types and blank lines are gone from the bundle.
      throw new RangeError(`no price for ${name}`);
    }
"""


@pytest.mark.parametrize("dialect", Dialect)
async def test_stacks_show_the_author_s_files_lines_and_names(project, bundler, dialect):
    """Where code throws while it is loaded, and where it prints what was thrown."""
    project.write_all({"package.json": "{}", "deno.json": "{}", "src/prices.ts": PRICES})
    entry = project.write("src/machine.ts", MACHINE)
    bundle = await bundler.bundle(entry, dialect)

    with pytest.raises(InvalidCode, match="no price for gold") as refused:
        await inspect_machine(bundle.code)

    assert re.fullmatch(
        r"    at priceOf \(src/prices\.ts:5:9\)\n    at src/machine\.ts:13:1",
        refused.value.stack or "",
    )
