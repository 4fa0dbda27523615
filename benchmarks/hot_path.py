"""How many instructions the server executes for one event and for one creation: of Python's interpreter, so that the count is the same on every machine.

    python benchmarks/hot_path.py [--record | --check] [--json]

A real server with a real host, in this process; a thread beside it sends one request after the other. What is counted is the bytecode that the event loop's thread executes between
two points, whosever it is: ours, uvicorn's, asyncio's. Time does not matter, nor what else the machine does. What C code does is not in it: events per second are in event_path.py.

`--record` writes the counts to hot_path.json, where they are kept with the code. `--check` compares with them, fails where there are more by a seventh, and asks for
a new record where there are as many fewer; CI does that. The bytecode differs from one minor version of Python to the next: there is nothing to compare with but what the same one counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from http.client import HTTPResponse
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from event_path import EVENT, deploy

from statekeep import bootstrap
from statekeep.logs import configure_logging
from statekeep.settings import Settings
from statekeep.storage.sqlite import pace

RECORD: Final = Path(__file__).with_suffix(".json")
TOLERANCE: Final = 0.15
INSTANCES: Final = 20
WARM: Final = 40
COUNTED: Final = 200

Counts = dict[str, int]


class Counter:
    """Counts the instructions of the thread that it is started in."""

    def __init__(self) -> None:
        self.count = 0

    def start(self) -> None:
        """Frames that are entered or resumed from now on are counted."""
        self.count = 0
        sys.settrace(self._enter)

    def stop(self) -> None:
        """Count no more."""
        sys.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any]:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, _frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        if event == "opcode":
            self.count += 1
        return self._step


def measure() -> Counts:
    """Instructions per event and per creation."""
    # A disk that is slow today would have commits made by a thread, whose instructions are not counted.
    pace.SLOW_SECONDS = math.inf  # type: ignore[misc]
    counts: Future[Counts] = Future()
    with tempfile.TemporaryDirectory(prefix="statekeep-benchmark-") as folder:
        settings = Settings(data_dir=Path(folder), port=0)

        def on_ready(info: bootstrap.ReadyInfo) -> None:
            loop = asyncio.get_running_loop()
            threading.Thread(target=drive, args=(info, loop, counts), daemon=True).start()

        configure_logging("error", "json")
        bootstrap.serve(settings, on_ready)
    return counts.result()


def drive(
    info: bootstrap.ReadyInfo, loop: asyncio.AbstractEventLoop, counts: Future[Counts]
) -> None:
    """Send everything, and have the server end."""
    try:
        counts.set_result(_count(info, loop))
    except BaseException as error:
        counts.set_exception(error)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _count(info: bootstrap.ReadyInfo, loop: asyncio.AbstractEventLoop) -> Counts:
    admin = {"authorization": f"Bearer {info.token}"}
    with httpx.Client(base_url=info.url, headers=admin, timeout=60) as client:
        token = deploy(client)
    address = urlsplit(info.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:

        def post(path: str, body: bytes) -> None:
            # In one piece: whether two are read together depends on the machine, and so would the count.
            head = (
                f"POST {path} HTTP/1.1\r\nhost: {address.netloc}\r\nauthorization: Bearer {token}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            answer = HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200, answer.read()
            answer.read()

        def event(n: int) -> None:
            post(f"/machines/toggle/i/k{n % INSTANCES}/events", EVENT.encode())

        def creation(n: int) -> None:
            post("/machines/toggle", b'{"slug":"k%d"}' % n)

        return {
            "creation": _per_request(creation, loop),
            "event": _per_request(event, loop),
        }


def _per_request(send: Callable[[int], None], loop: asyncio.AbstractEventLoop) -> int:
    counter = Counter()

    def on_loop(work: Callable[[], None]) -> None:
        done = threading.Event()
        loop.call_soon_threadsafe(lambda: (work(), done.set()))
        done.wait()

    for n in range(WARM):
        send(n)
    on_loop(counter.start)
    for n in range(WARM, WARM + COUNTED):
        send(n)
    on_loop(counter.stop)
    return round(counter.count / COUNTED)


def compare(counts: Counts) -> str | None:
    """What is wrong with these counts beside those on record; None where nothing is."""
    recorded: dict[str, Any] = json.loads(RECORD.read_text())
    if recorded["python"] != _python():
        return None
    for name, count in counts.items():
        ratio = count / recorded[name]
        if abs(ratio - 1) > TOLERANCE:
            advice = (
                "Find out why, and make it cheaper"
                if ratio > 1
                else "Keep that: python benchmarks/hot_path.py --record"
            )
            return (
                f"one {name} takes {count:,} instructions, {recorded[name]:,} on record. {advice}"
            )
    return None


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    """Count, and print or compare or record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--record", action="store_true")
    what.add_argument("--check", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = measure()
    if options.json:
        print(json.dumps(counts))
    else:
        for name, count in counts.items():
            print(f"{count:,} instructions of Python {_python()} for one {name}")
    if options.record:
        RECORD.write_text(json.dumps({"python": _python(), **counts}, indent=2) + "\n")
    if options.check and (complaint := compare(counts)) is not None:
        raise SystemExit(complaint)


if __name__ == "__main__":
    main()
