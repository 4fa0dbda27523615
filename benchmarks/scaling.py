"""What many instances, versions, subscriptions and timers cost: a server with stores of a thousand to a million instances.

    python benchmarks/scaling.py instances [--sizes 1000,10000,100000,1000000] [--directory DIR] [--json]
    python benchmarks/scaling.py journal [--sizes 1000,10000,100000,1000000] [--directory DIR] [--json]
    python benchmarks/scaling.py versions [--sizes 1,10,100,1000,10000] [--directory DIR] [--json]
    python benchmarks/scaling.py subscriptions [--sizes 0,1000,10000] [--directory DIR] [--json]
    python benchmarks/scaling.py timers [--pending 1000000] [--due 100000] [--rate 100] [--directory DIR] [--json]
    python benchmarks/scaling.py instant [--due 100000] [--rate 100] [--directory DIR] [--json]
    python benchmarks/scaling.py check [--sizes 1000] [--directory DIR]

Every figure is of a real `statekeep serve`, asked over HTTP by this process on the same machine. A million instances would take too long to make that way, so one is made over HTTP and the
rest are committed to the store by this script while no server runs, in the same rows (benchmarks/filling.py); `check` makes so many in both ways and compares them.

- `instances`: for each size, bytes on the disk; the time from the start of the process until it says that it is ready; memory (PSS) at rest, after 20,000 events to random instances and after reading a
  thousand; events to instances that nobody has touched since the start, and to the same ones again; pages of lists and of an index. Before a start the kernel is made to forget the file, so that the first touch of a page comes from the disk.
- `journal`: one instance with so many entries: the start, the first event to it and those after, and pages of its transitions.
- `versions`: one machine with so many versions, each with its code: the start, memory at rest, the path of an event (creations, events at one connection and events a second at eight) at instances
  of the newest version, an event to one of the first, and pages of the list of versions.
- `subscriptions`: so many sockets' subscriptions, a thousand to a socket, each to an instance of its own to which nothing happens, and the path of an event at other instances. At the end an event to one of each socket's shows that they are followed.
- `timers`: the same start and memory with so many timers that are due in a day. Then so many more are due within one minute, each an `after` of another instance, while events go to other instances at a
  steady rate. Lateness is from when a timer was due to the time of its journal entry, which is taken once the host has answered; times of events are from when each should have been sent.
- `instant`: so many timers that are due in the same instant, while events go to other instances: until all have fired, each once, how events fare, and the server's memory, looked at four times a second.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import filling
from rich.console import Console
from scaling_path import measure_subscriptions, measure_versions
from scaling_shop import (
    PAGES,
    Connection,
    Server,
    Shop,
    cursor_of,
    open_shop,
    send_many,
    serving,
    spread,
)
from scaling_timers import AFTER_A_DAY, measure_instant, measure_timers

COLD_EVENTS: Final = 1_000
RANDOM_EVENTS: Final = 20_000
READS: Final = 1_000


def measure_instances(sizes: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """A row for each size. The store is filled further from size to size."""
    shop, made, results = open_shop(folder), 1, []
    for size in sizes:
        bytes_before, begun = shop.file_bytes(), time.perf_counter()
        shop.fill(range(made, size))
        row: dict[str, Any] = {
            "instances": size,
            "filled s": round(time.perf_counter() - begun, 1),
            "disk bytes each": round((shop.file_bytes() - bytes_before) / (size - made)),
            "start s, empty": round(shop.empty_start_seconds, 2),
        }
        made = size
        shop.forget()
        with serving(shop.data_dir) as server:
            row |= _with_server(shop, server, size)
        results.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return results


def _with_server(shop: Shop, server: Server, size: int) -> dict[str, Any]:
    row: dict[str, Any] = {"start s": round(server.ready_after_seconds, 2)}
    user = server.connection(shop.token)
    # The first event starts the host.
    user.touch(0)
    row["memory MiB, idle"] = server.memory_mb()["server"]
    numbers = random.Random(size).sample(range(1, size), min(COLD_EVENTS, size - 1))
    row["cold event ms"] = spread([user.touch(number) for number in numbers])
    row["warm event ms"] = spread([user.touch(number) for number in numbers])
    at_random = random.Random(size + 1)
    begun = time.perf_counter()
    send_many(server, shop.token, [at_random.randrange(size) for _ in range(RANDOM_EVENTS)])
    row["random events/s"] = round(RANDOM_EVENTS / (time.perf_counter() - begun))
    row["memory MiB, after events"] = server.memory_mb()["server"]
    # The server closes connections that are idle for long.
    user = server.connection(shop.token)
    reads = [
        f"/machines/order/i/{filling.name_of(at_random.randrange(size))}" for _ in range(READS)
    ]
    row["read ms"] = spread([user.get(path) for path in reads])
    row["memory MiB, after reads"] = server.memory_mb()["server"]
    admin = server.connection(shop.admin_token())
    row |= _lists(shop, admin, size)
    row["memory MiB, hosts"] = server.memory_mb()["hosts"]
    return row


def _lists(shop: Shop, admin: Connection, size: int) -> dict[str, Any]:
    """Pages from the beginning and from the middle, and what one owner has."""
    query = "/machines/order/indexes/owner/query"
    owners = [
        filling.owner_of(number) for number in random.Random(size).choices(range(size), k=PAGES)
    ]
    paths = {
        "first page ms": ["/machines/order/i"] * PAGES,
        "middle page ms": [f"/machines/order/i?cursor={shop.middle_of('instances', 'id')}"] * PAGES,
        "index, one owner ms": [f"{query}?op=eq&value={owner}" for owner in owners],
        "index, middle page ms": [f"{query}?op=gte&value={owner}" for owner in owners],
    }
    return {what: spread([admin.get(path) for path in some]) for what, some in paths.items()}


def measure_journal(sizes: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """A row for each size. There is one instance, whose journal grows from size to size."""
    shop, results = open_shop(folder), []
    for size in sizes:
        filling.lengthen(shop.data_dir, shop.organization_id, "order", 0, size)
        row: dict[str, Any] = {"entries": size}
        shop.forget()
        with serving(shop.data_dir) as server:
            row["start s"] = round(server.ready_after_seconds, 2)
            user = server.connection(shop.token)
            # That starts the host as well.
            row["first event ms"] = round(user.touch(0), 1)
            row["event ms"] = spread([user.touch(0) for _ in range(COLD_EVENTS)])
            admin = server.connection(shop.admin_token())
            path = f"/machines/order/i/{filling.name_of(0)}/events"
            middle, instance = shop.row("SELECT max(id) / 2, max(instance_id) FROM journal")
            cursor = cursor_of(middle, f"transitions of {instance}")
            row["first page ms"] = spread([admin.get(path) for _ in range(PAGES)])
            row["middle page ms"] = spread(
                [admin.get(f"{path}?cursor={cursor}") for _ in range(PAGES)]
            )
            row["memory MiB"] = server.memory_mb()["server"]
        results.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return results


def check(count: int, folder: Path) -> None:
    """Make so many instances over HTTP and as many by filling, and compare their rows."""
    # A multiple, so that whole owners are in both.
    by_http, filled = range(count), range(count, 2 * count)
    shop = open_shop(folder, in_open=AFTER_A_DAY, made=count)
    shop.fill(filled, lambda _: 0.0)
    made = filling.rows(shop.data_dir, "order", by_http)
    same = filling.rows(shop.data_dir, "order", filled)
    assert made == same, next((a, b) for a, b in zip(made, same, strict=True) if a != b)
    assert all(made), "there are rows to compare"
    print(f"{count:,} instances made over HTTP and as many by filling have the same rows, such as")
    Console().print(made[0])


SIZES: Final = {
    "instances": [1_000, 10_000, 100_000, 1_000_000],
    "journal": [1_000, 10_000, 100_000, 1_000_000],
    "versions": [1, 10, 100, 1_000, 10_000],
    "subscriptions": [0, 1_000, 10_000],
    "check": [1_000],
}
GROWING: Final = {
    "instances": measure_instances,
    "journal": measure_journal,
    "versions": measure_versions,
    "subscriptions": measure_subscriptions,
}
"""What is measured at one size after the other."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=[*GROWING, "timers", "instant", "check"])
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--directory", type=Path, help="on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        result = _measured(options, Path(name))
    if options.json:
        print(json.dumps(result))
    elif result is not None:
        Console().print(result)


def _measured(options: argparse.Namespace, folder: Path) -> Any:
    """What was asked for; None where that was a check."""
    if options.what == "timers":
        return measure_timers(options.pending, options.due, options.rate, folder)
    if options.what == "instant":
        return measure_instant(options.due, options.rate, folder)
    sizes = options.sizes or SIZES[options.what]
    if options.what == "check":
        return check(sizes[0], folder)
    return GROWING[options.what](sizes, folder)


if __name__ == "__main__":
    main()
