"""Callers that ask too often, whichever way their requests take."""

from __future__ import annotations

from statekeep.domain.rates import Rate
from tests.support.api import running_api


async def test_every_route_counts_and_answers_alike() -> None:
    """The hot ones, the others, and those that would be refused anyway."""
    async with running_api(rates={"organization": Rate(1, 1)}) as api:
        for method, path in (
            ("GET", "/machines"),
            ("GET", "/machines/door/i/front"),
            ("POST", "/machines/door/i/front/events"),
            ("POST", "/machines/door"),
            ("POST", "/machines/door/v"),
            ("GET", "/keys"),
        ):
            api.clock.advance(seconds=60)
            assert (await api.get("/machines")).status_code == 200
            answer = await api.request(method, path)
            assert answer.status_code == 429
            assert answer.json()["code"] == "too-many-requests"
            assert int(answer.headers["retry-after"]) == 1
            assert answer.headers["cache-control"] == "no-store"


async def test_nothing_is_done_for_a_refused_request() -> None:
    """The body is not even looked at."""
    async with running_api(rates={"organization": Rate(1, 1)}) as api:
        await api.expect(201, "POST", "/machines", {"slug": "door"})
        await api.expect(429, "POST", "/machines", {"slug": "gate"})
        await api.expect(429, "POST", "/machines", "nonsense")
        api.clock.advance(seconds=60)
        listed = await api.expect(200, "GET", "/machines")
        assert [machine["slug"] for machine in listed["machines"]] == ["door"]


async def test_a_browser_may_see_when_to_come_back() -> None:
    """The header is exposed to pages."""
    async with running_api(rates={"organization": Rate(1, 1)}) as api:
        headers = {**api.admin, "origin": "https://app.example"}
        for path in ("/machines", "/machines/door/i/front"):
            await api.get("/machines")
            answer = await api.get(path, headers)
            assert answer.status_code == 429
            assert "Retry-After" in answer.headers["access-control-expose-headers"]


async def test_without_a_caller_there_is_nothing_to_count() -> None:
    """Health, preflight requests and refused tokens."""
    async with running_api(rates={"organization": Rate(1, 1)}) as api:
        for _ in range(3):
            assert (await api.get("/healthz", {})).status_code == 200
            assert (await api.get("/machines", {})).status_code == 401
        assert (await api.get("/machines")).status_code == 200
