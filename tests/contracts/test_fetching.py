"""Fetching from servers that are slow, huge, odd, or where they should not be reached."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

import pytest

from statekeep.domain import limits
from statekeep.tokens.fetching import FetchFailed, PublicFetcher, is_public, names_private_address
from tests.support.issuers import KeySetServer, key_set_server


@pytest.fixture
async def server():
    async with key_set_server() as server:
        yield server


@pytest.fixture
async def fetcher():
    """One that may reach this machine."""
    fetcher = PublicFetcher(allow_private_network=True)
    yield fetcher
    await fetcher.close()


@pytest.fixture
async def strict():
    """One that may not."""
    fetcher = PublicFetcher(allow_private_network=False)
    yield fetcher
    await fetcher.close()


async def get(fetcher: PublicFetcher, url: str, *, timeout_seconds: float = 10) -> bytes:
    return await fetcher.get(url, bytes_max=1_000, timeout_seconds=timeout_seconds)


async def test_a_body_is_fetched_whole(server: KeySetServer, fetcher):
    """By a request that names the host, and asks for nothing that would have to be unpacked."""
    server.body = b"x" * 1_000
    assert await get(fetcher, server.url) == server.body
    request = server.requests[0].decode().lower()
    assert request.startswith("get /jwks.json http/1.1")
    assert f"host: {server.url.split('/')[2]}\r\n" in request
    assert "accept-encoding: identity\r\n" in request


async def test_a_large_body_is_not_read(server: KeySetServer, fetcher):
    """No further than its bound."""
    server.body = b"x" * 1_001
    with pytest.raises(FetchFailed, match="larger than 1000"):
        await get(fetcher, server.url)


async def test_a_slow_server_is_given_up(server: KeySetServer, fetcher):
    """One that accepts and never answers."""
    server.may_answer.clear()
    with pytest.raises(FetchFailed, match="no answer within"):
        await get(fetcher, server.url, timeout_seconds=0.1)


@pytest.mark.parametrize(
    "status", ["404 Not Found", "500 Oops", "204 No Content", "301 Moved", "302 Found", "304 Same"]
)
async def test_only_200_is_an_answer(server: KeySetServer, fetcher, status):
    """Redirects are not followed, wherever they lead."""
    server.status = status
    server.headers = f"location: {server.url}?elsewhere\r\n"
    server.body = b""
    with pytest.raises(FetchFailed, match=status[:3]):
        await get(fetcher, server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
async def test_compressed_answers_are_not_unpacked(server: KeySetServer, fetcher, encoding):
    """Nobody asked for them, and there might be gigabytes inside."""
    server.headers = f"content-encoding: {encoding}\r\n"
    with pytest.raises(FetchFailed, match="compressed"):
        await get(fetcher, server.url)


async def test_nobody_there(fetcher):
    """Neither at the port, nor by the name, nor speaking TLS."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/", "http://nobody.invalid/", "http://a..b/"):
            with pytest.raises(FetchFailed):
                await get(fetcher, url)


async def test_plain_http_does_not_pass_for_https(server: KeySetServer, fetcher):
    """The server has to prove who it is."""
    with pytest.raises(FetchFailed):
        await get(fetcher, server.url.replace("http://", "https://"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "0"])
async def test_this_machine_is_not_reached(server: KeySetServer, strict, host):
    """By whatever name: what counts is the address that the name stands for."""
    port = server.url.split(":")[2]
    with pytest.raises(FetchFailed, match="no public address"):
        await get(strict, f"http://{host}:{port}")
    assert server.requests == []


async def test_a_name_that_moves_is_not_followed(server: KeySetServer, strict, monkeypatch):
    """The address that was checked is the one that is connected to: the name is looked up once."""
    port = int(server.url.split(":")[2].split("/")[0])
    answers = iter(["93.184.216.34", "127.0.0.1"])

    def rebinding(_host: str, _port: int, **_options: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(FetchFailed):
        await get(strict, f"http://rebind.example:{port}/", timeout_seconds=0.3)
    assert server.requests == []


@pytest.fixture
async def dead_names(monkeypatch):
    """Names under `dead.example` are looked up for ever, or until the test is over."""
    may_end, look_up = threading.Event(), socket.getaddrinfo

    def slowly(host: str, *arguments, **options):
        if host.endswith("dead.example"):
            may_end.wait()
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    yield
    may_end.set()


@pytest.mark.usefixtures("dead_names")
async def test_names_that_nobody_answers_for_hold_up_nobody_else(server: KeySetServer, fetcher):
    """Neither other names, nor what else needs a thread: a lookup cannot be broken off, only given up."""
    given_up = [
        get(fetcher, f"https://{n}.dead.example/", timeout_seconds=0.1)
        for n in range(limits.LOOKUPS_MAX - 1)
    ]
    results = await asyncio.gather(*given_up, return_exceptions=True)
    assert all("no answer within" in str(result) for result in results)
    assert await get(fetcher, server.url, timeout_seconds=5) == server.body
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 5) == "done"


@pytest.mark.usefixtures("dead_names")
async def test_lookups_are_bounded(server: KeySetServer, fetcher, monkeypatch):
    """One too many is refused at once, and there is room again when one has ended."""
    monkeypatch.setattr(limits, "LOOKUPS_MAX", 2)
    for number in range(2):
        with pytest.raises(FetchFailed, match="no answer within"):
            await get(fetcher, f"https://{number}.dead.example/", timeout_seconds=0.1)
    with pytest.raises(FetchFailed, match="too many names"):
        await get(fetcher, server.url)


async def test_lookups_that_ended_are_not_counted(server: KeySetServer, fetcher, monkeypatch):
    """Whether a name was found or not."""
    monkeypatch.setattr(limits, "LOOKUPS_MAX", 1)
    for _ in range(3):
        assert await get(fetcher, server.url) == server.body
        with pytest.raises(FetchFailed, match="gaierror"):
            await get(fetcher, "http://nobody.invalid/")


async def test_the_second_address_is_tried(server: KeySetServer, fetcher, monkeypatch):
    """Where nobody answers at the first: `localhost` is often ::1 before it is 127.0.0.1."""
    monkeypatch.setattr(PublicFetcher, "_addresses", _addresses_of("::1", "127.0.0.1"))
    assert await get(fetcher, server.url) == server.body


def _addresses_of(*texts: str):
    async def addresses(_fetcher: PublicFetcher, _url: object) -> list[object]:
        return [ipaddress.ip_address(text) for text in texts]

    return addresses


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"],
)
def test_addresses_of_the_internet_are_public(address):
    """Also where an IPv4 address is written as an IPv6 one."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.255",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:5ef5:79fd::1",
        "::7f00:1",
        "::a9fe:a9fe",
        "::ffff:0:7f00:1",
        "64:ff9b:1::a00:1",
        "5f00::1",
    ],
)
def test_all_others_are_not(address):
    """Loopback, link-local (the cloud's metadata among them), private, shared, multicast, and what is carried on to any of them."""
    assert not is_public(ipaddress.ip_address(address))
    assert names_private_address(address)


@pytest.mark.parametrize("host", ["localhost", "a.localhost"])
def test_names_of_this_machine_are_known(host):
    """The others are looked up."""
    assert names_private_address(host)
    assert not names_private_address("login.example.com")
