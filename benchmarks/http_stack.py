"""What the HTTP layer costs: the hot route for an event, with nothing behind it, beside the least that any server could do.

    python benchmarks/http_stack.py

Prints two things: microseconds of our own work for one event, measured without a server; and requests per second and latency
over uvicorn, of a bare ASGI app that decodes and encodes the same JSON and of the hot route, in turns. Needs wrk.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from statekeep.api.http.cors import Cors
from statekeep.api.http.errors import ErrorAnswers
from statekeep.api.http.express import ExpressProtocol
from statekeep.api.http.hot import HotRoutes
from statekeep.application.authenticate import Authenticator
from statekeep.application.instances import Instances
from statekeep.application.rate_limits import unlimited
from statekeep.domain.access import SCOPES, AuthContext
from statekeep.domain.event import Event
from statekeep.domain.instance import InstanceView
from statekeep.domain.names import InstanceName, MachineName, OrganizationId
from statekeep.ports.tracing import EventTrace
from statekeep.system import SystemClock

ROUNDS = 5
SECONDS = 3
PATH = "/machines/checkout/i/user-1234/events"
BODY = b'{"event":{"type":"add","item":"book","amount":5}}'
TOKEN = "eyJhbGciOiJIUzI1NiIsImtpZCI6InNia18wIn0." + "a" * 160 + "." + "b" * 43
VIEW = b'{"state":{"open":"filling"},"publicContext":{"items":3},"tags":["open"],"done":false}'


class KnownCaller(Authenticator):
    """Knows one caller, and looks it up as the real one does."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._caller = AuthContext(OrganizationId("org_x"), None, SCOPES, b"{}")
        self._known: dict[Any, tuple[AuthContext, float]] = {}

    def cached(
        self, authorization: bytes | None, organization: bytes | None, act: bytes | None
    ) -> AuthContext | None:
        """As in the real one."""
        known = self._known.get((authorization, organization, act))
        return None if known is None or known[1] <= self._clock.now_ms() else known[0]

    async def authenticate(
        self, authorization: bytes | None, organization: bytes | None, act: bytes | None
    ) -> AuthContext:
        """Whoever asks is known from now on."""
        self._known[(authorization, organization, act)] = (self._caller, float("inf"))
        return self._caller


class InstantInstances(Instances):
    """Answers at once."""

    def __init__(self) -> None:
        self._view = InstanceView(1, 1767225600000.25, VIEW)

    async def send_event(
        self,
        caller: AuthContext,
        machine: MachineName,
        instance: InstanceName,
        event: Event,
        *,
        idempotency_key: str | None = None,
        trace: EventTrace | None = None,
    ) -> InstanceView:
        """The same state always."""
        return self._view


async def not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Behind the hot routes there is nothing here."""
    raise AssertionError("not a hot route")


def hot_app() -> ASGIApp:
    """The hot routes with nothing behind them."""
    return HotRoutes(
        KnownCaller(),
        InstantInstances(),
        ErrorAnswers(),
        None,
        not_found,
        rate_limits=unlimited(),
        cors=Cors(),
    )


def echo_app() -> ASGIApp:
    """Reads JSON, writes JSON."""
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        body = encode(decode(message["body"]))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


APPS: dict[str, Callable[[], ASGIApp]] = {"echo": echo_app, "hot": hot_app}


def serve(name: str, port: int) -> None:
    """Run one of the apps as the product is run."""
    uvicorn.run(
        APPS[name](),
        port=port,
        loop="uvloop",
        http=ExpressProtocol,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )


async def own_work_us(app: ASGIApp) -> float:
    """Microseconds that one event costs in `app` alone: the best of several runs, as the rest is noise."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "headers": [
            (b"host", b"127.0.0.1:8080"),
            (b"accept", b"*/*"),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            (b"content-type", b"application/json"),
            (b"authorization", b"Bearer " + TOKEN.encode()),
            (b"x-statebacked-org-id", b"org_uHvZHpF4STWvMg8BKVCUTg"),
            (b"content-length", b"%d" % len(BODY)),
        ],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(_message: Message) -> None: ...

    count, best = 20_000, float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(count):
            await app(scope, receive, send)
        best = min(best, (time.perf_counter() - begin) / count)
    return best * 1e6


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(name: str) -> tuple[subprocess.Popen[bytes], int]:
    """A server process of its own, once it listens."""
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, name, str(port)], env=os.environ)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.05)
    raise SystemExit(f"{name} does not listen")


def load(port: int, script: Path, connections: int) -> tuple[float, float]:
    """Requests per second and the median latency in milliseconds, by wrk."""
    output = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{SECONDS}s",
            "--latency",
            f"-s{script}",
            f"http://127.0.0.1:{port}{PATH}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "Non-2xx" not in output, output
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    median = re.search(r"50%\s+([\d.]+)(us|ms)", output)
    assert rate is not None, output
    assert median is not None, output
    return float(rate[1]), float(median[1]) / (1000 if median[2] == "us" else 1)


def compare(script: Path) -> None:
    """Both apps in turns, so that what else the machine does meets both alike."""
    servers = {name: start(name) for name in APPS}
    try:
        for connections in (32, 1):
            runs: dict[str, list[tuple[float, float]]] = {name: [] for name in APPS}
            for _ in range(ROUNDS):
                for name, (_, port) in servers.items():
                    runs[name].append(load(port, script, connections))
            rates = {name: statistics.median(rate for rate, _ in runs[name]) for name in APPS}
            medians = {name: statistics.median(p50 for _, p50 in runs[name]) for name in APPS}
            for name in APPS:
                print(
                    f"{connections:3} connections  {name:5} {rates[name]:8.0f} requests/s"
                    f"  p50 {medians[name]:.3f} ms"
                )
            print(f"                 hot / echo {rates['hot'] / rates['echo']:.2f}")
    finally:
        for process, _ in servers.values():
            process.terminate()
            process.wait()


def main() -> None:
    """Measure and print."""
    if len(sys.argv) == 3:
        serve(sys.argv[1], int(sys.argv[2]))
        return
    for name, make in APPS.items():
        print(f"own work, {name:5} {asyncio.run(own_work_us(make())):6.1f} microseconds an event")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(
            f"""wrk.method = "POST"
wrk.body = '{BODY.decode()}'
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {TOKEN}"
"""
        )
        compare(script)


if __name__ == "__main__":
    main()
