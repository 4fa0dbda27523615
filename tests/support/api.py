"""The whole API in one process: every part is the real one but author code, time and chance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
from starlette.types import ASGIApp

from statekeep.api.http.app import build_app
from statekeep.api.http.cors import Cors
from statekeep.api.http.errors import ErrorAnswers
from statekeep.api.http.metrics_page import MetricsPage
from statekeep.api.http.services import Services
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
from statekeep.application.http_api import HttpApi
from statekeep.application.identity_providers import IdentityProviders
from statekeep.application.ids import new_id
from statekeep.application.imports import Imports
from statekeep.application.index_filling import IndexFiller
from statekeep.application.indexes import Indexes
from statekeep.application.indexing import Indexing
from statekeep.application.instances import Instances
from statekeep.application.keys import Keys
from statekeep.application.logs import Logs
from statekeep.application.machines import Machines
from statekeep.application.migration_paths import MigrationPaths
from statekeep.application.migration_stubs import MigrationStubs
from statekeep.application.migrations import Migrations
from statekeep.application.organizations import Organizations
from statekeep.application.people import people_use_cases
from statekeep.application.rate_limits import RateLimits
from statekeep.application.residents import Residents
from statekeep.application.retention import Retentions
from statekeep.application.token_providers import TokenProviders
from statekeep.application.turns import Turns
from statekeep.application.usage import Usages
from statekeep.application.versions import Versions
from statekeep.application.watching import Watching
from statekeep.domain import limits
from statekeep.domain.access import Role
from statekeep.domain.machine import Organization
from statekeep.domain.names import EmailAddress, OrganizationId, UserId
from statekeep.domain.people import SessionKind, User
from statekeep.domain.rates import Rate
from statekeep.domain.retention import JournalBounds
from statekeep.notifiers.local import LocalNotifier
from statekeep.ports.clock import datetime_of
from statekeep.ports.metrics import Gauges, Metrics
from statekeep.ports.tracing import Tracer
from statekeep.runtimes.javascript.migration_stub import write_stub
from statekeep.runtimes.snapshots import (
    read_context,
    read_leaves,
    read_places,
    read_state_value,
)
from statekeep.storage.memory.store import MemoryStore
from statekeep.telemetry.prometheus import CONTENT_TYPE, MetricsText
from statekeep.tokens.fetching import PublicFetcher
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.key_sets import KeySets
from statekeep.tokens.server_key import ServerKey
from statekeep.tokens.subject_tokens import JwtSubjectTokens
from statekeep.workers.bulk_upgrades import BulkUpgrading
from statekeep.workers.index_filling import IndexFilling
from statekeep.workers.log_writer import LogWriter
from statekeep.workers.retention import RetentionWorker
from statekeep.workers.timers import TimerService
from tests.support.clock import FakeClock
from tests.support.entropy import SeededEntropy
from tests.support.forgery import key_token
from tests.support.mailbox import Mailbox
from tests.support.toy_runtime import ToyRuntime

URL = "http://statekeep.test"
Headers = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Api:
    """The API, a client of it, and what is behind it."""

    app: ASGIApp
    client: httpx.AsyncClient
    services: Services
    store: MemoryStore
    runtime: ToyRuntime
    tokens: JwtTokens
    clock: FakeClock
    entropy: SeededEntropy
    log_writer: LogWriter
    """Writes only when it is told to `flush`."""
    retention: RetentionWorker
    """Sweeps when a test says so."""
    metrics: Metrics
    mailbox: Mailbox
    """What was mailed, where there is mail at all."""
    admin: Headers
    """Of the member `ada`, admin of one organization."""

    async def new_member(self, name: str, *, organizations: int = 1) -> Headers:
        """Somebody who is admin of as many organizations, all new."""
        user_id = UserId(new_id("usr", self.entropy))
        now = datetime_of(self.clock.now_ms())
        email = EmailAddress(f"{name}@example.com")
        await self.store.create_user(User(user_id, email, now))
        for number in range(organizations):
            organization = Organization(
                OrganizationId(new_id("org", self.entropy)), f"{name} {number}", now, True
            )
            await self.store.create_organization(organization, user_id)
            assert await self.store.role_of(user_id, organization.id) is Role.ADMIN
        begun = await self.services.people.sessions.begin(user_id, SessionKind.DEVICE, "a laptop")
        return {"authorization": f"Bearer {begun.token}"}

    async def new_key(self, *scopes: str, **act: Any) -> Headers:
        """Headers of an end user with `act` as claims, whose token is signed with a new key of ada's organization."""
        answer = await self.post("/keys", {"name": "a key", "scopes": scopes})
        key = answer.json()
        token = key_token(key["id"], key["key"], **({"act": act} if act else {}))
        return {"authorization": f"Bearer {token}"}

    async def new_machine(self, name: str = "door", *, indexes: tuple[str, ...] = ()) -> str:
        """A machine with a current version; returns the version's id."""
        await self.expect(201, "POST", "/machines", {"slug": name, "indexes": indexes})
        return await self.new_version(name, makeCurrent=True)

    async def new_version(self, machine: str = "door", **description: Any) -> str:
        """A version of toy code, whose id is returned."""
        begun = await self.expect(200, "POST", f"/machines/{machine}/v")
        await self.upload(begun["codeUploadUrl"], b"export default 1;")
        path = f"/machines/{machine}/v/{begun['machineVersionId']}"
        version_id: str = (await self.expect(200, "PUT", path, description))["machineVersionId"]
        return version_id

    async def upload(self, url: str, code: bytes, **fields: str) -> httpx.Response:
        """Upload code as the official client does."""
        return await self.client.post(
            url,
            data={"content-type": "application/javascript", **fields},
            files={"file": ("door.js", code, "application/javascript")},
        )

    async def get(self, path: str, headers: Headers | None = None) -> httpx.Response:
        """GET, as ada unless said otherwise."""
        return await self.client.get(path, headers=self.admin if headers is None else headers)

    async def post(
        self, path: str, body: Any = None, headers: Headers | None = None
    ) -> httpx.Response:
        """POST, as ada unless said otherwise."""
        return await self.request("POST", path, body, headers)

    async def request(
        self, method: str, path: str, body: Any = None, headers: Headers | None = None
    ) -> httpx.Response:
        """Any method with a JSON body, as ada unless said otherwise."""
        return await self.client.request(
            method, path, json=body, headers=self.admin if headers is None else headers
        )

    async def expect(
        self,
        status: int,
        method: str,
        path: str,
        body: Any = None,
        headers: Headers | None = None,
    ) -> Any:
        """The JSON of the answer, which has that status; None for an empty one."""
        answer = await self.request(method, path, body, headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


@asynccontextmanager
async def running_api(
    *,
    public_url: str | None = None,
    is_ready: Callable[[], bool] = lambda: True,
    errors: ErrorAnswers | None = None,
    cors: Cors | None = None,
    rates: Mapping[str, Rate] = MappingProxyType({}),
    allow_private_network: bool = False,
    metrics_token: str | None = None,
    tracer: Tracer | None = None,
    has_mail: bool = False,
) -> AsyncIterator[Api]:
    """An API of its own with one organization and its admin. `rates` are those of RateLimits, by the time of the fake clock.

    In a private network it also takes key sets over plain HTTP.
    """
    async with AsyncExitStack() as stack:
        store, runtime = MemoryStore(), ToyRuntime()
        await store.open()
        stack.push_async_callback(store.close)
        clock, entropy = FakeClock(), SeededEntropy()
        tokens = JwtTokens(ServerKey(entropy.token_bytes(32)), entropy, public_url=URL)
        authenticator = Authenticator(store, tokens, clock)
        metrics = Metrics()
        log_writer = LogWriter(store, clock, now=lambda: clock.now_s)
        retention = RetentionWorker(store, clock, default=JournalBounds())
        engine = _engine(store, runtime, clock, log_writer, metrics, tracer)
        turns, residents, instances, watching, filling, desired_versions, dead_letters, indexing = (
            engine
        )
        await filling.start()
        stack.push_async_callback(filling.stop)
        upgrading = BulkUpgrading(store, BulkUpgrader(store, residents, turns, clock))
        await upgrading.start()
        stack.push_async_callback(upgrading.stop)
        paths = MigrationPaths(store)
        dry_runs = DryRuns(store, runtime, paths, indexing, clock, entropy)
        stack.push_async_callback(dry_runs.close)
        fetcher = PublicFetcher(allow_private_network=allow_private_network)
        stack.push_async_callback(fetcher.close)
        key_sets = KeySets(fetcher, clock)
        stack.push_async_callback(key_sets.close)
        subjects = JwtSubjectTokens(
            key_sets,
            allow_http_jwks=allow_private_network,
            allow_private_network=allow_private_network,
        )
        mailbox = Mailbox()
        people = people_use_cases(
            store,
            tokens,
            authenticator,
            clock,
            entropy,
            lambda: clock.now_s,
            mailer=mailbox if has_mail else None,
            url=URL,
        )
        stack.push_async_callback(people.sign_in.close)
        services = Services(
            authenticator=authenticator,
            instances=instances,
            watching=watching,
            dead_letters=dead_letters,
            retentions=Retentions(
                store,
                default=JournalBounds(),
                logs_kept_for=limits.LOGS_KEPT_FOR,
                on_change=(retention.look,),
            ),
            clock=clock,
            machines=Machines(store, clock),
            versions=Versions(store, runtime, tokens, clock, entropy, on_current=filling.look),
            indexes=Indexes(store),
            migrations=Migrations(
                store, runtime, tokens, clock, entropy, on_published=desired_versions.look_again
            ),
            desired_versions=desired_versions,
            keys=Keys(store, tokens, authenticator, clock, entropy),
            organizations=Organizations(store, tokens, authenticator, clock, entropy),
            people=people,
            usages=Usages(store),
            identity_providers=IdentityProviders(store, tokens, subjects, authenticator, entropy),
            token_providers=TokenProviders(store, authenticator, entropy),
            logs=Logs(store),
            exports=Exports(store, clock),
            imports=Imports(store, runtime, entropy, on_published=(filling.look, retention.look)),
            exchange=TokenExchange(
                store,
                tokens,
                subjects,
                clock,
                valid_for=limits.EXCHANGED_TOKEN_VALID_FOR,
                metrics=metrics,
            ),
            http_api=HttpApi(store, runtime, residents, instances, log_writer, clock),
            rate_limits=RateLimits(lambda: clock.now_s, **rates, metrics=metrics),
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
        )
        page = _metrics_page(metrics, turns, watching, metrics_token) if metrics_token else None
        app = build_app(
            services,
            is_ready=is_ready,
            public_url=public_url,
            errors=errors,
            cors=cors,
            metrics=metrics,
            metrics_page=page,
            tracer=tracer,
        )
        transport = httpx.ASGITransport(app)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url=URL)
        )
        api = Api(
            app=app,
            client=client,
            services=services,
            store=store,
            runtime=runtime,
            tokens=tokens,
            clock=clock,
            entropy=entropy,
            log_writer=log_writer,
            retention=retention,
            metrics=metrics,
            mailbox=mailbox,
            admin={},
        )
        api.admin.update(await api.new_member("ada"))
        yield api


