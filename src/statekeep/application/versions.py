"""Versions of machines: from a place to upload code to, over the upload, to a version that instances can use.

Between the steps nothing is kept but the upload: what the steps have to know of each other travels in signed ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from statekeep.application.code import unpack
from statekeep.application.ids import new_id
from statekeep.application.index_selectors import merge_selectors
from statekeep.application.labels import checked_client_info
from statekeep.application.machines import find_machine
from statekeep.domain.access import AuthContext, require_scope
from statekeep.domain.errors import AlreadyExists, InvalidParameter, InvalidState, NotFound
from statekeep.domain.limits import (
    SIGNED_ID_VALID_FOR,
    UPLOAD_URL_VALID_FOR,
)
from statekeep.domain.machine import Machine, MachineVersion, VersionInfo
from statekeep.domain.names import CodeId, MachineName, MigrationId, OrganizationId, VersionId
from statekeep.ports.clock import Clock, datetime_of
from statekeep.ports.entropy import Entropy
from statekeep.ports.pages import Page
from statekeep.ports.runtime import Runtime
from statekeep.ports.store import Catalog, Upload
from statekeep.ports.tokens import Tokens

_UPLOAD = "upload"
_PUBLISH = "publish"


def _nobody() -> None:
    return


class Provisional(NamedTuple):
    """Two statements of the server to itself: `signed_id` publishes what is uploaded with `upload_token`."""

    signed_id: str
    upload_token: str


class UploadTicket(NamedTuple):
    """Leave to upload code for one version or migration that is not published yet."""

    code_id: CodeId
    expires_at: datetime


class Description(NamedTuple):
    """What the author says of a version."""

    client_info: str | None = None
    make_current: bool = False
    index_selectors: dict[str, str] | None = None


class Versions:
    """What callers may do with the versions of their machines."""

    def __init__(
        self,
        catalog: Catalog,
        runtime: Runtime,
        tokens: Tokens,
        clock: Clock,
        entropy: Entropy,
        *,
        on_current: Callable[[], None] = _nobody,
    ) -> None:
        self._catalog = catalog
        self._runtime = runtime
        self._tokens = tokens
        self._clock = clock
        self._entropy = entropy
        self._on_current = on_current
        """Hears that a machine may have another current version."""

    async def list(
        self, caller: AuthContext, machine: MachineName, cursor: str | None
    ) -> Page[VersionInfo]:
        """Newest first. Raises NotFound where there is no such machine."""
        organization_id = require_scope(caller, "machine-versions.read")
        found = await find_machine(self._catalog, organization_id, machine)
        return await self._catalog.list_versions(found.id, cursor=cursor)

    async def provision(self, caller: AuthContext, machine: MachineName) -> Provisional:
        """A new version's id, signed. Nothing is stored before code arrives."""
        organization_id = require_scope(caller, "machine-versions.write")
        found = await find_machine(self._catalog, organization_id, machine)
        version_id = VersionId(new_id("ver", self._entropy))
        now = self._clock.now_ms() / 1000
        return Provisional(
            self._tokens.sign(
                _PUBLISH,
                {"organization": organization_id, "machine": found.id, "version": version_id},
                now=now,
                valid_for_seconds=int(SIGNED_ID_VALID_FOR.total_seconds()),
            ),
            upload_token(self._tokens, {"version": version_id}, now=now),
        )

    async def admit_upload(self, upload_token: str) -> UploadTicket:
        """Look at an upload's token before its code is read.

        Raises InvalidParameter where it is forged or expired, and InvalidState where the version or migration is published already.
        """
        now_ms = self._clock.now_ms()
        claims = self._stated(_UPLOAD, upload_token, "the upload URL")
        code_id: CodeId
        if "migration" in claims:
            kind, code_id = "migration", MigrationId(claims["migration"])
            published: object = await self._catalog.migration(code_id)
        else:
            kind, code_id = "version", VersionId(claims["version"])
            published = await self._catalog.version(code_id)
        if published is not None:
            raise InvalidState(f"this {kind} is published already and can not be changed")
        return UploadTicket(code_id, datetime_of(now_ms) + SIGNED_ID_VALID_FOR)

    async def accept_upload(self, ticket: UploadTicket, upload: Upload) -> None:
        """Keep the code until it is published, in place of what was uploaded for the same before."""
        await self._catalog.save_upload(ticket.code_id, upload, expires_at=ticket.expires_at)

    async def publish(
        self, caller: AuthContext, machine: MachineName, signed_id: str, description: Description
    ) -> VersionId:
        """Make a version of what was uploaded.

        Saying the same again returns the same id, so that a lost answer can be asked for again; saying something else of a
        published version raises InvalidState. Raises InvalidCode where the code is no usable machine, and InvalidParameter
        where nothing was uploaded or the signed id is forged or expired; nothing is published then.
        """
        organization_id = require_scope(caller, "machine-versions.write")
        found = await find_machine(self._catalog, organization_id, machine)
        version_id = self._version_in(signed_id, found)
        published = await self._catalog.version(version_id)
        if published is None:
            try:
                await self._publish_upload(found, version_id, description)
            except AlreadyExists:
                published = await self._catalog.version(version_id)
        if published is not None:
            _require_same(published, description)
        return version_id

    def _version_in(self, signed_id: str, machine: Machine) -> VersionId:
        claims = self._stated(_PUBLISH, signed_id, "the id in the path")
        # A machine that was deleted and made again is another machine, so its number decides, not its name.
        expected = (machine.organization_id, machine.id)
        if (OrganizationId(claims["organization"]), claims["machine"]) != expected:
            raise NotFound("there is no such version of this machine")
        return VersionId(claims["version"])

    def _stated(self, purpose: str, signed: str, what: str) -> dict[str, Any]:
        try:
            return self._tokens.verify(purpose, signed, now=self._clock.now_ms() / 1000)
        except InvalidParameter as error:
            # They look like tokens and are none to those who send them.
            advice = "take it as it came when the version was begun, or begin a new one"
            raise InvalidParameter(f"{what} is not good ({error.message}): {advice}") from error

    async def _publish_upload(
        self, machine: Machine, version_id: VersionId, description: Description
    ) -> None:
        client_info = checked_client_info(description.client_info)
        selectors = merge_selectors(
            machine, await self._current_version(machine), description.index_selectors or {}
        )
        upload = await self._catalog.upload(version_id)
        if upload is None:
            raise InvalidParameter("no code was uploaded for this version", parameter="file")
        code = await asyncio.to_thread(unpack, upload)
        facts = await self._runtime.inspect(machine.organization_id, code.module)
        version = MachineVersion(
            id=version_id,
            machine_id=machine.id,
            organization_id=machine.organization_id,
            machine_name=machine.name,
            created_at=datetime_of(self._clock.now_ms()),
            client_info=client_info,
            index_selectors=selectors,
            xstate_major=facts.xstate_major,
            code_hash=code.sha256,
        )
        try:
            await self._catalog.create_version(
                version, code.module, make_current=description.make_current
            )
        finally:
            # Whoever gives up waiting for it may have made it current all the same.
            if description.make_current:
                self._on_current()

    async def _current_version(self, machine: Machine) -> MachineVersion | None:
        current = machine.current_version
        return None if current is None else await self._catalog.version(current.id)


def upload_token(tokens: Tokens, claims: dict[str, str], *, now: float) -> str:
    """Leave to upload code for what `claims` name. `now` in seconds since the epoch."""
    valid_for = int(UPLOAD_URL_VALID_FOR.total_seconds())
    return tokens.sign(_UPLOAD, claims, now=now, valid_for_seconds=valid_for)


def _require_same(published: MachineVersion, description: Description) -> None:
    named = description.index_selectors or {}
    is_same = published.client_info == description.client_info and all(
        published.index_selectors.get(index) == selector for index, selector in named.items()
    )
    if not is_same:
        raise InvalidState("this version is published already and can not be changed")
