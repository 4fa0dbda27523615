"""What the Python client does when its server is away, through both of its shells."""

from __future__ import annotations

import asyncio
import traceback
from pathlib import Path
from signal import SIGKILL

import pytest

from statekeep import crash_points
from statekeep.client import errors
from tests.end_to_end.python_client.machines import deploy, write
from tests.support.client_shells import PATIENCE_SECONDS, calling
from tests.support.server import free_port, server_process

EVENTS = 20


@pytest.mark.parametrize("point", [crash_points.BEFORE_COMMIT, crash_points.BEFORE_REPLY])
async def test_every_event_counts_once_over_a_crash(tmp_path: Path, shell: str, point: str) -> None:
    """Sent at once to a server that dies before it has written one of them, or before it has told: nobody notices, and each counts once."""
    data_dir, port = tmp_path / "data", free_port()
    with server_process(data_dir, port=port) as server:
        client = calling(
            shell,
            server.token,
            api_url=server.url,
            org_id=server.organization_id,
            retry_seconds=PATIENCE_SECONDS,
        )
        async with client as admin:
            board = await deploy(admin)
            await admin.call("machine_instances.create", board, "one")

            async def send(text: str) -> None:
                await admin.call("machine_instances.send_event", board, "one", write(text))

            server.process.terminate()
            await asyncio.to_thread(server.process.wait, 30)
            with server_process(data_dir, "--crash-at", point, port=port) as armed:
                sending = [asyncio.create_task(send(str(number))) for number in range(EVENTS)]
                assert await asyncio.to_thread(armed.process.wait, 30) == -SIGKILL
            with server_process(data_dir, port=port):
                await asyncio.gather(*sending)
                state = await admin.call("machine_instances.get", board, "one")
    assert state.public_context["count"] == EVENTS


async def test_a_server_that_is_not_there_is_told(shell: str) -> None:
    """In words, after as long as was said."""
    url = f"http://127.0.0.1:{free_port()}"
    async with calling(shell, "token", api_url=url, retry_seconds=0.3) as client:
        with pytest.raises(errors.NotConnectedError, match=url):
            await client.call("machines.get", "x")
        async with client.following("machine_instances.subscribe", "x", "y") as hear:
            with pytest.raises(errors.NotConnectedError):
                await hear()


async def test_an_error_shows_the_operation_and_not_how_it_was_carried_out(shell: str) -> None:
    """Whoever did not catch it looks for their own line: frames of the shells, of tenacity and of httpx would be most of the traceback."""
    url = f"http://127.0.0.1:{free_port()}"
    async with calling(shell, "token", api_url=url, retry_seconds=0) as client:
        with pytest.raises(errors.NotConnectedError) as caught:
            await client.call("machines.get", "x")
    shown = "".join(traceback.format_exception(caught.value))
    assert "in get\n" in shown
    assert "tenacity" not in shown
    assert "httpx" not in shown
    assert shown.count("/statekeep/client/") <= 8


async def test_what_a_token_function_raises_is_told_to_be_its_own(shell: str) -> None:
    """It may be the client's error, when the function asks another server."""

    def token() -> str:
        raise errors.NotFoundError("no such user")

    async with calling(shell, token, api_url=f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(errors.NotFoundError) as caught:
            await client.call("machines.get", "x")
    assert caught.value.__notes__ == ["The function that was asked for a token raised it."]
