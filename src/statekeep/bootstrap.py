"""Puts the server together. The only module that names concrete adapters; tests build their servers here too."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import structlog
import uvicorn
from starlette.types import ASGIApp

from statekeep import crash_points
from statekeep.api.http.app import build_app
from statekeep.api.http.bounded import limited_to
from statekeep.api.http.cors import Cors
from statekeep.api.http.express import ExpressProtocol
from statekeep.api.http.metrics_page import MetricsPage
from statekeep.api.http.services import Services
from statekeep.api.realtime.connection import RealtimeConnection
from statekeep.api.realtime.hub import Hub
from statekeep.application.authenticate import Authenticator
from statekeep.application.blast_radius import BlastRadii
from statekeep.application.bulk_upgrades import BulkUpgrades
from statekeep.application.bulk_upgrading import BulkUpgrader
from statekeep.application.dead_letters import DeadLetters
from statekeep.application.desired_versions import DesiredVersions
from statekeep.application.dry_runs import DryRuns
from statekeep.application.engine import Engine
from statekeep.application.exchange import TokenExchange
from statekeep.application.exports import Exports
from statekeep.application.first_start import FirstStart
from statekeep.application.http_api import HttpApi
from statekeep.application.identity_providers import IdentityProviders
from statekeep.application.imports import Imports
from statekeep.application.index_filling import IndexFiller
from statekeep.application.indexes import Indexes
from statekeep.application.instances import Instances
from statekeep.application.keys import Keys
from statekeep.application.links import sign_in_path
from statekeep.application.logs import Logs
from statekeep.application.machines import Machines
from statekeep.application.migration_stubs import MigrationStubs
from statekeep.application.migrations import Migrations
from statekeep.application.organizations import Organizations
from statekeep.application.people import People, people_use_cases
from statekeep.application.rate_limits import RateLimits
from statekeep.application.retention import Retentions
from statekeep.application.sign_in import SignInLinks
from statekeep.application.token_providers import TokenProviders
from statekeep.application.usage import Usages
from statekeep.application.versions import Versions
from statekeep.application.watching import Watching
from statekeep.author_output import AuthorLogs, AuthorOutput
from statekeep.domain import limits
from statekeep.domain.errors import AlreadyExists
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import EmailAddress
from statekeep.domain.retention import JournalBounds
from statekeep.mail.smtp import SmtpMailer
from statekeep.notifiers.local import LocalNotifier
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.credentials import Credentials
from statekeep.ports.metrics import Gauges, Metrics
from statekeep.ports.tracing import Tracer
from statekeep.runtimes.javascript.migration_stub import write_stub
from statekeep.runtimes.local import HostOptions, running_hosts
from statekeep.runtimes.pool import Pool
from statekeep.runtimes.runtime import HostRuntime
from statekeep.runtimes.snapshots import (
    read_context,
    read_leaves,
    read_places,
    read_state_value,
)
from statekeep.settings import Settings
from statekeep.storage.sqlite import backup as sqlite_backup
from statekeep.storage.sqlite.store import SqliteStore
from statekeep.system import SystemClock, SystemEntropy
from statekeep.tokens.credentials import CredentialsFile
from statekeep.tokens.fetching import PublicFetcher
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.key_sets import KeySets
from statekeep.tokens.server_key import SERVER_KEY_FILE, load_server_key
from statekeep.tokens.subject_tokens import JwtSubjectTokens
from statekeep.workers.bulk_upgrades import BulkUpgrading
from statekeep.workers.housekeeping import Housekeeping
from statekeep.workers.index_filling import IndexFilling
from statekeep.workers.log_retention import LogRetention
from statekeep.workers.log_writer import LogWriter
from statekeep.workers.recovery import Recovery
from statekeep.workers.retention import RetentionWorker
from statekeep.workers.timers import TimerService
from statekeep.workers.transition_feed import OnTransition, TransitionFeed

_log = structlog.get_logger(__name__)

_LISTEN_BACKLOG: Final = 2048
_CLOSING_SECONDS: Final = 3
"""For connections that still deliver their answer once draining is over."""

_GARBAGE_THRESHOLD: Final = 50_000
"""Objects between two looks at the young ones; Python's own 700 are a handful of events."""

