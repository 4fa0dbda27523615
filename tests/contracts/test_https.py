"""Key sets over HTTPS from a server whose certificate somebody signed, whom the operator trusts or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
import trustme

from statekeep.domain.errors import IssuerUnavailable
from statekeep.ports.subject_tokens import Trust
from statekeep.tokens.fetching import FetchFailed, PublicFetcher
from statekeep.tokens.key_sets import KeySets
from statekeep.tokens.subject_tokens import JwtSubjectTokens
from tests.support.clock import FakeClock
from tests.support.issuers import Issuer, KeySetServer, key_set, key_set_server

BYTES_MAX = 10_000
ISSUER = Issuer("RS256")
CLAIMS = {"iss": "https://login.example.com/", "sub": "ada"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The authority of a company."""
    return trustme.CA()


@pytest.fixture
async def server(authority) -> AsyncIterator[KeySetServer]:
    """With a certificate for its name."""
    async with key_set_server(certificate=authority.issue_cert("localhost")) as server:
        yield server


@pytest.fixture
async def fetcher() -> AsyncIterator[PublicFetcher]:
    fetcher = PublicFetcher(allow_private_network=True)
    yield fetcher
    await fetcher.close()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What docs/tokens.md tells operators to do."""
    path = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


async def get(fetcher: PublicFetcher, url: str) -> bytes:
    return await fetcher.get(url, bytes_max=BYTES_MAX, timeout_seconds=10)


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_a_trusted_authority_is_good(server, fetcher):
    """With SSL_CERT_FILE the operator adds an authority to those that everybody trusts."""
    server.body = b"over TLS"
    assert await get(fetcher, server.url) == b"over TLS"


async def test_a_certificate_of_an_unknown_authority_is_refused(server, fetcher):
    """No request goes out, and the reason says what to do."""
    with pytest.raises(FetchFailed, match=r"certificate.*SSL_CERT_FILE"):
        await get(fetcher, server.url)
    assert server.requests == []


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_for_another_name_is_refused(authority, fetcher):
    """Whoever signed it: the name is that of the URL, not the address it stands for."""
    for names in (["elsewhere.example.com"], ["127.0.0.1"], ["*.localhost"]):
        async with key_set_server(certificate=authority.issue_cert(*names)) as server:
            with pytest.raises(FetchFailed, match=r"certificate verify failed(?!.*SSL_CERT_FILE)"):
                await get(fetcher, server.url)
            assert server.requests == []


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_that_has_expired_is_refused(authority, fetcher):
    """However well it was signed."""
    expired = authority.issue_cert("localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    async with key_set_server(certificate=expired) as server:
        with pytest.raises(FetchFailed, match="expired"):
            await get(fetcher, server.url)


@pytest.mark.usefixtures("trusted")
async def test_the_authorities_of_everybody_stay_trusted(fetcher):
    """SSL_CERT_FILE takes the place of the system's bundle, and Mozilla's stays beside it."""
    authorities = fetcher._http._transport._pool._ssl_context.get_ca_certs()
    assert len(authorities) > 50


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
async def test_a_file_without_authorities_adds_none(
    server, fetcher, tmp_path, monkeypatch, content
):
    """Nothing is trusted for it that was not before."""
    path = tmp_path / "broken.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(FetchFailed, match="SSL_CERT_FILE"):
        await get(fetcher, server.url)
    assert server.requests == []


class TestExchange:
    """The whole way from a token to the set that its key is in."""

    async def verify(self, server: KeySetServer, fetcher: PublicFetcher) -> dict[str, object]:
        server.body = key_set(ISSUER)
        key_sets = KeySets(fetcher, FakeClock())
        subjects = JwtSubjectTokens(key_sets, allow_http_jwks=False, allow_private_network=True)
        trust = Trust(("RS256",), None, subjects.read_jwks_url(server.url))
        try:
            return await subjects.verify(ISSUER.sign(CLAIMS), trust, now=0)
        finally:
            await key_sets.close()

    @pytest.mark.usefixtures("trusted")
    async def test_keys_of_a_trusted_server_are_used(self, server, fetcher):
        """As any others."""
        assert await self.verify(server, fetcher) == CLAIMS

    async def test_the_log_tells_the_operator_what_is_wrong(self, server, fetcher):
        """The user is only told that the keys cannot be had."""
        with structlog.testing.capture_logs() as logs, pytest.raises(IssuerUnavailable) as raised:
            await self.verify(server, fetcher)
        assert "SSL_CERT_FILE" in logs[0]["reason"]
        assert "certificate" not in raised.value.message
