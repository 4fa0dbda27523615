"""HTTP mapping: requests that the authors of machines turn into events (SPEC 9).

Nobody has to be known to ask: the author's handler decides on whose behalf an event is sent, and `allowWrite` whether it may be.

What must stay true: once an event was handled nothing that goes wrong with its answer makes the request fail, or somebody would send it again.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from statekeep.application.instances import Instances
from statekeep.application.residents import Residents
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import (
    AlreadyExists,
    HttpMappingFailed,
    HttpMappingTimeout,
    InvalidParameter,
    MachineError,
    NotFound,
    StatekeepError,
)
from statekeep.domain.http_mapping import (
    ACCEPTED,
    HANDLER_FAILED,
    HttpAnswer,
    HttpRequest,
    Meaning,
    UnusableAnswer,
    checked,
)
from statekeep.domain.instance import InstanceKey
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import MachineName, OrganizationId, parse_instance_name
from statekeep.ports.author_log import AuthorLog
from statekeep.ports.clock import Clock
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Catalog

_MACHINE_FAILED: Final = "the machine's code failed; its log has the reason"
_SCOPES: Final = frozenset({"events.write", "instances.write"})


class Endpoint(NamedTuple):
    """Where a request went: the version whose handlers answer, and the slug of one that it may have."""

    version: MachineVersion
    slug: str


class HttpApi:
    """The endpoints of all machines."""

    def __init__(
        self,
        catalog: Catalog,
        runtime: Runtime,
        residents: Residents,
        instances: Instances,
        author_log: AuthorLog,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._runtime = runtime
        self._residents = residents
        self._instances = instances
        self._author_log = author_log
        self._clock = clock

    async def find(
        self, organization_id: OrganizationId, machine: MachineName, slug: str
    ) -> Endpoint:
        """The endpoint of a machine's current version, before anything is read of a request to it. Raises NotFound where there can be none.

        That a machine exists but has none is not told: strangers ask.
        """
        found = await self._catalog.machine(organization_id, machine)
        current = None if found is None else found.current_version
        version = None if current is None else await self._catalog.version(current.id)
        if version is None:
            raise NotFound("there is no such endpoint")
        return Endpoint(version, slug)

    async def serve(
        self, endpoint: Endpoint, request: HttpRequest, *, idempotency_key: str | None = None
    ) -> HttpAnswer:
        """Ask the handler, send the event that it names, wait until the instance has settled, and ask the instance's response mapper.

        Raises what `Runtime.handle_http` raises and HttpMappingFailed where it names no instance; nothing was done then. Raises what
        `Instances.create` and `send_event` raise, NotFound among it where there is no instance and no `initialContext` to make it with. An
        idempotency key counts together with the endpoint and the auth context.
        """
        meaning = await self._meaning(endpoint, request)
        key = self._key_of(endpoint, meaning)
        try:
            await self._send(endpoint, key, meaning, idempotency_key)
        except MachineError as error:
            # The author's log has it. Strangers are not told what a guard or an assign stumbled over.
            raise MachineError(_MACHINE_FAILED) from error
        return await self._answer(endpoint.slug, key)

    async def _meaning(self, endpoint: Endpoint, request: HttpRequest) -> Meaning:
        try:
            return await self._runtime.handle_http(endpoint.version, endpoint.slug, request)
        except (HttpMappingTimeout, MachineError) as error:
            text = f'The handler of "{endpoint.slug}" did not answer: {error.message}'
            self._tell(endpoint.version, None, text)
            raise

    def _key_of(self, endpoint: Endpoint, meaning: Meaning) -> InstanceKey:
        version = endpoint.version
        try:
            name = parse_instance_name(meaning.instance)
        except InvalidParameter as error:
            text = f'The handler of "{endpoint.slug}" named an instance "{meaning.instance[:200]}": {error.message}'
            self._tell(version, None, text)
            raise HttpMappingFailed(HANDLER_FAILED) from error
        return InstanceKey(version.organization_id, version.machine_name, name)

    async def _send(
        self, endpoint: Endpoint, key: InstanceKey, meaning: Meaning, idempotency_key: str | None
    ) -> None:
        caller = AuthContext(key.organization_id, None, _SCOPES, meaning.auth)
        if meaning.initial_context is not None:
            await self._create_missing(caller, key, endpoint.version, meaning.initial_context)
        await self._instances.send_event(
            caller,
            key.machine_name,
            key.name,
            meaning.event,
            idempotency_key=_scoped(idempotency_key, endpoint.slug, meaning.auth),
        )

    async def _create_missing(
        self, caller: AuthContext, key: InstanceKey, version: MachineVersion, context: bytes
    ) -> None:
        if await self._residents.find(key) is not None:
            return
        try:
            await self._instances.create(caller, key.machine_name, key.name, context, version.id)
        except AlreadyExists:
            # Another request was faster, and this one only wants it to be there.
            return

    async def _answer(self, slug: str, key: InstanceKey) -> HttpAnswer:
        """What the response mapper of the instance's version says about its newest durable state."""
        try:
            resident = await self._residents.require(key)
        except StatekeepError:
            # Gone meanwhile. The event was handled all the same.
            return _checked(ACCEPTED)
        try:
            answer = await self._runtime.respond_http(
                resident.version, slug, resident.id, resident.snapshot
            )
            safe, dropped = checked(answer or ACCEPTED)
        except HttpMappingFailed:
            # Its host has told the author already.
            return _checked(ACCEPTED)
        except (StatekeepError, UnusableAnswer) as error:
            self._tell(resident.version, key, f'The answer of "{slug}" could not be given: {error}')
            return _checked(ACCEPTED)
        if dropped:
            names = ", ".join(dropped)
            text = f'The answer of "{slug}" lost headers that no endpoint can send: {names}'
            self._tell(resident.version, key, text)
        return safe

    def _tell(self, version: MachineVersion, instance: InstanceKey | None, text: str) -> None:
        self._author_log.write(version, instance, is_error=True, ts=self._clock.now_ms(), text=text)


def _checked(answer: HttpAnswer) -> HttpAnswer:
    return checked(answer).answer


def _scoped(key: str | None, slug: str, auth: bytes) -> str | None:
    """Of an endpoint and of one who asks. Strangers choose these keys, and whoever repeats one gets an answer without `allowWrite` being asked."""
    if key is None:
        return None
    return "http:" + hashlib.sha256(b"\0".join((slug.encode(), auth, key.encode()))).hexdigest()
