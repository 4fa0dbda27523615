"""Every promise holds when the process dies at a named point: not before, not after, but there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest

from statekeep import crash_points
from tests.support.deployed import Deployment, deployment
from tests.support.ledger import (
    LEDGER,
    MACHINE,
    Recorder,
    check_promises,
    recording,
    seen_in,
)
from tests.support.server import server_process

OPTIONS = ("--allow-private-network",)
UPGRADE_POINTS = {
    crash_points.BEFORE_UPGRADE,
    crash_points.AFTER_UPGRADE,
    crash_points.BEFORE_UPGRADE_RESULTS,
}
CRASH_POINTS = sorted(crash_points.CRASH_POINTS - UPGRADE_POINTS)
DYING_SECONDS_MAX = 30
EVENTS = {"add": "an action", "call": "a promise", "wind": "a timer"}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as world:
        yield world


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def prepare(data_dir: Path, recorder: Recorder, *instances: str) -> str:
    """A data folder with these instances of the ledger, each of which has answered three events. Returns a user's token."""
    with server_process(data_dir, *OPTIONS) as server, deployment(server) as user:
        user.deploy(LEDGER, MACHINE)
        for place, instance in enumerate(instances):
            user.create(LEDGER, instance, context={"recorder": recorder.url})
            for n in (1, 2, 3):
                user.sent(LEDGER, instance, {"type": "add", "n": 1000 * place + n})
        return user.token


def send_or_crash(
    user: Deployment, instance: str, event: dict[str, Any], key: str | None = None
) -> bool:
    """Whether there was an answer."""
    try:
        answer = user.send(LEDGER, instance, event, key=key)
    except httpx.TransportError:
        return False
    assert answer.status_code == 200, answer.text
    return True


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_an_event_survives(data_dir, recorder, point, kind):
    """Whole or not at all, with its timer and its promise. Sent again with its key it has happened once."""
    if (kind, point) == ("wind", crash_points.AMID_EFFECTS):
        pytest.skip("an event that only sets a timer has no effects to be amid of")
    token = prepare(data_dir, recorder, "one")
    event = {"type": kind, "n": 4}
    with (
        server_process(data_dir, *OPTIONS, "--crash-at", point) as armed,
        deployment(armed, token) as user,
    ):
        assert not send_or_crash(user, "one", event, key="fourth")
        assert armed.process.wait(DYING_SECONDS_MAX) == -SIGKILL
    with server_process(data_dir, *OPTIONS) as server, deployment(server, token) as user:
        effects = recorder.numbers
        check_promises(user, "one", sent={1, 2, 3, 4}, answered={1, 2, 3}, effects=effects)
        was_applied = 4 in seen_in(user.journal(LEDGER, "one"))
        assert was_applied == (point != crash_points.BEFORE_COMMIT)
        assert send_or_crash(user, "one", event, key="fourth")
        check_promises(
            user, "one", sent={1, 2, 3, 4}, answered={1, 2, 3, 4}, effects=recorder.numbers
        )
        if was_applied:
            assert recorder.numbers == effects, "a repeated key performs nothing"


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_events_that_share_a_commit_survive(data_dir, recorder, point):
    """Many clients of several instances at once, of whose events any number may be under way."""
    instances = [f"i{place}" for place in range(4)]
    token = prepare(data_dir, recorder, *instances)
    jobs: list[tuple[int, dict[str, Any]]] = [
        (place, {"type": kind, "n": 1000 * place + n})
        for n, kind in enumerate(["add", "call", "add", "wind", "add", "add"], start=4)
        for place in range(4)
    ]
    with (
        server_process(data_dir, *OPTIONS, "--crash-at", point) as armed,
        deployment(armed, token) as user,
        ThreadPoolExecutor(len(jobs)) as clients,
    ):
        answers = list(clients.map(lambda job: send_or_crash(user, f"i{job[0]}", job[1]), jobs))
        assert armed.process.wait(DYING_SECONDS_MAX) == -SIGKILL
    with server_process(data_dir, *OPTIONS) as server, deployment(server, token) as user:
        for place, instance in enumerate(instances):
            first = {1000 * place + n for n in (1, 2, 3)}
            own = [
                (job[1]["n"], done)
                for job, done in zip(jobs, answers, strict=True)
                if job[0] == place
            ]
            check_promises(
                user,
                instance,
                sent=first | {n for n, _ in own},
                answered=first | {n for n, done in own if done},
                effects=recorder.numbers,
            )
