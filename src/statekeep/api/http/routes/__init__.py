"""All routes, by noun. What is not in `ALL` does not exist."""

from __future__ import annotations

from typing import Final

from statekeep.api.http.route import Route
from statekeep.api.http.routes import (
    bulk_upgrades,
    dead_letters,
    dry_runs,
    http_api,
    indexes,
    instances,
    keys,
    logs,
    machines,
    members,
    migrations,
    organizations,
    providers,
    realtime,
    retention,
    server,
    sessions,
    tokens,
    transfers,
    usage,
    versions,
)

ALL: Final[tuple[Route, ...]] = (
    *machines.ROUTES,
    *versions.ROUTES,
    *migrations.ROUTES,
    *dry_runs.ROUTES,
    *bulk_upgrades.ROUTES,
    *instances.ROUTES,
    *indexes.ROUTES,
    *dead_letters.ROUTES,
    *retention.ROUTES,
    *realtime.ROUTES,
    *keys.ROUTES,
    *logs.ROUTES,
    *providers.ROUTES,
    *tokens.ROUTES,
    *http_api.ROUTES,
    *transfers.ROUTES,
    *members.ROUTES,
    *sessions.ROUTES,
    *usage.ROUTES,
    *organizations.ROUTES,
    *server.ROUTES,
)
