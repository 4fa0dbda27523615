"""Fetching what others publish, without becoming a way into the operator's network.

What must stay true: a connection goes only to an address that was checked after the name was resolved, to no other, and is not used again
for another name; redirects are not followed, proxies of the environment not used; no answer is read beyond its bound.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Sequence
from typing import Final

import certifi
import httpx

from statekeep.tokens.lookups import Address, Lookups

_UNKNOWN_AUTHORITY: Final = frozenset({18, 19, 20, 21})
"""OpenSSL's codes for chains that end in nobody who is trusted (X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT and the next three)."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is given out to the internet. What lies outside is of a network's own, or stands for an IPv4 address in yet another way."""
_IPV4_BITS: Final = 0xFFFF_FFFF


class FetchFailed(Exception):
    """Nothing usable came. The message is for the server's log."""


class PublicFetcher:
    """GET over HTTPS, or HTTP where a URL says so, from public addresses. `allow_private_network` lifts the last part."""

    def __init__(self, *, allow_private_network: bool) -> None:
        self._allow_private_network = allow_private_network
        self._lookups = Lookups()
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, *, bytes_max: int, timeout_seconds: float) -> bytes:
        """The body of a 200, whole. Raises FetchFailed for everything else, after `timeout_seconds` at the latest."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._get(httpx.URL(url), bytes_max)
        except TimeoutError as error:
            raise FetchFailed(f"no answer within {timeout_seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise FetchFailed(f"{type(error).__name__}: {error}{_advice(error)}") from error

    async def close(self) -> None:
        """Let connections go."""
        if self._client is not None:
            await self._client.aclose()

    async def _get(self, url: httpx.URL, bytes_max: int) -> bytes:
        addresses = await self._addresses(url)
        # All but the last may fail: a host without IPv6 is told IPv6 addresses all the same.
        for address in addresses[:-1]:
            try:
                return await self._get_from(address, url, bytes_max)
            except httpx.ConnectError:
                continue
        return await self._get_from(addresses[-1], url, bytes_max)

    async def _get_from(self, address: Address, url: httpx.URL, bytes_max: int) -> bytes:
        request = httpx.Request(
            "GET",
            url.copy_with(host=str(address)),
            headers={
                "host": url.netloc.decode("ascii"),
                "accept": "application/json",
                # A few bytes of gzip may stand for gigabytes.
                "accept-encoding": "identity",
                "user-agent": "statekeep",
            },
            # The certificate has to be that of the name.
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            return await _read(response, bytes_max)
        finally:
            await response.aclose()

    async def _addresses(self, url: httpx.URL) -> Sequence[Address]:
        host, port = url.raw_host.decode("ascii"), url.port or _port_of(url.scheme)
        resolved = await self._lookups.addresses_of(host, port)
        usable = [a for a in resolved if self._allow_private_network or is_public(a)]
        if not usable:
            raise FetchFailed(
                "the host has no public address; allow_private_network would let the server reach it"
            )
        return usable

    @property
    def _http(self) -> httpx.AsyncClient:
        # Made when it is first needed: reading the certificates takes 20 ms, and few servers fetch anything.
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=_trusted_authorities(),
                trust_env=False,
                # A connection that is kept was checked for one name only.
                limits=httpx.Limits(max_keepalive_connections=0),
                timeout=None,
            )
        return self._client


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet at large, and not of this machine or of a network around it."""
    if isinstance(address, ipaddress.IPv6Address):
        embedded = _embedded_ipv4(address)
        if embedded is not None:
            return is_public(embedded)
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast


def names_private_address(host: str) -> bool:
    """Whether a host can be told to be no public one without looking it up."""
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which packets for an IPv6 address are carried on."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & _IPV4_BITS)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def _port_of(scheme: str) -> int:
    return {"http": 80, "https": 443}[scheme]


def _advice(error: BaseException) -> str:
    """What the operator can do where a certificate is good but for who signed it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None or cause.verify_code not in _UNKNOWN_AUTHORITY:
        return ""
    return "; if the server's certificate is of an authority of your own, name a file with it in SSL_CERT_FILE"


def _trusted_authorities() -> ssl.SSLContext:
    # The system's (SSL_CERT_FILE and SSL_CERT_DIR say where), as they hold a company's own; and Mozilla's.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def _read(response: httpx.Response, bytes_max: int) -> bytes:
    if response.status_code != 200:
        raise FetchFailed(f"the answer has status {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FetchFailed("the answer is compressed, which was not asked for")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > bytes_max:
            raise FetchFailed(f"the answer is larger than {bytes_max} bytes")
    return bytes(body)