Result = TypeVar("Result")


class ReadyInfo(NamedTuple):
    """What somebody who just started a server wants to know."""

    url: str
    organization_id: str
    token: str
    data_dir: Path


class SettingUnusable(Exception):
    """What was chosen does not go with what is stored; the message says how."""


class NoServer(Exception):
    """A folder is no server's; the message says what to do."""


class TracingUnavailable(Exception):
    """Traces were asked for and what makes them is not installed."""


class Server:
    """A server that is put together and runs, but for its HTTP side. Made by `running_server`."""

    def __init__(
        self,
        app: ASGIApp,
        instances: Instances,
        watching: Watching,
        timers: TimerService,
        credentials: Credentials,
        upgrading: BulkUpgrading,
    ) -> None:
        self.app = app
        self.instances = instances
        self.watching = watching
        self.credentials = credentials
        self.is_ready = False
        self._timers = timers
        self._upgrading = upgrading

    async def drain(self, timeout_seconds: float) -> None:
        """Start nothing new and let what is under way come to an end, or run out of time."""
        self.is_ready = False
        self.watching.close()
        await self._timers.stop()
        await self._upgrading.stop()
        await self.instances.drain(timeout_seconds)


@asynccontextmanager
async def running_server(
    settings: Settings, on_transition: OnTransition | None = None
) -> AsyncIterator[Server]:
    """The server behind `settings`, ready to take requests through its `app`. Leaving it lets everything go in good order.

    `on_transition` is told of the transitions of all instances (see TransitionFeed). Raises StoreBusy where another server has the data directory.
    """
    async with AsyncExitStack() as stack:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        metrics = Metrics(per_machine=settings.metrics_per_machine)
        store = SqliteStore(settings.data_dir, metrics=metrics)
        await store.open()
        stack.push_async_callback(store.close)
        server = await _assemble(settings, store, metrics, stack, on_transition)
        server.is_ready = True
        if settings.crash_at is not None:
            # What a start writes is not what the points are about.
            crash_points.arm(settings.crash_at)
        yield server


