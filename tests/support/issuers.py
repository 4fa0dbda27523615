"""Identity providers: keys of every kind, tokens signed with them, and a real server that publishes key sets."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trustme
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

SECRET = b"a shared secret of 32 bytes, or so"

_MAKE: Mapping[str, Any] = {
    "RS": lambda: RSAKey.generate_key(2048),
    "PS": lambda: RSAKey.generate_key(2048),
    "ES256": lambda: ECKey.generate_key("P-256"),
    "ES384": lambda: ECKey.generate_key("P-384"),
    "ES512": lambda: ECKey.generate_key("P-521"),
    "Ed": lambda: OKPKey.generate_key("Ed25519"),
    "HS": lambda: OctKey.import_key(SECRET),
}


class _Quiet(jws.JWSRegistry):
    """Signs with what it is told to."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


class Issuer:
    """Somebody with a key for one algorithm. `kid` names it in tokens and sets; None is no name."""

    def __init__(self, algorithm: str = "RS256", kid: str | None = "k1") -> None:
        self.algorithm, self.kid = algorithm, kid
        make = _MAKE.get(algorithm) or _MAKE[algorithm[:2]]
        self.key = make()

    def sign(
        self, claims: Mapping[str, Any] | bytes, header: Mapping[str, Any] | None = None
    ) -> str:
        """A token. `header` adds to the usual one or replaces what is in it."""
        named = {} if self.kid is None else {"kid": self.kid}
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        full = {"alg": self.algorithm, "typ": "JWT", **named, **(header or {})}
        registry = _Quiet(algorithms=[full["alg"]], strict_check_header=False)
        return jws.serialize_compact(full, payload, self.key, registry=registry)

    @property
    def pem(self) -> bytes:
        """The public key."""
        assert not isinstance(self.key, OctKey)
        pem: bytes = self.key.as_pem(private=False)
        return pem

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key, as it is published."""
        jwk: dict[str, Any] = self.key.as_dict(private=False)
        jwk.pop("kid", None)
        return jwk if self.kid is None else {**jwk, "kid": self.kid}

    @property
    def configured(self) -> str:
        """What an admin configures as `key`."""
        return b64url(SECRET if isinstance(self.key, OctKey) else self.pem)


def b64url(data: bytes) -> str:
    """Without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def key_set(*issuers: Issuer) -> bytes:
    """The JSON Web Key Set of all of them."""
    return json.dumps({"keys": [issuer.jwk for issuer in issuers]}).encode()


class KeySetServer:
    """Answers every request with `body`, or with whatever a test sets. Counts them."""

    def __init__(self) -> None:
        self.body = b'{"keys":[]}'
        self.status = "200 OK"
        self.headers = ""
        self.requests: list[bytes] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = asyncio.Event()
        self.url = ""
        self.answering: set[asyncio.Task[None]] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.answering.add(task)
        try:
            first = await reader.readexactly(1)
            if first != b"G":
                # Not a GET: somebody tries to speak TLS.
                return
            self.requests.append(first + await reader.readuntil(b"\r\n\r\n"))
            self.asked.set()
            await self.may_answer.wait()
            head = (
                f"HTTP/1.1 {self.status}\r\ncontent-length: {len(self.body)}\r\n{self.headers}\r\n"
            )
            writer.write(head.encode() + self.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def key_set_server(
    host: str = "127.0.0.1", certificate: trustme.LeafCert | None = None
) -> AsyncIterator[KeySetServer]:
    """One on a port of its own, over HTTPS where it has a certificate."""
    key_sets = KeySetServer()
    context = None if certificate is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if context is not None and certificate is not None:
        certificate.configure_cert(context)
    server = await asyncio.start_server(key_sets.answer, host, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    name = "localhost" if host == "127.0.0.1" else f"[{host}]"
    key_sets.url = f"{'http' if context is None else 'https'}://{name}:{port}/jwks.json"
    try:
        yield key_sets
    finally:
        key_sets.may_answer.set()
        server.close()
        for task in key_sets.answering:
            task.cancel()
        await asyncio.gather(*key_sets.answering, return_exceptions=True)
