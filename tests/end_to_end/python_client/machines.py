"""Machines for the tests of the Python client, and how they are deployed."""

from __future__ import annotations

from uuid import uuid4

from tests.support.client_shells import Caller

BOARD = """
import { assign, createMachine } from "npm:xstate@5";
export const allowRead = ({ context }) => context.public.text !== "secret";
export const allowWrite = () => true;
export default createMachine({
  context: { public: { count: 0, text: "" } },
  on: {
    write: { actions: assign({ public: ({ context, event }) => ({ count: context.public.count + 1, text: event.text }) }) },
  },
});
"""


async def deploy(admin: Caller, code: str = BOARD) -> str:
    """A new machine with a current version; returns its name."""
    name = f"machine-{uuid4().hex}"
    await admin.call("machines.create", name)
    await admin.call("machine_versions.create", name, code, make_current=True)
    return name


def write(text: str) -> dict[str, str]:
    """An event of the board."""
    return {"type": "write", "text": text}
