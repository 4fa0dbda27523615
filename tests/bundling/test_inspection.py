"""What a server would say of a bundle, told by the same host."""

from __future__ import annotations

from base64 import b64encode
from random import Random

import pytest

from statekeep.bundling import inspect_machine, inspect_migration
from statekeep.domain.errors import InvalidCode
from statekeep.domain.limits import MIB

MACHINE = b"""
import { createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
export const httpApiMapper = { hook: { handler: () => ({}) } };
export default createMachine({});
console.log("loaded");
"""

INCOMPRESSIBLE = b64encode(Random(0).randbytes(MIB))


async def test_what_is_known_of_a_machine():
    facts = await inspect_machine(MACHINE)

    assert (facts.xstate_major, facts.xstate) == (5, "5.33.3")
    assert facts.http_api == ("hook",)
    assert facts.output == ("loaded",)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"export const a = 1;", "The module has no default export. Export the machine that"),
        (MACHINE.replace(b"allowRead", b"mayRead"), "does not export allowRead"),
        (b"import 'npm:lodash';" + MACHINE, "Bundle everything else into the module"),
        (b"throw new Error('no luck');", "no luck"),
        (b"\xff", "not UTF-8"),
        (MACHINE + b"/*" + b" " * 11 * MIB + b"*/", r"11\.01 MiB; a server takes at most 10"),
        (MACHINE + b"//" + INCOMPRESSIBLE, r"1\.02 MiB gzipped; a server takes at most 1"),
    ],
)
async def test_what_a_server_would_refuse(code, message):
    """With the reason and the way out."""
    with pytest.raises(InvalidCode, match=message):
        await inspect_machine(code)


async def test_a_migration_has_its_own_exports():
    code = b"""
        console.log("here");
        export const upgradeState = (path) => path;
        export const upgradeContext = (before, after, context) => context;
    """
    assert await inspect_migration(code) == ("here",)

    with pytest.raises(InvalidCode, match="does not export upgradeContext"):
        await inspect_migration(code.replace(b"upgradeContext", b"update"))