async def _assemble(
    settings: Settings,
    store: SqliteStore,
    metrics: Metrics,
    stack: AsyncExitStack,
    on_transition: OnTransition | None,
) -> Server:
    clock, entropy = SystemClock(), SystemEntropy()
    tokens = JwtTokens(
        load_server_key(settings.data_dir, entropy), entropy, public_url=settings.url
    )
    authenticator = Authenticator(store, tokens, clock)
    people = _people(settings, store, tokens, authenticator, clock, entropy)
    stack.push_async_callback(people.sign_in.close)
    first_start = FirstStart(
        store,
        tokens,
        people.sessions,
        CredentialsFile(settings.data_dir),
        clock,
        entropy,
        owner_email=settings.owner_email,
    )
    try:
        credentials = await first_start.complete(settings.url)
    except AlreadyExists as error:
        raise SettingUnusable(
            f"owner_email: somebody else has {settings.owner_email} already; choose another"
        ) from error
    tracer = _tracer(settings, stack)
    # Before the runtime, so that what hosts say as they end is written too.
    author_log = await _author_log(settings, store, clock, stack)
    runtime = await _runtime(settings, store, metrics, stack)
    timers = TimerService(
        store, clock, retry_after_seconds=settings.delivery_retry_after.total_seconds()
    )
    notifier = LocalNotifier()
    engine = Engine(
        store,
        runtime,
        notifier,
        clock,
        author_log,
        read_context=read_context,
        on_timers=timers.schedule,
        settle_timeout_seconds=settings.settle_timeout.total_seconds(),
        residents_max=settings.resident_instances_max,
        hops_max=settings.message_hops_max,
        metrics=metrics,
        tracer=tracer,
    )
    stack.push_async_callback(engine.messages.close)
    instances, residents, turns = engine.instances, engine.residents, engine.turns
    paths = engine.paths
    desired_versions = DesiredVersions(store, residents, paths)
    runtime.listener = instances
    timers.instances = instances
    watching = Watching(residents, runtime, store)
    notifier.listen(watching.hear)
    filling = IndexFilling(store, IndexFiller(store, residents, turns, engine.indexing))
    bounds = JournalBounds(settings.journal_max_age, settings.journal_max_entries)
    retention = RetentionWorker(store, clock, default=bounds)
    recovery, housekeeping = Recovery(store, instances), Housekeeping(store, clock)
    upgrading = BulkUpgrading(store, BulkUpgrader(store, residents, turns, clock))
    dry_runs = DryRuns(store, runtime, paths, engine.indexing, clock, entropy)
    stack.push_async_callback(dry_runs.close)
    imports = Imports(
        store,
        runtime,
        entropy,
        on_published=(timers.look_again, recovery.look_again, filling.look, retention.look),
    )
    log_retention = LogRetention(
        store,
        clock,
        kept_for=settings.logs_kept_for,
        organization_bytes_max=settings.logs_mib_max * limits.MIB,
    )
    workers = (
        timers,
        recovery,
        housekeeping,
        filling,
        upgrading,
        retention,
        log_retention,
        imports,
    )
    await _start_workers(stack, *workers)
    if on_transition is not None:
        feed = TransitionFeed(store, residents, on_transition, read_state_value=read_state_value)
        notifier.listen(feed.hear)
        await _start_workers(stack, feed)
    subjects = _subject_tokens(settings, clock, stack)
    services = Services(
        authenticator=authenticator,
        instances=instances,
        machines=Machines(store, clock),
        indexes=Indexes(store),
        versions=Versions(store, runtime, tokens, clock, entropy, on_current=filling.look),
        migrations=Migrations(
            store, runtime, tokens, clock, entropy, on_published=desired_versions.look_again
        ),
        desired_versions=desired_versions,
        keys=Keys(store, tokens, authenticator, clock, entropy),
        watching=watching,
        dead_letters=DeadLetters(store, residents, clock, on_timers=timers.schedule),
        retentions=Retentions(
            store,
            default=bounds,
            logs_kept_for=settings.logs_kept_for,
            on_change=(retention.look, log_retention.look),
        ),
        clock=clock,
        rate_limits=_rate_limits(settings, metrics),
        organizations=Organizations(store, tokens, authenticator, clock, entropy),
        people=people,
        usages=Usages(store),
        identity_providers=IdentityProviders(store, tokens, subjects, authenticator, entropy),
        token_providers=TokenProviders(store, authenticator, entropy),
        logs=Logs(store),
        exports=Exports(store, clock),
        imports=imports,
        exchange=TokenExchange(
            store,
            tokens,
            subjects,
            clock,
            valid_for=settings.exchanged_token_valid_for,
            metrics=metrics,
        ),
        blast_radii=BlastRadii(
            store,
            runtime,
            read_places=read_places,
            read_state_value=read_state_value,
            read_leaves=read_leaves,
        ),
        bulk_upgrades=BulkUpgrades(store, paths, clock, entropy, on_change=upgrading.look),
        dry_runs=dry_runs,
        migration_stubs=MigrationStubs(
            store, runtime, read_places=read_places, write_stub=write_stub
        ),
        http_api=HttpApi(store, runtime, residents, instances, author_log, clock),
    )

    def look() -> Gauges:
        # When this is called, there is an app.
        hub = app.realtime
        return _gauges(store, runtime.pool, engine, timers, watching, hub)

    app = build_app(
        services,
        is_ready=lambda: server.is_ready,
        public_url=settings.public_url,
        cors=Cors(settings.cors_origins),
        metrics=metrics,
        metrics_page=_metrics_page(settings, metrics, look),
        tracer=tracer,
    )
    server = Server(app, instances, watching, timers, credentials, upgrading)
    return server


async def _author_log(
    settings: Settings, store: SqliteStore, clock: SystemClock, stack: AsyncExitStack
) -> AuthorLog:
    writer = LogWriter(store, clock, now=asyncio.get_running_loop().time)
    await writer.start()
    stack.push_async_callback(writer.stop)
    return AuthorLogs(writer, AuthorOutput()) if settings.log_machine_output else writer


