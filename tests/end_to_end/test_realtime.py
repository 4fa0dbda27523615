"""Following instances over a real server, on sockets and streams."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from statekeep.domain.limits import SOCKET_MESSAGE_BYTES_MAX, SOCKET_SUBSCRIPTIONS_MAX
from tests.support.deployed import Deployment
from tests.support.forgery import key_token
from tests.support.server import RunningServer, server_process

BOARD = Path(__file__).parent / "official_client" / "board.js"


class Follower:
    """A server with a board, and ways to change and follow it."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.admin = httpx.Client(
            base_url=server.url, headers={"authorization": f"Bearer {server.token}"}
        )
        Deployment(server, self.admin, server.token).deploy("board", BOARD.read_text())
        self.create("one")
        self.key = self.admin.post("/keys", json={"name": "ada", "use": "production"}).json()
        self.token = key_token(self.key["id"], self.key["key"], act={"sub": "ada"})

    def move_to(self, server: RunningServer) -> None:
        """Another server with the same data."""
        self.server = server
        self.admin.base_url = httpx.URL(server.url)

    def create(self, name: str) -> None:
        self.admin.post("/machines/board", json={"slug": name}).raise_for_status()

    def write(self, text: str, name: str = "one") -> None:
        event = {"event": {"type": "write", "text": text}}
        self.admin.post(f"/machines/board/i/{name}/events", json=event).raise_for_status()

    def send(self, event: str, name: str = "one") -> None:
        self.admin.post(f"/machines/board/i/{name}/events", json={"event": event})

    def refused(self, name: str = "one", **query: str) -> tuple[int, str | None]:
        """The status of a stream that does not come about, and the parameter that is to blame."""
        answer = httpx.get(f"{self.server.url}/machines/board/i/{name}/stream", params=query)
        return answer.status_code, answer.json().get("parameter")

    def socket(self, token: str | None = None, **options: Any) -> connect:
        url = f"ws{self.server.url[4:]}/rt?token={token or self.token}"
        return connect(url, **options)

    @asynccontextmanager
    async def stream(self, **headers: str) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        """Events of the stream: their ids (or types) and data."""
        url = f"{self.server.url}/machines/board/i/one/stream"
        async with (
            httpx.AsyncClient(timeout=30) as client,
            client.stream("GET", url, params={"token": self.token}, headers=headers) as answer,
        ):
            assert answer.headers["content-type"] == "text/event-stream"
            yield _events(answer.aiter_lines())


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in lines:
        field, _, value = line.partition(": ")
        if field in ("id", "event"):
            name = value
        elif field == "data":
            yield name, json.loads(value)


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Follower]:
    with server_process(tmp_path_factory.mktemp("realtime") / "data") as server:
        follower = Follower(server)
        yield follower
        follower.admin.close()


async def subscribe(
    socket: ClientConnection, name: str = "one", request: str = "r", **more: Any
) -> None:
    message = {
        "type": "subscribe-to-instance",
        "requestId": request,
        "machineName": "board",
        "machineInstanceName": name,
        **more,
    }
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 30))


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """The code and the reason with which the server ends the socket."""
    await asyncio.wait_for(socket.wait_closed(), 30)
    return socket.close_code, socket.close_reason


async def test_an_update_says_what_and_of_whom(follower: Follower) -> None:
    """Names, the revision and the fields of a state."""
    async with follower.socket() as socket:
        await subscribe(socket)
        update = await hear(socket)
    assert {key: update[key] for key in ("type", "machineName", "machineInstanceName")} == {
        "type": "instance-update",
        "machineName": "board",
        "machineInstanceName": "one",
    }
    assert update.keys() >= {"revision", "ts", "state", "publicContext", "tags", "done"}


async def test_a_subscription_with_since_misses_nothing(follower: Follower) -> None:
    """From any revision on, and then live, under its own request id."""
    follower.create("history")
    for number in range(300):
        follower.write(str(number), "history")
    async with follower.socket() as socket:
        await subscribe(socket, "history", "all", since=1)
        updates = [await hear(socket) for _ in range(300)]
        follower.write("live", "history")
        updates.append(await hear(socket))
    assert [update["revision"] for update in updates] == list(range(2, 303))
    texts = [update["publicContext"]["text"] for update in updates]
    assert texts == [*map(str, range(300)), "live"]
    assert {update["requestId"] for update in updates} == {"all"}


