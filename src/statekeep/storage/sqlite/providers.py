"""Identity providers and token providers in SQLite."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from statekeep.domain.names import (
    IdentityProviderId,
    OrganizationId,
    ServiceName,
    TokenProviderId,
)
from statekeep.domain.token_exchange import (
    ExchangePath,
    IdentityProvider,
    TokenProvider,
    require_room_for_identity_provider,
    require_room_for_token_provider,
)
from statekeep.ports.pages import Page
from statekeep.ports.store import ProviderCatalog
from statekeep.storage.pages import page_of
from statekeep.storage.sqlite.database import Row
from statekeep.storage.sqlite.named import QUERIES, NamedQueries, run
from statekeep.storage.sqlite.rows import (
    identity_provider_columns,
    identity_provider_of,
    json_of,
    token_provider_columns,
    token_provider_of,
)


class SqliteProviders(NamedQueries, ProviderCatalog):
    """Whose tokens are taken, and what they are exchanged for."""

    async def put_identity_provider(self, provider: IdentityProvider) -> IdentityProviderId | None:
        pair = _pair(provider.organization_id, provider.audience, provider.issuer)

        def put(connection: apsw.Connection) -> IdentityProviderId | None:
            replaced = run(connection, "identity_provider", **pair).fetchone()
            if replaced is None:
                ours = {"organization_id": provider.organization_id}
                count = run(connection, "count_identity_providers", **ours).get
                require_room_for_identity_provider(count)
            run(connection, "put_identity_provider", **identity_provider_columns(provider))
            return replaced and replaced[0]

        return await self._database.write(put)

    async def identity_provider(
        self, organization_id: OrganizationId, audience: str | None, issuer: str | None
    ) -> IdentityProvider | None:
        row = self._read("identity_provider", **_pair(organization_id, audience, issuer))
        return None if row is None else identity_provider_of(*row)

    async def identity_providers_for(
        self, organization_id: OrganizationId, audiences: Sequence[str], issuer: str | None
    ) -> Sequence[IdentityProvider]:
        wanted = {
            "organization_id": organization_id,
            "issuer": issuer or "",
            "audiences": json_of(["", *audiences]),
        }
        query = QUERIES["identity_providers_for"]
        rows: list[Row] = self._database.read(
            lambda connection: connection.execute(query, wanted).fetchall()
        )
        return [identity_provider_of(*row) for row in rows]

    async def list_identity_providers(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[IdentityProvider]:
        listing = f"identity providers of {organization_id}"
        rows = await self._list(
            "list_identity_providers", listing, cursor, organization_id=organization_id
        )
        return page_of([(row[0], identity_provider_of(*row[1:])) for row in rows], listing)

    async def delete_identity_provider(
        self, organization_id: OrganizationId, audience: str | None, issuer: str | None
    ) -> IdentityProviderId | None:
        pair = _pair(organization_id, audience, issuer)
        deleted = await self._delete("delete_identity_provider", **pair)
        return None if deleted is None else IdentityProviderId(deleted)

    async def put_token_provider(self, provider: TokenProvider) -> None:
        ours = {"organization_id": provider.organization_id}

        def put(connection: apsw.Connection) -> None:
            changed = run(connection, "token_provider", **ours, service=provider.service).fetchone()
            if changed is None:
                require_room_for_token_provider(
                    run(connection, "count_token_providers", **ours).get
                )
            run(connection, "put_token_provider", **token_provider_columns(provider))

        await self._database.write(put)

    async def token_provider(
        self, organization_id: OrganizationId, service: ServiceName
    ) -> TokenProvider | None:
        row = self._read("token_provider", organization_id=organization_id, service=service)
        return None if row is None else token_provider_of(*row)

    async def list_token_providers(
        self, organization_id: OrganizationId, *, cursor: str | None
    ) -> Page[TokenProvider]:
        listing = f"token providers of {organization_id}"
        rows = await self._list(
            "list_token_providers", listing, cursor, organization_id=organization_id
        )
        return page_of([(row[0], token_provider_of(*row[1:])) for row in rows], listing)

    async def delete_token_provider(
        self, organization_id: OrganizationId, service: ServiceName
    ) -> TokenProviderId | None:
        named = {"organization_id": organization_id, "service": service}
        deleted = await self._delete("delete_token_provider", **named)
        return None if deleted is None else TokenProviderId(deleted)

    async def service_of_exchange(
        self, organization_id: OrganizationId, path: ExchangePath
    ) -> ServiceName | None:
        row = self._read("service_of_exchange", organization_id=organization_id, **path._asdict())
        return None if row is None else ServiceName(row[0])

    async def _delete(self, query: str, **named: apsw.SQLiteValue) -> str | None:
        """The id of the row that was deleted."""

        def delete(connection: apsw.Connection) -> str | None:
            # All rows are fetched: a statement with RETURNING ends with its last one.
            rows: list[Row] = run(connection, query, **named).fetchall()
            return rows[0][0] if rows else None

        return await self._database.write(delete)


def _pair(
    organization_id: OrganizationId, audience: str | None, issuer: str | None
) -> dict[str, apsw.SQLiteValue]:
    return {
        "organization_id": organization_id,
        "audience": audience or "",
        "issuer": issuer or "",
    }
