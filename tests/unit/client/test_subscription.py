"""Following an instance, without a socket."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from statekeep.client.errors import (
    ConnectionFailedError,
    HistoryGoneError,
    NotConnectedError,
    OverloadedError,
    UnauthenticatedError,
)
from statekeep.client.steps import Connect, GiveUp, Hear, Pause, Say
from statekeep.client.subscription import PING_SECONDS, Follower, Subscription
from tests.support.client_steps import Script

LOST = ConnectionFailedError("lost")
SUBSCRIBE = "subscribe-to-instance"


def update(revision: int, ts: float | None = None) -> bytes:
    """As the server tells it, with a field that a newer one may have."""
    return msgspec.json.encode(
        {
            "type": "instance-update",
            "machineName": "door",
            "machineInstanceName": "front",
            "requestId": "1",
            "revision": revision,
            "ts": float(revision) if ts is None else ts,
            "state": "open",
            "tags": [],
            "done": False,
            "mood": "good",
        }
    )


def error(status: int, code: str) -> bytes:
    message = {"type": "error", "requestId": "1", "status": status, "code": code, "error": "told"}
    return msgspec.json.encode(message)


class Socket:
    """Connections one after the other, each a list of what is heard: messages, errors, or seconds in which nothing comes.

    When all was heard the test is over, with `Over`.
    """

    def __init__(self, *connections: list[Any], tokens: int = 1) -> None:
        self._connections = iter(connections)
        self._heard = iter(list[Any]())
        self._tokens = tokens
        self.now = 0.0
        self.said: list[dict[str, Any]] = []
        self.pauses: list[float] = []

    def follow(self, **options: Any) -> list[int]:
        """Revisions that were told."""
        chosen: dict[str, Any] = {"since": None, "only_newest": False}
        subscription = Subscription("door", "front", **(chosen | options))
        script = Script(self._respond)
        with suppress(Over):
            script.take(Follower(subscription, now=lambda: self.now).updates())
        return [each.revision for each in script.emitted]

    def _respond(self, step: Any) -> Any:
        match step:
            case Connect():
                self._heard = iter(next(self._connections, [Over()]))
                return "token"
            case Say():
                self.said.append(json.loads(step.text))
            case Hear():
                return self._hear(step.within_seconds)
            case Pause():
                self.pauses.append(step.seconds)
            case GiveUp():
                assert step.token == "token"
                self._tokens -= 1
                return self._tokens > 0
        return None

    def _hear(self, within_seconds: float) -> bytes | None:
        heard = next(self._heard, Over())
        if isinstance(heard, Exception):
            raise heard
        if isinstance(heard, float):
            assert heard >= within_seconds
            self.now += within_seconds
            return None
        assert isinstance(heard, bytes)
        return heard

    @property
    def asked_since(self) -> list[int | None]:
        return [said.get("since") for said in self.said if said["type"] == SUBSCRIBE]


class Over(Exception):
    """The test has seen enough."""


def test_a_lost_connection_goes_on_after_the_last_update() -> None:
    """And the first one begins with the state as it is: with what no instance can have."""
    socket = Socket([update(7), update(8), LOST], [update(9), OverloadedError("bye")], [update(10)])
    assert socket.follow() == [7, 8, 9, 10]
    assert socket.asked_since == [2**53 - 1, 8, 9]
    assert socket.said[0] == {
        "type": SUBSCRIBE,
        "requestId": "1",
        "machineName": "door",
        "machineInstanceName": "front",
        "since": 2**53 - 1,
    }


def test_one_may_begin_anywhere() -> None:
    """Also where nothing was seen before the connection is lost."""
    socket = Socket([LOST], [update(4)])
    assert socket.follow(since=3) == [4]
    assert socket.asked_since == [3, 3]


def test_the_newest_state_is_not_told_twice() -> None:
    """After a lost connection it comes again. One of an instance that was made again has another time."""
    socket = Socket([update(7), LOST], [update(7), update(9), LOST], [update(9, ts=99.0)])
    assert socket.follow(only_newest=True) == [7, 9, 9]
    assert socket.asked_since == [None, None, None]


def test_connections_that_bring_nothing_are_made_less_and_less_often() -> None:
    """Until one brings something."""
    socket = Socket(*[[LOST]] * 8, [update(1), LOST], [LOST])
    socket.follow()
    assert socket.pauses[:8] == sorted(socket.pauses[:8])
    assert 0.1 <= socket.pauses[0] < 0.3
    assert 5 <= socket.pauses[7] < 5.2
    assert socket.pauses[8] < 0.3


def test_a_server_may_say_when_to_come_back() -> None:
    """Then nobody comes sooner."""
    socket = Socket([update(1), OverloadedError("later", retry_after_seconds=30)], [])
    socket.follow()
    assert socket.pauses == [30]


def test_a_silent_client_says_that_it_is_there() -> None:
    """Every four minutes, whether updates come meanwhile or not."""
    quiet = PING_SECONDS
    socket = Socket([update(1), quiet, quiet, update(2), quiet])
    assert socket.follow() == [1, 2]
    assert [said["type"] for said in socket.said] == [SUBSCRIBE, "ping", "ping", "ping"]


def test_a_refused_token_is_replaced_once() -> None:
    """By another, if there is one; each that brought an update may be refused in its turn."""
    expired = UnauthenticatedError("expired", status=401)
    socket = Socket([update(1), expired], [update(2), expired], [update(3)], tokens=3)
    assert socket.follow() == [1, 2, 3]
    assert socket.asked_since == [2**53 - 1, 1, 2]
    refused = error(401, "unauthenticated")
    with pytest.raises(UnauthenticatedError, match="told"):
        Socket([update(1), expired], [refused], tokens=3).follow()
    with pytest.raises(UnauthenticatedError):
        Socket([refused]).follow()


def test_a_gap_is_told_and_not_skipped() -> None:
    """Where the machine does not keep what one missed."""
    with pytest.raises(HistoryGoneError):
        Socket([update(7), LOST], [error(410, "history-gone")]).follow()


def test_a_server_that_never_was_there_is_told() -> None:
    """Rather than waited for without an end; one that was there is waited for."""

    class Away(Socket):
        def __init__(self, is_away_at: int) -> None:
            super().__init__([update(1), LOST], [update(2)])
            self._is_away_at = is_away_at

        def _respond(self, step: Any) -> Any:
            if isinstance(step, Connect):
                self._is_away_at -= 1
                if self._is_away_at == 0:
                    raise NotConnectedError("away")
            return super()._respond(step)

    with pytest.raises(NotConnectedError):
        Away(1).follow()
    assert Away(2).follow() == [1, 2]


def test_what_a_newer_server_says_is_let_pass() -> None:
    """Messages of kinds that nobody knows."""
    assert Socket([b'{"type":"weather"}', update(1)]).follow() == [1]
