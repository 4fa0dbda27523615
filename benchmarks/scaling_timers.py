"""The parts of benchmarks/scaling.py about timers: many that wait, and many that are due within a minute or in one instant."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import apsw
import filling
from scaling_shop import Server, Shop, beside, open_shop, send_steadily, serving, spread

from statekeep.domain.event import Origin
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME

DAY_MS: Final = 86_400_000.0
MINUTE_MS: Final = 60_000.0
AHEAD_SECONDS: Final = 20
"""From when the store is full until the first timer is due: time to start the server."""
OTHERS: Final = 1_000
"""Instances that get events while the timers of others fire."""
LOOK_SECONDS: Final = 0.25
"""From one look at how many timers are left, and at the server's memory, to the next."""
AFTER_A_DAY = 'after: { 86400000: "closed" }'


def measure_timers(pending: int, due: int, rate: int, folder: Path) -> dict[str, Any]:
    """So many timers that wait, and then as many as `due` more within a minute, while `rate` events a second are sent."""
    shop = open_shop(folder, in_open=AFTER_A_DAY)
    tomorrow = time.time() * 1000 + DAY_MS
    shop.fill(range(1, pending), lambda _: tomorrow)
    shop.forget()
    result: dict[str, Any] = {"pending": pending, "due": due, "events/s": rate}
    with serving(shop.data_dir) as server:
        result["start s"] = round(server.ready_after_seconds, 2)
        server.connection(shop.token).touch(0)
        result["memory MiB, idle"] = server.memory_mb()["server"]
        result["event ms, before"] = spread(
            send_steadily(server, shop, range(pending), rate, _past(time.time() + 10))
        )
    # The last of the fill was made some seconds before the first is due.
    first_ms = time.time() * 1000 + (AHEAD_SECONDS + due / 5_000) * 1000

    def due_at(number: int) -> float:
        return round(first_ms + filling.scattered(number) / 2**64 * MINUTE_MS, 3)

    numbers = range(pending, pending + due)
    shop.fill(numbers, due_at)
    result["filled before the first s"] = round(first_ms / 1000 - time.time(), 1)
    with serving(shop.data_dir) as server:
        result["start s, with those that are due"] = round(server.ready_after_seconds, 2)
        server.connection(shop.token).touch(0)
        time.sleep(max(0.0, first_ms / 1000 - time.time()))
        until = (first_ms + MINUTE_MS) / 1000
        result["event ms, meanwhile"] = spread(
            send_steadily(server, shop, range(pending), rate, _past(until))
        )
        result["memory MiB, after"] = server.memory_mb()["server"]
        fired = _await_timers(shop, due)
    result |= _lateness(fired, due_at, numbers)
    return result


def measure_instant(due: int, rate: int, folder: Path) -> dict[str, Any]:
    """As many timers as `due`, each of another instance, in the same instant, while `rate` events a second go to instances whose timers are far."""
    shop = open_shop(folder, in_open=AFTER_A_DAY)
    others, numbers = range(OTHERS), range(OTHERS, OTHERS + due)
    instant_ms = round(time.time() * 1000 + (AHEAD_SECONDS + due / 5_000) * 1000, 3)
    shop.fill(others[1:], lambda _: instant_ms + DAY_MS)
    shop.fill(numbers, lambda _: instant_ms)
    result: dict[str, Any] = {"due": due, "events/s": rate}
    with serving(shop.data_dir) as server:
        result["start s"] = round(server.ready_after_seconds, 2)
        server.connection(shop.token).touch(0)
        result["ready before the instant s"] = round(instant_ms / 1000 - time.time(), 1)
        before = send_steadily(server, shop, others, rate, _past(instant_ms / 1000))
        result["event ms, before"] = spread(before)
        result["memory MiB, before"] = server.memory_mb()["server"]
        result |= _while_firing(server, shop, instant_ms, rate)
        fired = _await_timers(shop, due)
    seconds = (max(fired.values()) - instant_ms) / 1000
    result["all fired after s"] = round(seconds, 2)
    result["timers/s"] = round(due / seconds)
    return result | _lateness(fired, lambda _: instant_ms, numbers)


def _while_firing(server: Server, shop: Shop, instant_ms: float, rate: int) -> dict[str, Any]:
    """How events and the server's memory fare until none of the timers is left."""
    memory: list[int] = []
    times: list[float] = []
    all_fired = threading.Event()

    def look() -> None:
        # Those that were put off are due soon after the instant, the others' a day later.
        left = (
            f"SELECT count(*) FROM timers WHERE is_dead = 0 AND due_at < {instant_ms + DAY_MS / 2}"
        )
        try:
            while shop.row(left) != (0,):
                memory.append(server.memory_mb()["server"])
                time.sleep(LOOK_SECONDS)
        finally:
            all_fired.set()

    def send() -> None:
        times.extend(send_steadily(server, shop, range(OTHERS), rate, all_fired.is_set))

    beside([look, send])
    return {"event ms, meanwhile": spread(times), "memory MiB, at most": max(memory)}


def _past(moment: float) -> Callable[[], bool]:
    """Is it over? It is from then on, in seconds since the epoch."""
    return lambda: time.time() >= moment


def _await_timers(shop: Shop, due: int) -> dict[str, float]:
    """Names and journal times of the instances whose timers have fired, once all have, or no more do."""
    connection = apsw.Connection(
        str(shop.data_dir / DATABASE_FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY
    )
    fired: dict[str, float] = {}
    while len(fired) < due:
        before = len(fired)
        time.sleep(2)
        rows = connection.execute(
            "SELECT name, ts FROM journal JOIN instances ON instances.id = instance_id WHERE origin = ?",
            (Origin.TIMER,),
        )
        found = rows.fetchall()
        fired = dict(found)
        assert len(fired) == len(found), "timers have fired twice"
        assert len(fired) > before, f"{due - len(fired)} timers did not fire"
    connection.close()
    return fired


def _lateness(fired: dict[str, float], due_at: filling.DueAt, numbers: range) -> dict[str, Any]:
    late = [fired[filling.name_of(number)] - due_at(number) for number in numbers]
    return {"lateness ms": spread(late), "first after ms": round(min(late), 2)}
