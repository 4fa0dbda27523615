from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.client_shells import Caller, calling
from tests.support.server import RunningServer, server_process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with server_process(tmp_path_factory.mktemp("client") / "data") as server:
        yield server


@pytest.fixture(params=["blocking", "awaiting"])
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def admin(server: RunningServer, shell: str) -> AsyncIterator[Caller]:
    async with calling(
        shell, server.token, api_url=server.url, org_id=server.organization_id
    ) as caller:
        yield caller
