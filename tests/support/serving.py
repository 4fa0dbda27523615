"""An API on a port of this machine, for clients that bring an event loop of their own, or none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import uvicorn
import uvloop

from statekeep.api.http.cors import Cors
from statekeep.api.http.express import ExpressProtocol
from statekeep.api.realtime.connection import RealtimeConnection
from statekeep.telemetry.opentelemetry import OpenTelemetryTracer
from tests.support.api import Api, Headers, running_api
from tests.support.toy_runtime import ToyRuntime


class Served(NamedTuple):
    """Where the API is, headers of its admin, and the runtime behind it with the loop on which alone it may be touched."""

    url: str
    admin: Headers
    runtime: ToyRuntime
    loop: asyncio.AbstractEventLoop

    @contextmanager
    def holding_back(self, send: Callable[[], None]) -> Iterator[None]:
        """Hosts get no further than the event that `send` sends, until the context ends."""
        self.loop.call_soon_threadsafe(self.runtime.gate.clear)
        self.loop.call_soon_threadsafe(self.runtime.stepping.clear)
        try:
            send()
            stepping = self.runtime.stepping.wait()
            asyncio.run_coroutine_threadsafe(stepping, self.loop).result(timeout=20)
            yield
        finally:
            self.loop.call_soon_threadsafe(self.runtime.gate.set)


@contextmanager
def serving_api(
    protocol: type[ExpressProtocol] = ExpressProtocol,
    *,
    cors: Cors | None = None,
    keep_alive_seconds: int = 5,
    metrics_token: str | None = None,
    otlp_endpoint: str | None = None,
) -> Iterator[Served]:
    """An API with machine `door` and its instance `front`, in a thread of its own for as long as the context lasts.

    With `otlp_endpoint` its events are traced, and all traces sent when the context ends.
    """
    ready: list[Served] = []
    is_settled = threading.Event()
    server = _Server(protocol, keep_alive_seconds)

    async def main() -> None:
        tracer = None if otlp_endpoint is None else OpenTelemetryTracer(otlp_endpoint)
        async with (
            _closing(tracer),
            running_api(cors=cors, metrics_token=metrics_token, tracer=tracer) as api,
        ):
            await _furnish(api)
            server.config.app = api.app
            serving = asyncio.create_task(server.serve())
            await server.is_listening.wait()
            port = server.servers[0].sockets[0].getsockname()[1]
            loop = asyncio.get_running_loop()
            ready.append(Served(f"http://127.0.0.1:{port}", api.admin, api.runtime, loop))
            is_settled.set()
            await serving

    def run() -> None:
        try:
            uvloop.run(main())
        finally:
            is_settled.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert is_settled.wait(timeout=30)
        yield ready[0]
    finally:
        server.should_exit = True
        thread.join()


@asynccontextmanager
async def _closing(tracer: OpenTelemetryTracer | None) -> AsyncIterator[None]:
    yield
    if tracer is not None:
        await tracer.close()


async def _furnish(api: Api) -> None:
    await api.new_machine()
    await api.expect(200, "POST", "/machines/door", {"slug": "front"})


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, protocol: type[ExpressProtocol], keep_alive_seconds: int) -> None:
        super().__init__(
            uvicorn.Config(
                "",
                port=0,
                http=protocol,
                timeout_keep_alive=keep_alive_seconds,
                proxy_headers=False,
                ws=RealtimeConnection,
                lifespan="off",
                log_config=None,
                access_log=False,
            )
        )
        self.is_listening = asyncio.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self.is_listening.set()