def _metrics_page(metrics: Metrics, turns: Turns, watching: Watching, token: str) -> MetricsPage:
    def look() -> Gauges:
        return Gauges(
            mailbox_letters=turns.letters_waiting,
            writes_waiting=0,
            timers_held=0,
            residents=0,
            resident_bytes=0,
            hosts={"running": 0},
            hosts_pinned=0,
            host_requests_waiting=0,
            sockets=0,
            watchers=watching.watchers,
            instances_watched=watching.instances_watched,
            database_bytes=0,
            wal_bytes=0,
        )

    return MetricsPage(MetricsText(metrics, look).render, CONTENT_TYPE, token)


class _Engine(NamedTuple):
    turns: Turns
    residents: Residents
    instances: Instances
    watching: Watching
    filling: IndexFilling
    desired_versions: DesiredVersions
    dead_letters: DeadLetters
    indexing: Indexing


def _engine(
    store: MemoryStore,
    runtime: ToyRuntime,
    clock: FakeClock,
    author_log: LogWriter,
    metrics: Metrics,
    tracer: Tracer | None,
) -> _Engine:
    notifier = LocalNotifier()
    timers = TimerService(store, clock, retry_after_seconds=1)
    engine = Engine(
        store,
        runtime,
        notifier,
        clock,
        author_log,
        read_context=read_context,
        on_timers=timers.schedule,
        metrics=metrics,
        tracer=tracer,
    )
    instances, residents, turns = engine.instances, engine.residents, engine.turns
    runtime.listener = instances
    watching = Watching(residents, runtime, store)
    notifier.listen(watching.hear)
    filling = IndexFilling(store, IndexFiller(store, residents, turns, engine.indexing))
    desired_versions = DesiredVersions(store, residents, engine.paths)
    dead_letters = DeadLetters(store, residents, clock, on_timers=timers.schedule)
    return _Engine(
        turns,
        residents,
        instances,
        watching,
        filling,
        desired_versions,
        dead_letters,
        engine.indexing,
    )
