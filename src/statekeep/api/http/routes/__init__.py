"""All routes, by noun. What is not in `ALL` does not exist."""

from __future__ import annotations

from typing import Final

from statekeep.api.http.route import Route
from statekeep.api.http.routes import (
    dead_letters,
    instances,
    keys,
    machines,
    organizations,
    providers,
    realtime,
    retention,
    server,
    tokens,
    versions,
)

ALL: Final[tuple[Route, ...]] = (
    *machines.ROUTES,
    *versions.ROUTES,
    *instances.ROUTES,
    *dead_letters.ROUTES,
    *retention.ROUTES,
    *realtime.ROUTES,
    *keys.ROUTES,
    *providers.ROUTES,
    *tokens.ROUTES,
    *organizations.ROUTES,
    *server.ROUTES,
)