def _tracer(settings: Settings, stack: AsyncExitStack) -> Tracer | None:
    """None where nothing is traced; then nothing of OpenTelemetry is imported either. Raises TracingUnavailable."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from statekeep.telemetry.opentelemetry import OpenTelemetryTracer
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("opentelemetry"):
            raise
        raise TracingUnavailable(
            "otlp_endpoint is set, and the packages for it are missing: pip install 'statekeep[otel]'"
        ) from error
    tracer = OpenTelemetryTracer(settings.otlp_endpoint)
    stack.push_async_callback(tracer.close)
    return tracer


def _people(
    settings: Settings,
    store: SqliteStore,
    tokens: JwtTokens,
    authenticator: Authenticator,
    clock: SystemClock,
    entropy: SystemEntropy,
) -> People:
    server = settings.mail_server
    if server is not None and settings.public_url is None:
        _log.warning("links_in_mails_are_local", url=settings.url, advice="choose public_url")
    return people_use_cases(
        store,
        tokens,
        authenticator,
        clock,
        entropy,
        # The time of day may jump.
        asyncio.get_running_loop().time,
        mailer=None if server is None else SmtpMailer(server, settings.mail_sender),
        url=settings.url,
    )


def _metrics_page(
    settings: Settings, metrics: Metrics, look: Callable[[], Gauges]
) -> MetricsPage | None:
    if settings.metrics_token is None:
        return None
    from statekeep.telemetry.prometheus import CONTENT_TYPE, MetricsText

    return MetricsPage(MetricsText(metrics, look).render, CONTENT_TYPE, settings.metrics_token)


def _gauges(
    store: SqliteStore,
    pool: Pool,
    engine: Engine,
    timers: TimerService,
    watching: Watching,
    hub: Hub,
) -> Gauges:
    hosts = pool.sizes
    database_bytes, wal_bytes = store.sizes_bytes()
    return Gauges(
        mailbox_letters=engine.turns.letters_waiting,
        writes_waiting=store.writes_waiting,
        timers_held=timers.held,
        residents=len(engine.residents),
        resident_bytes=engine.residents.size_bytes,
        hosts={
            "running": hosts.running,
            "starting": hosts.starting,
            "retiring": hosts.retiring,
        },
        hosts_pinned=hosts.pinned,
        host_requests_waiting=hosts.waiting,
        sockets=len(hub.connections),
        watchers=watching.watchers,
        instances_watched=watching.instances_watched,
        database_bytes=database_bytes,
        wal_bytes=wal_bytes,
    )


def _rate_limits(settings: Settings, metrics: Metrics) -> RateLimits:
    return RateLimits(
        # The time of day may jump.
        asyncio.get_running_loop().time,
        organization=settings.rate_limit,
        anonymous_session=settings.anonymous_rate_limit,
        anonymous=settings.anonymous_total_rate_limit,
        token_exchange=settings.token_exchange_rate_limit,
        http_api=settings.http_api_rate_limit,
        metrics=metrics,
    )


def _subject_tokens(
    settings: Settings, clock: SystemClock, stack: AsyncExitStack
) -> JwtSubjectTokens:
    fetcher = PublicFetcher(allow_private_network=settings.allow_private_network)
    stack.push_async_callback(fetcher.close)
    key_sets = KeySets(fetcher, clock)
    stack.push_async_callback(key_sets.close)
    return JwtSubjectTokens(
        key_sets,
        allow_http_jwks=settings.allow_http_jwks,
        allow_private_network=settings.allow_private_network,
    )


async def _runtime(
    settings: Settings, store: SqliteStore, metrics: Metrics, stack: AsyncExitStack
) -> HostRuntime:
    async def code_of(version: MachineVersion) -> bytes:
        code = await store.version_code(version.id)
        assert code is not None, "a published version has code"
        return code

    options = HostOptions(
        cache_dir=settings.data_dir.resolve() / "cache",
        hosts_max=settings.hosts_max,
        heap_mib=settings.host_heap_mib,
        step_timeout=settings.step_timeout,
        allow_private_network=settings.allow_private_network,
    )
    return await stack.enter_async_context(running_hosts(options, code_of, metrics))


async def _start_workers(
    stack: AsyncExitStack,
    *workers: TimerService
    | Recovery
    | Housekeeping
    | IndexFilling
    | BulkUpgrading
    | RetentionWorker
    | LogRetention
    | Imports
    | TransitionFeed,
) -> None:
    for worker in workers:
        await worker.start()
        stack.push_async_callback(worker.stop)


class _HttpServer(uvicorn.Server):
    """uvicorn without its own ideas about signals: it would end the process by the signal, and we end with status 0."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def back_up(data_dir: Path, file: Path, *, overwrite: bool) -> int:
    """Copy the database of a server, which may be running, and return the size of the copy in bytes. Raises BackupFailed, also where the file exists and may not be replaced."""
    return sqlite_backup.back_up(data_dir, file, overwrite=overwrite)


