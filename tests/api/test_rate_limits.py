"""Callers that ask too often, whichever way their requests take."""

from __future__ import annotations

import httpx

from statekeep.domain.names import OrganizationId
from statekeep.domain.rates import Rate
from statekeep.domain.token_exchange import anonymous_issuer
from tests.support.api import Api, Headers, running_api
from tests.support.forgery import forge


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


async def anonymous_headers(api: Api, session: str, organization_id: str) -> Headers:
    """Of somebody who exchanged a token that anybody can make, as the official client does."""
    scope = anonymous_issuer(OrganizationId(organization_id))
    said = {"aud": scope, "iss": scope, "exp": api.clock.now_s + 60, "sid": session}
    answer = await exchange(api, organization_id, forge({"alg": "HS256"}, said, organization_id))
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def exchange(api: Api, organization_id: str, token: str) -> httpx.Response:
    audience = f"https://tokens.statebacked.dev/{organization_id}/anonymous-statebacked-dev"
    return await api.client.post(
        "/tokens",
        data={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": audience,
            "subject_token": token,
        },
    )


async def open_organization(api: Api, name: str = "open") -> str:
    organization_id: str = (await api.expect(200, "POST", "/orgs", {"name": name}))["id"]
    return organization_id


async def is_let_in(api: Api, headers: Headers) -> bool:
    return (await api.get("/machines/door/i/front", headers)).status_code != 429


async def test_an_anonymous_session_has_its_own_rate() -> None:
    """However many tokens it gets, and on whichever route; another session is not held up by it."""
    async with running_api(rates={"anonymous_session": Rate(1, 2)}) as api:
        ours = await open_organization(api)
        first, again = [await anonymous_headers(api, "s1", ours) for _ in range(2)]
        other = await anonymous_headers(api, "s2", ours)
        assert await is_let_in(api, first)
        api.clock.advance(seconds=0.001)
        assert await is_let_in(api, again)
        assert not await is_let_in(api, first)
        answer = await api.request("POST", "/machines/door/i/front/events", {}, again)
        assert answer.status_code == 429
        assert "anonymous session" in answer.json()["error"]
        assert await is_let_in(api, other)
        api.clock.advance(seconds=1)
        assert await is_let_in(api, first)


async def test_new_sessions_do_not_make_room() -> None:
    """All anonymous callers of an organization have a rate together; it holds up nobody else."""
    async with running_api(rates={"anonymous_session": Rate(1, 1), "anonymous": Rate(1, 3)}) as api:
        ours, theirs = await open_organization(api), await open_organization(api, "theirs")
        visitors = [await anonymous_headers(api, f"s{number}", ours) for number in range(5)]
        assert [await is_let_in(api, visitor) for visitor in visitors] == [True] * 3 + [False] * 2
        assert await is_let_in(api, await anonymous_headers(api, "s0", theirs))
        for _ in range(5):
            assert await is_let_in(api, {**api.admin, "x-statebacked-org-id": ours})
        api.clock.advance(seconds=1)
        assert await is_let_in(api, visitors[3])
        assert not await is_let_in(api, visitors[4])


async def test_exchanges_have_a_rate() -> None:
    """Of an organization, and before the token is looked at."""
    async with running_api(rates={"token_exchange": Rate(1, 2)}) as api:
        ours, theirs = await open_organization(api), await open_organization(api, "theirs")
        await anonymous_headers(api, "s1", ours)
        assert (await exchange(api, ours, "nonsense")).status_code == 400
        refused = await exchange(api, ours, "nonsense")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        await anonymous_headers(api, "s1", theirs)
        api.clock.advance(seconds=1)
        await anonymous_headers(api, "s1", ours)


async def test_without_a_caller_there_is_nothing_to_count() -> None:
    """Health, preflight requests and refused tokens."""
    async with running_api(rates={"organization": Rate(1, 1)}) as api:
        for _ in range(3):
            assert (await api.get("/healthz", {})).status_code == 200
            assert (await api.get("/machines", {})).status_code == 401
        assert (await api.get("/machines")).status_code == 200
