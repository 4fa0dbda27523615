"""Where a client has its token from, and when it asks for another one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from statekeep.client import Anonymous, TokenExchange
from statekeep.client.errors import ConnectionFailedError, TokenExchangeError
from statekeep.client.signing import expiry_of, sign
from statekeep.client.steps import Answer, Call, Request
from statekeep.client.tokens import TokenConfig, TokenSource
from tests.support.client_steps import Script

ORGANIZATION = "org_uHvZHpF4STWvMg8BKVCUTg"
SECRET = "sbsec_" + "s" * 43
HOUR = 3600.0


class Holder:
    """Asks for its token at any time, of a server that exchanges tokens for new ones, each good for an hour."""

    def __init__(self, config: TokenConfig | None) -> None:
        self.now = 1_000_000.0
        self.exchanged: list[dict[str, str]] = []
        self.is_server_away = False
        self._source = TokenSource(config, now=lambda: self.now)

    def token(self) -> str | None:
        token: str | None = Script(self._respond).take(self._source.current())
        return token

    def give_up(self, token: str | None) -> bool:
        return self._source.give_up(token)

    def _respond(self, step: Any) -> Any:
        if isinstance(step, Call):
            return step.function()
        assert isinstance(step, Request)
        assert (step.path, step.is_authorized, step.may_be_repeated) == ("/tokens", False, True)
        if self.is_server_away:
            raise ConnectionFailedError("away")
        self.exchanged.append(dict(step.form or {}))
        answer = {
            "access_token": f"token {len(self.exchanged)}",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": int(HOUR),
        }
        return Answer(200, {}, msgspec.json.encode(answer))


def exchange() -> TokenExchange:
    return TokenExchange(ORGANIZATION, "web", "theirs")


def test_a_fixed_token_is_what_it_is() -> None:
    """However often the server refuses it; nobody has none."""
    for config in ("fixed", None):
        holder = Holder(config)
        assert holder.token() == config
        assert not holder.give_up(config)


def test_a_token_is_exchanged_again_before_it_ends() -> None:
    """A minute before, and not sooner; what is sent is what RFC 8693 wants."""
    holder = Holder(exchange())
    assert holder.token() == "token 1"
    holder.now += HOUR - 61
    assert holder.token() == "token 1"
    holder.now += 1
    assert holder.token() == "token 2"
    assert holder.exchanged[0] == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": f"https://tokens.statebacked.dev/{ORGANIZATION}/web",
        "subject_token": "theirs",
    }


def test_a_refused_token_is_given_up() -> None:
    """Not one that somebody else has renewed meanwhile."""
    holder = Holder(exchange())
    assert holder.token() == "token 1"
    assert holder.give_up("token 1")
    assert holder.token() == "token 2"
    assert holder.give_up("token 1")
    assert holder.token() == "token 2"


def test_a_renewal_that_fails_does_no_harm_yet() -> None:
    """The token is good for another minute; then there is none."""
    holder = Holder(exchange())
    holder.token()
    holder.is_server_away = True
    holder.now += HOUR - 30
    assert holder.token() == "token 1"
    holder.now += 30
    with pytest.raises(ConnectionFailedError):
        holder.token()
    holder.is_server_away = False
    assert holder.token() == "token 2"


def test_a_function_is_asked_when_its_token_is_about_to_end() -> None:
    """The token says when that is. One that says nothing is kept until it is refused."""
    given: list[str] = []

    def fresh() -> str:
        given.append(sign({"exp": holder.now + 100, "n": len(given)}, SECRET))
        return given[-1]

    holder = Holder(fresh)
    assert holder.token() == given[0]
    holder.now += 79
    assert holder.token() == given[0]
    holder.now += 1
    assert holder.token() == given[1]
    assert len(given) == 2
    silent = Holder(lambda: "opaque")
    silent.token()
    silent.now += 1_000 * HOUR
    assert silent.token() == "opaque"
    assert silent.give_up("opaque")


def test_a_function_returns_text() -> None:
    """One that has to be awaited is for the other client."""

    async def later() -> str:
        return "token"

    coroutine = later()
    holder = Holder(lambda: coroutine)
    with pytest.raises(TypeError, match="AsyncClient"):
        holder.token()
    coroutine.close()


def test_an_anonymous_session_is_nobody_else() -> None:
    """The same session and device for as long as the configuration lives, signed with what everybody knows."""
    config = Anonymous(ORGANIZATION, device_id="phone")
    holder = Holder(config)
    for _ in range(2):
        holder.give_up(holder.token())
    assert len(holder.exchanged) == 2
    for form in holder.exchanged:
        assert form["audience"].endswith(f"/{ORGANIZATION}/anonymous-statebacked-dev")
        claims = jwt.decode(form["subject_token"], OctKey.import_key(ORGANIZATION)).claims
        scope = f"https://{ORGANIZATION}.anonymous.auth.statebacked.dev"
        assert (claims["iss"], claims["aud"]) == (scope, scope)
        assert (claims["sid"], claims["did"]) == (config.session_id, "phone")
        assert claims["exp"] > holder.now
    assert Anonymous(ORGANIZATION).session_id != config.session_id


def test_secrets_are_not_shown() -> None:
    """In a traceback or a log."""
    assert "theirs" not in repr(exchange())


def test_a_refused_exchange_is_told() -> None:
    """And not taken for a server that is away."""

    def refuse(step: Any) -> Any:
        raise TokenExchangeError("no", status=400, code="invalid_target")

    with pytest.raises(TokenExchangeError):
        Script(refuse).take(TokenSource(exchange()).current())


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "a.e30.c", "a.bm8.c", "a.eyJleHAiOiJ4In0.c", "a.\xff.c", "a.WzFd.c"]
)
def test_what_is_no_token_of_ours_has_no_end(token: str) -> None:
    """It is for the server to say what is wrong with it."""
    assert expiry_of(token) is None


def test_a_token_says_when_it_ends() -> None:
    """With a fraction or without."""
    assert expiry_of(sign({"exp": 5}, SECRET)) == 5
    assert expiry_of(sign({"exp": 5.5}, SECRET)) == 5.5