async def test_a_stream_goes_on_where_it_was(follower: Follower) -> None:
    """A reader that was away while things happened gets each of them, in order, and then what happens."""
    async with follower.stream() as events:
        last, _ = await anext(events)
        follower.write("seen")
        last, state = await anext(events)
        assert state["publicContext"] == {"text": "seen"}
    for number in range(20):
        follower.write(str(number))
    async with follower.stream(**{"last-event-id": last}) as events:
        missed = [await anext(events) for _ in range(20)]
        follower.write("live")
        missed.append(await anext(events))
    assert [int(name) for name, _ in missed] == list(range(int(last) + 1, int(last) + 22))
    texts = [state["publicContext"]["text"] for _, state in missed]
    assert texts == [*map(str, range(20)), "live"]


async def test_a_stream_that_missed_nothing_opens_at_once(follower: Follower) -> None:
    """A client that comes back would otherwise wait 15 s to learn whether it is connected, and most give up before."""
    async with follower.stream() as events:
        last, _ = await anext(events)
    async with asyncio.timeout(10), follower.stream(**{"last-event-id": last}) as events:
        follower.write("next")
        assert await anext(events) == (str(int(last) + 1), ANY)


async def test_a_stream_ends_with_a_reason(follower: Follower) -> None:
    """When its reader may not see the next state; a browser that comes back then gets 403 and stays away."""
    async with follower.stream() as events:
        await anext(events)
        follower.send("cover")
        name, error = await anext(events)
        assert (name, error["code"]) == ("end", "rejected-by-machine-authorizer")
    assert follower.refused(token=follower.token) == (403, None)
    follower.send("show")


def test_what_is_no_stream_is_told_like_any_error(follower: Follower) -> None:
    """With its status, so that browsers do not come back."""
    assert follower.refused() == (401, None)
    assert follower.refused("nowhere", token=follower.token) == (404, None)
    assert follower.refused(token=follower.token, since="x") == (400, "since")


async def test_a_deleted_key_ends_sockets_and_streams(follower: Follower) -> None:
    """Before the next state is shown."""
    key = follower.admin.post("/keys", json={"name": "brief", "use": "production"}).json()
    token = key_token(key["id"], key["key"], act={"sub": "ada"})
    async with follower.socket(token) as socket, follower.socket(token) as silent:
        await subscribe(socket)
        await hear(socket)
        await silent.send('{"type":"ping"}')
        follower.admin.delete(f"/keys/{key['id']}").raise_for_status()
        follower.write("not for you")
        assert (await closed(socket))[0] == 4401
        await silent.send('{"type":"ping"}')
        assert (await closed(silent))[0] == 4401


async def test_a_token_that_expires_ends_a_silent_socket(follower: Follower) -> None:
    """Without its client saying anything."""
    token = key_token(follower.key["id"], follower.key["key"], exp=int(time.time()) - 3)
    async with follower.socket(token) as socket:
        assert await closed(socket) == (4401, "the token has expired, or never was good")


async def test_a_bad_token_is_told_and_not_refused(follower: Follower) -> None:
    """Each subscription gets its error; the socket stays for a while."""
    async with follower.socket("nonsense") as socket:
        for request in ("a", "b"):
            await subscribe(socket, request=request)
            error = await hear(socket)
            assert (error["requestId"], error["status"]) == (request, 401)


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        "[]",
        '{"type":"dance","requestId":"r"}',
        '{"type":"subscribe-to-instance","requestId":"r"}',
        '{"type":"subscribe-to-instance","requestId":"r","machineName":7,"machineInstanceName":"a"}',
        '{"type":"subscribe-to-instance","requestId":"r","machineName":"no name","machineInstanceName":"a"}',
        '{"type":"subscribe-to-instance","requestId":7,"machineName":"a","machineInstanceName":"a"}',
        "[" * 5_000,
    ],
)
async def test_a_bad_message_is_told_and_harms_nothing(follower: Follower, message: str) -> None:
    """With the request id where it has one; the socket goes on."""
    async with follower.socket() as socket:
        await socket.send(message)
        error = await hear(socket)
        assert (error["type"], error["status"], error["code"]) == (
            "error",
            400,
            "invalid-parameter",
        )
        assert error.get("requestId") == ("r" if '"requestId":"r"' in message else None)
        await subscribe(socket)
        assert (await hear(socket))["type"] == "instance-update"


async def test_odd_frames(follower: Follower) -> None:
    """Binary ones and large ones end a socket with the code for it; a message may come in parts."""
    async with follower.socket() as socket:
        await socket.send(b"\x00")
        assert (await closed(socket))[0] == 1003
    async with follower.socket() as socket:
        await socket.send("x" * (SOCKET_MESSAGE_BYTES_MAX + 1))
        assert (await closed(socket))[0] == 1009
    async with follower.socket() as socket:
        await socket.send(['{"type":', '"pi', 'ng"}'])
        await subscribe(socket)
        await hear(socket)


