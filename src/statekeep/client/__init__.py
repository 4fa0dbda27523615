"""The Python client: `Client` blocks, `AsyncClient` awaits. docs/python-client.md says how to use them."""

from __future__ import annotations

from statekeep.client import errors, models
from statekeep.client.client import AsyncClient, Client
from statekeep.client.nouns.selections import InstanceQuery
from statekeep.client.signing import sign_token
from statekeep.client.tokens import Anonymous, TokenExchange

__all__ = [
    "Anonymous",
    "AsyncClient",
    "Client",
    "InstanceQuery",
    "TokenExchange",
    "errors",
    "models",
    "sign_token",
]
