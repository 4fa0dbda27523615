from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.api import Api, running_api


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with running_api() as api:
        yield api


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give the tests of Schemathesis ids of their own: they share one, and pytest-xdist would run the last of them only."""
    operation = getattr(item, "operation_label", None)
    if operation is not None:
        item._id = item.id.with_params(operation)