async def test_a_socket_has_so_many_subscriptions(follower: Follower) -> None:
    """One more is refused; after an unsubscription there is room again."""
    async with follower.socket() as socket:
        for number in range(SOCKET_SUBSCRIPTIONS_MAX):
            await subscribe(socket, "nobody", f"r{number}", since=0)
        errors = [await hear(socket) for _ in range(SOCKET_SUBSCRIPTIONS_MAX)]
        assert {error["status"] for error in errors} == {404}
        for number in range(SOCKET_SUBSCRIPTIONS_MAX + 1):
            await subscribe(socket, "one", f"s{number}")
        refusals: list[Any] = []
        while not refusals:
            message = await hear(socket)
            if message["type"] == "error":
                refusals.append(message)
        assert refusals[0]["requestId"] == f"s{SOCKET_SUBSCRIPTIONS_MAX}"
        assert refusals[0]["status"] == 400


async def test_a_reader_that_sleeps_holds_up_nobody(follower: Follower) -> None:
    """It gets the newest state when it wakes up, and not what it slept through; a reader of everything gets everything."""
    follower.create("busy")
    updates = 400
    async with (
        follower.socket(max_queue=1) as newest,
        follower.socket(max_queue=1) as everything,
    ):
        await subscribe(newest, "busy")
        await subscribe(everything, "busy", since=1)
        for number in range(updates):
            # More than the buffers between the two ends take.
            await asyncio.to_thread(follower.write, f"{number} " + "x" * 30_000, "busy")
        seen: list[int] = []
        while not seen or seen[-1] < updates - 1:
            seen.append(_number_in(await hear(newest)))
        assert len(seen) < updates
        assert seen == sorted(seen)
        assert [_number_in(await hear(everything)) for _ in range(updates)] == list(range(updates))


def _number_in(update: Any) -> int:
    return int(update["publicContext"]["text"].partition(" ")[0] or -1)


async def test_other_paths_have_no_socket(follower: Follower) -> None:
    """404, over the handshake."""
    with pytest.raises(Exception, match="404"):
        await connect(f"ws{follower.server.url[4:]}/other")


async def test_a_page_of_another_origin_is_kept_out(tmp_path: Path) -> None:
    """Where the operator has named the origins."""
    with server_process(tmp_path / "data", "--cors-origins", "https://app.example") as server:
        url = f"ws{server.url[4:]}/rt?token={server.token}"
        async with connect(url, origin="https://app.example"):  # type: ignore[arg-type]
            pass
        with pytest.raises(Exception, match="403"):
            await connect(url, origin="https://evil.example")  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_missed_over_a_restart(tmp_path: Path, ending: signal.Signals) -> None:
    """Readers that stop in the middle of some hundred transitions go on after the last they saw, each exactly once and in order."""
    with server_process(tmp_path / "data") as server:
        follower = Follower(server)
        async with follower.socket() as socket, follower.stream() as events:
            await subscribe(socket, since=1)
            await anext(events)
            for number in range(150):
                follower.write(str(number))
            told = [await hear(socket) for _ in range(60)]
            streamed = [await anext(events) for _ in range(90)]
            server.process.send_signal(ending)
            await asyncio.to_thread(server.process.wait, 30)
    with server_process(tmp_path / "data") as server:
        follower.move_to(server)
        last_streamed, last_told = streamed[-1][0], told[-1]["revision"]
        async with (
            follower.socket() as socket,
            follower.stream(**{"last-event-id": last_streamed}) as events,
        ):
            await subscribe(socket, since=last_told)
            for number in range(150, 300):
                follower.write(str(number))
            told += [await hear(socket) for _ in range(240)]
            streamed += [await anext(events) for _ in range(210)]
        follower.admin.close()
    texts = [str(number) for number in range(300)]
    assert [update["publicContext"]["text"] for update in told] == texts
    assert [state["publicContext"]["text"] for _, state in streamed] == texts
    assert [update["revision"] for update in told] == list(range(2, 302))
    assert [int(name) for name, _ in streamed] == list(range(2, 302))


async def test_a_shutdown_tells_everybody_to_come_back(tmp_path: Path) -> None:
    """Sockets get 1012, streams end, and the server ends at once and well."""
    with server_process(tmp_path / "data") as server:
        follower = Follower(server)
        async with follower.socket() as socket, follower.stream() as events:
            await subscribe(socket)
            await hear(socket)
            await anext(events)
            server.process.terminate()
            code, _ = await closed(socket)
            assert code in (1012, 1013)
            with pytest.raises(StopAsyncIteration):
                await anext(events)
        follower.admin.close()
        assert server.process.wait(30) == 0
