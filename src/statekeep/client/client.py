"""The two clients: the same nouns over two shells."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Generic, Self

import httpx

from statekeep.client.awaiting import AwaitingShell
from statekeep.client.blocking import BlockingShell
from statekeep.client.http import timeouts
from statekeep.client.noun import Shell
from statekeep.client.nouns.bulk_upgrades import BulkUpgrades
from statekeep.client.nouns.dead_letters import DeadLetters
from statekeep.client.nouns.http_api import HttpApi
from statekeep.client.nouns.indexes import Indexes
from statekeep.client.nouns.logs import Logs
from statekeep.client.nouns.machine_instances import MachineInstances
from statekeep.client.nouns.machine_versions import MachineVersions
from statekeep.client.nouns.machines import Machines
from statekeep.client.nouns.migrations import MachineVersionMigrations
from statekeep.client.nouns.organizations import Keys, Orgs
from statekeep.client.nouns.people import (
    Billing,
    DeviceLogins,
    Invitations,
    Me,
    Members,
    Sessions,
)
from statekeep.client.nouns.server import Server
from statekeep.client.nouns.tokens import IdentityProviders, TokenProviders, Tokens
from statekeep.client.nouns.transfers import Transfers
from statekeep.client.session import Session
from statekeep.client.shell import Awaiting, Blocking
from statekeep.client.sockets import Sockets
from statekeep.client.tokens import TokenConfig

TIMEOUT_SECONDS: Final = 120.0
"""An event is answered once its instance has settled, for which the server gives it 90 seconds."""
RETRY_SECONDS: Final = 30.0
"""For so long a request is tried again: a restart of the server should go unnoticed."""


class Nouns(Generic[Shell]):
    """Everything that a client has operations for."""

    def __init__(self, shell: Shell) -> None:
        self.machines: Machines[Shell] = Machines(shell)
        self.machine_versions: MachineVersions[Shell] = MachineVersions(shell)
        self.machine_version_migrations: MachineVersionMigrations[Shell] = MachineVersionMigrations(
            shell
        )
        self.bulk_upgrades: BulkUpgrades[Shell] = BulkUpgrades(shell)
        self.machine_instances: MachineInstances[Shell] = MachineInstances(shell)
        self.indexes: Indexes[Shell] = Indexes(shell)
        self.dead_letters: DeadLetters[Shell] = DeadLetters(shell)
        self.logs: Logs[Shell] = Logs(shell)
        self.identity_providers: IdentityProviders[Shell] = IdentityProviders(shell)
        self.token_providers: TokenProviders[Shell] = TokenProviders(shell)
        self.tokens: Tokens[Shell] = Tokens(shell)
        self.orgs: Orgs[Shell] = Orgs(shell)
        self.keys: Keys[Shell] = Keys(shell)
        self.members: Members[Shell] = Members(shell)
        self.invitations: Invitations[Shell] = Invitations(shell)
        self.me: Me[Shell] = Me(shell)
        self.sessions: Sessions[Shell] = Sessions(shell)
        self.device_logins: DeviceLogins[Shell] = DeviceLogins(shell)
        self.billing: Billing[Shell] = Billing(shell)
        self.transfers: Transfers[Shell] = Transfers(shell)
        self.http_api: HttpApi[Shell] = HttpApi(shell)
        self.server: Server[Shell] = Server(shell)


class Client(Nouns[Blocking]):
    """A client that blocks. May be used from many threads at once.

    `token` says who asks: a token, a function that returns one, a TokenExchange or an Anonymous session; None is nobody. `org_id` is for
    members of several organizations, `act_as` are the claims of an end user, for callers that could make a key.

    Requests are tried again for `retry_seconds` where that does no harm. `timeout_seconds` is how long to wait for an answer.
    `ssl_context` says which certificates are trusted; proxies are taken from the environment, unless `trust_env` is false. `http_client` is
    used for requests, and not closed, where it is given; its own timeouts, certificates and proxies count for these.
    """

    def __init__(
        self,
        token: TokenConfig | None,
        *,
        api_url: str,
        org_id: str | None = None,
        act_as: Mapping[str, Any] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
        trust_env: bool = True,
        http_client: httpx.Client | None = None,
    ) -> None:
        session = Session(token, api_url=api_url, org_id=org_id, act_as=act_as)
        context = ssl_context or httpx.create_ssl_context(trust_env=trust_env)
        self._owns_http = http_client is None
        self._http = http_client or httpx.Client(
            timeout=timeouts(timeout_seconds), verify=context, trust_env=trust_env
        )
        sockets = Sockets(context, trusts_environment=trust_env)
        super().__init__(BlockingShell(session, self._http, sockets, retry_seconds=retry_seconds))

    def close(self) -> None:
        """Close its connections."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(Nouns[Awaiting]):
    """A client that awaits. May be used by many tasks of one event loop at once. What it takes is said at Client."""

    def __init__(
        self,
        token: TokenConfig | None,
        *,
        api_url: str,
        org_id: str | None = None,
        act_as: Mapping[str, Any] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
        trust_env: bool = True,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        session = Session(token, api_url=api_url, org_id=org_id, act_as=act_as)
        context = ssl_context or httpx.create_ssl_context(trust_env=trust_env)
        self._owns_http = http_client is None
        self._http = http_client or httpx.AsyncClient(
            timeout=timeouts(timeout_seconds), verify=context, trust_env=trust_env
        )
        sockets = Sockets(context, trusts_environment=trust_env)
        super().__init__(AwaitingShell(session, self._http, sockets, retry_seconds=retry_seconds))

    async def close(self) -> None:
        """Close its connections."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
