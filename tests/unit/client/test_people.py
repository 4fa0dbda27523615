"""A device that waits until somebody lets it in (RFC 8628, 3.5)."""

from __future__ import annotations

from typing import Any

import pytest

from statekeep.client.errors import ConnectionFailedError, TokenExchangeError
from statekeep.client.models import DeviceAuthorization, SignedInUser, SignIn
from statekeep.client.nouns.people import DeviceLogins
from statekeep.client.steps import Answer, Pause
from tests.support.client_steps import Script

BEGUN = DeviceAuthorization("secret", "WDJB-MJHT", "https://host/device", expires_in=900)
TOKEN = (
    b'{"access_token":"t","expires_in":9,"token_type":"Bearer","user":{"id":"usr_1","email":"a@b"}}'
)


class Device:
    """Waits for as long as it is told, which is written down, and gets these answers."""

    def __init__(self, *answers: Any) -> None:
        self.pauses: list[float] = []
        self._answers = iter(answers)

    def sign_in(self) -> SignIn:
        login: Any = DeviceLogins(Script(self._respond))
        signed_in: SignIn = login.finish("tests", BEGUN)
        return signed_in

    def _respond(self, step: Any) -> Answer | None:
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            return None
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return Answer(200, {}, answer)


def refused(code: str) -> TokenExchangeError:
    return TokenExchangeError(code, status=400, code=code)


def test_a_device_asks_as_often_as_it_may() -> None:
    """After the interval, five seconds later from each time on when that was too soon, and half as often when nobody answers."""
    device = Device(
        refused("authorization_pending"), refused("slow_down"), ConnectionFailedError("gone"), TOKEN
    )
    signed_in = device.sign_in()
    assert device.pauses == [5, 5, 10, 20]
    assert signed_in == SignIn("t", 9, "Bearer", SignedInUser("usr_1", "a@b"))


@pytest.mark.parametrize("code", ["access_denied", "expired_token"])
def test_a_device_that_is_not_let_in_stops(code: str) -> None:
    """With the reason."""
    device = Device(refused("authorization_pending"), refused(code))
    with pytest.raises(TokenExchangeError) as caught:
        device.sign_in()
    assert caught.value.code == code


def test_a_device_gives_up_a_server_that_is_gone() -> None:
    """When the code cannot be good any more."""
    device = Device(*[ConnectionFailedError("gone")] * 20)
    with pytest.raises(ConnectionFailedError):
        device.sign_in()
    assert sum(device.pauses) > BEGUN.expires_in
