"""What `statekeep dev` says, and of which files it makes which machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statekeep.cli.developing import telling
from statekeep.cli.developing.watching import folders_of
from statekeep.domain.instance import InstanceKey
from statekeep.domain.names import InstanceName, MachineName, OrganizationId
from statekeep.workers.transition_feed import ToldTransition

KEY = InstanceKey(OrganizationId("org_a"), MachineName("shop"), InstanceName("ada"))


def line_of(capsys, event_type, state) -> str:
    """What is said of a transition, without the time."""
    told = ToldTransition(
        KEY, json.dumps({"type": event_type}).encode(), json.dumps(state).encode()
    )
    telling.transition(told)
    line: str = capsys.readouterr().out.rstrip("\n")
    return line.partition("  ")[2]


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("cart", "cart"),
        ({"checkout": "payment"}, "checkout.payment"),
        ({"checkout": {"payment": "card"}}, "checkout.payment.card"),
        ({"lamp": "on", "fan": {"off": {}}}, "{lamp: on, fan: off}"),
        ({}, "{}"),
    ],
)
def test_a_state_is_one_line(capsys, state, shown):
    """However deep or parallel."""
    assert line_of(capsys, "next", state) == f"shop/ada  next -> {shown}"


def test_events_are_called_as_people_call_them(capsys):
    """Not as XState does."""
    assert line_of(capsys, "xstate.init", "cart") == "shop/ada  start -> cart"
    assert line_of(capsys, "xstate.after.60000.shop.cart", "cart") == "shop/ada  after 1m -> cart"


def test_a_name_cannot_command_the_terminal(capsys):
    """Events come from anywhere."""
    assert "\x1b" not in line_of(capsys, "\x1b[2J", "cart")


def test_many_instances_are_named_by_some():
    """A terminal is not for thousands of names."""
    names = [f"i{n}" for n in range(30)]
    assert telling.names_of(names[:2], 2) == "i0, i1"
    assert telling.names_of(names, 30).endswith("i9 and 20 more")
    # A report has samples only.
    assert telling.names_of(names[:5], 7) == "i0, i1, i2, i3, i4 and 2 more"


def test_a_folder_that_is_not_there_is_waited_for_above_it(tmp_path):
    """It may be made together with the file that is missed."""
    (tmp_path / "src").mkdir()
    paths = [tmp_path / "src/a.ts", tmp_path / "src/new/deep/b.ts", tmp_path / "c.ts"]
    assert folders_of(paths) == {tmp_path / "src", tmp_path}
    assert folders_of([Path("/nowhere/at/all.ts")]) == {Path("/")}
