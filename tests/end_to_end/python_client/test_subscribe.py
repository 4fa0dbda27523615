"""Following instances with the Python client, through both of its shells."""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import pytest

from statekeep.client import errors, sign_token
from tests.end_to_end.python_client.machines import deploy, write
from tests.support.client_shells import Caller, calling
from tests.support.server import RunningServer, free_port, server_process

SUBSCRIBE = "machine_instances.subscribe"
SEND = "machine_instances.send_event"


@pytest.fixture
async def board(admin: Caller) -> str:
    """A machine with an instance "one"."""
    name = await deploy(admin)
    await admin.call("machine_instances.create", name, "one")
    return name


async def test_a_subscription_tells_every_state(admin: Caller, board: str) -> None:
    """Beginning with the state as it is."""
    await admin.call(SEND, board, "one", write("before"))
    async with admin.following(SUBSCRIBE, board, "one") as hear:
        first = await hear()
        assert (first.machine_name, first.machine_instance_name) == (board, "one")
        assert (first.revision, first.public_context["text"]) == (2, "before")
        for number in range(50):
            await admin.call(SEND, board, "one", write(str(number)))
        told = [await hear() for _ in range(50)]
    assert [update.public_context["text"] for update in told] == [*map(str, range(50))]
    assert [update.revision for update in told] == [*range(3, 53)]


async def test_a_subscription_goes_on_where_another_ended(admin: Caller, board: str) -> None:
    """After any revision, or from the very beginning."""
    for number in range(5):
        await admin.call(SEND, board, "one", write(str(number)))
    for since in (0, 3):
        async with admin.following(SUBSCRIBE, board, "one", since=since) as hear:
            told = [(await hear()).revision for _ in range(since, 6)]
        assert told == [*range(since + 1, 7)]


async def test_who_is_slow_may_have_the_newest_only(admin: Caller, board: str) -> None:
    """Never an old state after a newer one."""
    async with admin.following(SUBSCRIBE, board, "one", only_newest=True) as hear:
        told = [await hear()]
        for number in range(20):
            await admin.call(SEND, board, "one", write(str(number)))
        while told[-1].public_context["text"] != "19":
            told.append(await hear())
    revisions = [update.revision for update in told]
    assert revisions == sorted(set(revisions))


async def test_a_subscription_ends_with_a_reason(
    admin: Caller, server: RunningServer, shell: str, board: str
) -> None:
    """When there is no such instance, or none any more, when the machine says no, and when the token is worth nothing."""
    with pytest.raises(errors.NotFoundError):
        async with admin.following(SUBSCRIBE, board, "nobody") as hear:
            await hear()
    async with admin.following(SUBSCRIBE, board, "one") as hear:
        await hear()
        await admin.call(SEND, board, "one", write("secret"))
        with pytest.raises(errors.RejectedByMachineAuthorizerError):
            await hear()
    await admin.call(SEND, board, "one", write("public"))
    async with admin.following(SUBSCRIBE, board, "one") as hear:
        await hear()
        await admin.call(
            "machine_instances.dangerously.delete",
            board,
            "one",
            danger_data_will_be_deleted_forever=True,
        )
        with pytest.raises(errors.NotFoundError):
            await hear()
    async with (
        calling(shell, "nonsense", api_url=server.url) as nobody,
        nobody.following(SUBSCRIBE, board, "one") as hear,
    ):
        with pytest.raises(errors.UnauthenticatedError):
            await hear()


async def test_a_subscription_outlives_its_token(
    admin: Caller, server: RunningServer, shell: str, board: str
) -> None:
    """Where the client can have another one, nothing is missed."""
    keys = [await admin.call("keys.create", "brief", use="production") for _ in range(2)]
    asked: list[str] = []

    def token() -> str:
        key = keys[len(asked)]
        asked.append(key.id)
        return sign_token(key.id, key.key, {"sub": "ada"})

    async with (
        calling(shell, token, api_url=server.url) as user,
        user.following(SUBSCRIBE, board, "one") as hear,
    ):
        await hear()
        await admin.call("keys.delete", keys[0].id)
        for text in ("a", "b"):
            await admin.call(SEND, board, "one", write(text))
        told = [await hear() for _ in range(2)]
    assert [update.public_context["text"] for update in told] == ["a", "b"]
    assert asked == [key.id for key in keys]


@pytest.mark.parametrize(
    ("shell", "ending"),
    [("blocking", SIGKILL), ("awaiting", SIGKILL), ("awaiting", SIGTERM)],
)
async def test_nothing_is_missed_over_a_restart(
    tmp_path: Path, shell: str, ending: Signals
) -> None:
    """The same iterator goes on, with each transition exactly once and in order, when its server dies in the middle."""
    port = free_port()
    with server_process(tmp_path / "data", port=port) as server:
        arguments = (shell, server.token)
        options = {"api_url": server.url, "org_id": server.organization_id}
        async with calling(*arguments, **options) as admin:
            board = await deploy(admin)
            await admin.call("machine_instances.create", board, "one")
            async with admin.following(SUBSCRIBE, board, "one") as hear:
                told = [await hear()]
                for number in range(150):
                    await admin.call(SEND, board, "one", write(str(number)))
                told += [await hear() for _ in range(60)]
                server.process.send_signal(ending)
                await asyncio.to_thread(server.process.wait, 30)
                with server_process(tmp_path / "data", port=port):
                    for number in range(150, 300):
                        await admin.call(SEND, board, "one", write(str(number)))
                    told += [await hear() for _ in range(240)]
    assert [update.revision for update in told] == [*range(1, 302)]
    assert [update.public_context["text"] for update in told[1:]] == [*map(str, range(300))]
