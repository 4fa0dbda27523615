"""Run with `pytest` (`pip install pytest`). Time stands still in here, until a test lets it go by."""

from collections.abc import Callable

from statekeep.testing import Machine

ADA = {"sub": "ada"}


def test_it_goes_on_and_off(machine: Callable[..., Machine]) -> None:
    toggle = machine("toggle.ts").start(as_=ADA)
    toggle.send("toggle")
    assert toggle.state == "on"
    toggle.send("toggle")
    assert toggle.state == "off"
    assert toggle.public_context == {"toggled": 2}


def test_it_goes_off_after_an_hour(machine: Callable[..., Machine]) -> None:
    toggle = machine("toggle.ts").start(as_=ADA)
    toggle.send("toggle")
    toggle.advance(hours=1)
    assert toggle.state == "off"


def test_nobody_is_let_in(machine: Callable[..., Machine]) -> None:
    toggle = machine("toggle.ts").start(as_=ADA)
    toggle.assert_may_read(ADA)
    toggle.assert_may_not_read({})
    toggle.assert_may_not_write({}, "toggle")
