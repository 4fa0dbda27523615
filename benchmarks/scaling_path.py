"""The parts of benchmarks/scaling.py about the path of an event, which has to cost the same however many versions and subscriptions there are."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import filling
from scaling_shop import PAGES, SENDERS, Server, Shop, open_shop, send_many, serving, spread
from websockets.sync.client import ClientConnection, connect

from statekeep.domain.limits import SOCKET_SUBSCRIPTIONS_MAX

CREATIONS: Final = 1_000
EVENTS: Final = 1_000
EVENTS_BESIDE: Final = 10_000
"""Sent over several connections."""
SUBSCRIBED_AT_ONCE: Final = 100
"""Subscriptions that a socket asks for before it reads the states that they begin with."""
UPDATE_SECONDS_MAX: Final = 10
"""What is followed has to be told for that long after an event."""


def measure_versions(sizes: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """A row for each size. The machine gets more versions from size to size, and those that were made at one are of the newest version then."""
    shop, published, results = open_shop(folder), 1, []
    for n, size in enumerate(sizes):
        begun, row = time.perf_counter(), {"versions": size}
        if size > published:
            shop.publish(size - published)
        row["filled s"] = round(time.perf_counter() - begun, 1)
        published = size
        shop.forget()
        with serving(shop.data_dir) as server:
            row |= _path_of_an_event(server, shop, _fresh(n))
            user = server.connection(shop.token)
            # The only one of the first version, which has a host of its own.
            user.touch(0)
            row["event of the first version ms"] = spread([user.touch(0) for _ in range(EVENTS)])
            row |= _version_lists(server, shop)
        results.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return results


def _version_lists(server: Server, shop: Shop) -> dict[str, Any]:
    admin = server.connection(shop.admin_token())
    path = "/machines/order/v"
    middle = f"{path}?cursor={shop.middle_of('versions', 'number')}"
    return {
        "first page ms": spread([admin.get(path) for _ in range(PAGES)]),
        "middle page ms": spread([admin.get(middle) for _ in range(PAGES)]),
    }


def measure_subscriptions(sizes: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """A row for each size, of a server of its own."""
    shop, results = open_shop(folder), []
    watched = range(1, 1 + max(sizes))
    shop.fill(watched)
    for n, size in enumerate(sizes):
        row: dict[str, Any] = {"subscriptions": size}
        shop.forget()
        with serving(shop.data_dir) as server:
            # Starts the host, of which subscribing would take the time else.
            server.connection(shop.token).touch(0)
            begun = time.perf_counter()
            with _subscribed(server, shop, watched[:size]) as sockets:
                row["subscribed after s"] = round(time.perf_counter() - begun, 1)
                row |= _path_of_an_event(server, shop, _fresh(n, watched.stop))
                _assert_followed(server, shop, sockets, watched[:size])
        results.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return results


def _fresh(n: int, start: int = 1) -> range:
    """The numbers of the instances that are made at the n-th size."""
    first = start + n * (CREATIONS + 1)
    return range(first, first + CREATIONS + 1)


def _path_of_an_event(server: Server, shop: Shop, numbers: range) -> dict[str, Any]:
    """Make the instances of these numbers and send events to them."""
    user = server.connection(shop.token)
    # The first one starts the host.
    user.create(numbers[0])
    row: dict[str, Any] = {
        "start s": round(server.ready_after_seconds, 2),
        "memory MiB, idle": server.memory_mb()["server"],
        "creation ms": spread([user.create(number) for number in numbers[1:]]),
    }
    row["event ms"] = spread([user.touch(numbers[n % len(numbers)]) for n in range(EVENTS)])
    begun = time.perf_counter()
    send_many(server, shop.token, [numbers[n % len(numbers)] for n in range(EVENTS_BESIDE)])
    row[f"events/s, {SENDERS} connections"] = round(EVENTS_BESIDE / (time.perf_counter() - begun))
    row["memory MiB, after"] = server.memory_mb()["server"]
    return row


@contextmanager
def _subscribed(server: Server, shop: Shop, numbers: range) -> Iterator[list[ClientConnection]]:
    """Sockets that follow the instances of these numbers, each as many as it may."""
    with ExitStack() as stack:
        sockets = []
        for some in filling.portions(numbers, SOCKET_SUBSCRIPTIONS_MAX):
            url = f"ws://127.0.0.1:{server.port}/rt?token={shop.token}"
            sockets.append(stack.enter_context(connect(url)))
            for few in filling.portions(some, SUBSCRIBED_AT_ONCE):
                _subscribe(sockets[-1], few)
        yield sockets


def _subscribe(socket: ClientConnection, numbers: range) -> None:
    """Follow these too, from when the state of each has come."""
    for number in numbers:
        message = {
            "type": "subscribe-to-instance",
            "requestId": str(number),
            "machineName": "order",
            "machineInstanceName": filling.name_of(number),
        }
        socket.send(json.dumps(message))
    followed = {_updated(socket) for _ in numbers}
    assert followed == {filling.name_of(number) for number in numbers}


def _assert_followed(
    server: Server, shop: Shop, sockets: Sequence[ClientConnection], numbers: range
) -> None:
    """An event to one instance of each socket is told there, and nothing was before."""
    user = server.connection(shop.token)
    for socket, some in zip(
        sockets, filling.portions(numbers, SOCKET_SUBSCRIPTIONS_MAX), strict=True
    ):
        user.touch(some[-1])
        assert _updated(socket) == filling.name_of(some[-1])


def _updated(socket: ClientConnection) -> str:
    """The instance of which the next message tells."""
    message = json.loads(socket.recv(timeout=UPDATE_SECONDS_MAX))
    assert message["type"] == "instance-update", message
    name: str = message["machineInstanceName"]
    return name