def sign_in_link(data_dir: Path, email: EmailAddress | None, url: str | None) -> str:
    """A link that signs in whoever has that address, or the owner, made with the key in `data_dir` and without the server. Raises NoServer and BrokenServerKey."""
    credentials = CredentialsFile(data_dir).read()
    if credentials is None or not (data_dir / SERVER_KEY_FILE).exists():
        raise NoServer(
            f"no server has been started in {data_dir} yet: name its folder with --data-dir"
        )
    entropy = SystemEntropy()
    base_url = (url or credentials.api_url).rstrip("/")
    tokens = JwtTokens(load_server_key(data_dir, entropy), entropy, public_url=base_url)
    return base_url + sign_in_path(SignInLinks(tokens, SystemClock(), entropy).make(email))


def serve(
    settings: Settings,
    on_ready: Callable[[ReadyInfo], None] | None = None,
    on_transition: OnTransition | None = None,
) -> int:
    """Run a server until SIGTERM or SIGINT; returns the exit status. Raises StoreBusy and OSError (the address is taken)."""
    _allow_many_files()
    return _run(_serve(settings, on_ready, on_transition))


def _allow_many_files() -> None:
    """Take as many open files as the system lets this process have: by default it starts with a thousand, and each connection is one."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(
    settings: Settings,
    on_ready: Callable[[ReadyInfo], None] | None,
    on_transition: OnTransition | None,
) -> int:
    with contextlib.closing(_bind(settings)) as listener:
        settings = replace(settings, port=listener.getsockname()[1])
        async with running_server(settings, on_transition) as server:
            _spare_the_collector()
            http = _HttpServer(_http_config(server.app, settings))
            serving = asyncio.create_task(http.serve(sockets=[listener]))
            stopping = _on_signal()
            await http.is_listening.wait()
            if on_ready is not None:
                on_ready(_ready_info(settings, server))
            await asyncio.wait(
                {serving, asyncio.ensure_future(stopping.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
            _log.info("draining")
            http.should_exit = True
            await server.drain(settings.drain_timeout.total_seconds())
            await serving
    _log.info("stopped")
    return 0


def _spare_the_collector() -> None:
    """Look for garbage less often: an event leaves no cycles, and what the start made stays anyway."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 50, 1000)


def _http_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    closing = settings.drain_timeout.total_seconds() + _CLOSING_SECONDS
    return uvicorn.Config(
        app,
        loop="none",
        http=limited_to(settings.connections_max, ExpressProtocol),
        ws=RealtimeConnection,
        lifespan="off",
        access_log=False,
        log_config=None,
        # How the world reaches the server is a setting (public_url), not a header that anyone can send.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(closing),
    )


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    listener.listen(_LISTEN_BACKLOG)
    listener.setblocking(False)
    return listener


def _on_signal() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def _ready_info(settings: Settings, server: Server) -> ReadyInfo:
    return ReadyInfo(
        settings.url,
        server.credentials.organization_id,
        server.credentials.token,
        settings.data_dir,
    )


def _run(main: Coroutine[Any, Any, Result]) -> Result:
    """On uvloop where there is one."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)
