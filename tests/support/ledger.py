"""A machine whose history tells whether promises were kept across a crash, and the outside world that it acts on."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest

from tests.support.deployed import OPEN_TO_ALL, Deployment

LEDGER: Final = "ledger"

MACHINE: Final = (
    OPEN_TO_ALL
    + """
const note = assign({
  public: ({ context, event }) => ({ ...context.public, seen: [...context.public.seen, event.n] }),
});
const post = (context, n) => fetch(context.recorder, { method: "POST", body: JSON.stringify({ n }) });
const outcome = (name) => assign({
  public: ({ context }) => ({ ...context.public, outcomes: [...context.public.outcomes, name] }),
});

const call = fromPromise(async ({ input }) => { await (await post(input.context, input.n)).text(); });

export default createMachine({
  id: "ledger",
  context: { public: { seen: [], outcomes: [] }, recorder: "" },
  on: {
    add: { actions: [note, ({ context, event }) => { post(context, event.n); }] },
    wind: { actions: [note, raise({ type: "ring" }, { delay: 300 })] },
    ring: { actions: outcome("rung") },
    call: {
      actions: [
        note,
        spawnChild(call, {
          id: ({ event }) => `call-${event.n}`,
          input: ({ context, event }) => ({ context, n: event.n }),
        }),
      ],
    },
    "xstate.done.actor.*": {
      actions: [outcome("done"), stopChild(({ event }) => event.actorId)],
    },
    "xstate.error.actor.*": {
      actions: [outcome("failed"), stopChild(({ event }) => event.actorId)],
    },
  },
});
"""
)
"""`add` is an action on the world, `call` a promise that acts on it, `wind` sets a timer. Each notes its `n` in the context,
and none is ever without a transition."""

TRIES_MAX = 200
"""Looks at something that has to come about, a twentieth of a second apart."""


class Recorder:
    """The world outside: remembers the `n` of every effect that reached it."""

    def __init__(self) -> None:
        self.url = ""
        self._numbers: list[int] = []
        self._lock = threading.Lock()

    def record(self, n: int) -> None:
        """One effect happened."""
        with self._lock:
            self._numbers.append(n)

    @property
    def numbers(self) -> list[int]:
        """Everything so far."""
        with self._lock:
            return list(self._numbers)


@contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder that listens on this machine."""
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            recorder.record(json.loads(body)["n"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorder.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()


def await_that(is_so: Callable[[], bool], what: str) -> None:
    """Return as soon as it is so. Fails the test where that takes too long."""
    for _ in range(TRIES_MAX):
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail(f"never came about: {what}")


def seen_in(journal: list[dict[str, Any]]) -> list[int]:
    """The numbers of the clients' events, in the order in which they were applied."""
    return [entry["event"]["n"] for entry in journal if "n" in entry["event"]]


def outcomes_in(journal: list[dict[str, Any]]) -> list[str]:
    """The ends of timers and promises, in the order in which they were applied."""
    return [name for entry in journal if (name := _outcome(entry["event"]["type"])) is not None]


def _outcome(event_type: str) -> str | None:
    for prefix, name in (
        ("ring", "rung"),
        ("xstate.done.actor.", "done"),
        ("xstate.error.actor.", "failed"),
    ):
        if event_type.startswith(prefix):
            return name
    return None


def await_settled(user: Deployment, instance: str) -> list[dict[str, Any]]:
    """The journal once every timer and promise in it has come to its end, which nobody asks the instance for."""

    def is_settled() -> bool:
        journal = user.journal(LEDGER, instance)
        begun = sum(entry["event"]["type"] in {"wind", "call"} for entry in journal)
        return len(outcomes_in(journal)) >= begun

    await_that(is_settled, f"the timers and promises of {instance} end")
    return user.journal(LEDGER, instance)


def check_promises(
    user: Deployment, instance: str, *, sent: set[int], answered: set[int], effects: list[int]
) -> None:
    """What has to hold of an instance after any crash, once it was restarted."""
    journal = await_settled(user, instance)
    seen, outcomes = seen_in(journal), outcomes_in(journal)
    public = user.read(LEDGER, instance)["publicContext"]
    assert public == {"seen": seen, "outcomes": outcomes}, "journal and context agree"
    begun = sum(entry["event"]["type"] in {"wind", "call"} for entry in journal)
    assert len(outcomes) == begun, "every timer and promise ends once"
    assert len(set(seen)) == len(seen), "no event is applied twice"
    assert answered <= set(seen), "what was answered is not lost"
    assert set(seen) <= sent
    acted = Counter(n for n in effects if n in sent)
    assert set(acted) <= set(seen), "no effect without its transition"
    assert all(count == 1 for count in acted.values()), "no effect twice"
