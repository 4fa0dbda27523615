"""Identity providers, token providers and the exchange of tokens over HTTP."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog

from statekeep.domain import limits
from statekeep.domain.token_exchange import anonymous_issuer
from tests.support.api import Api, Headers, running_api
from tests.support.forgery import forge
from tests.support.issuers import Issuer, b64url, key_set, key_set_server

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ISS, AUD = "https://login.example.com/", "https://app.example.com"
MAPPING = {"sub.$": "$.sub", "email.$": "$.email", "provider": "login"}
RSA, HS = Issuer("RS256"), Issuer("HS256")


def claims(api: Api, **more: Any) -> dict[str, Any]:
    said = {"iss": ISS, "aud": AUD, "sub": "ada", "email": "a@example.com"}
    return {**said, "exp": api.clock.now_s + 60, **more}


def payload_of(token: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return payload


async def organization_of(api: Api, headers: Headers | None = None) -> str:
    listed = await api.expect(200, "GET", "/orgs", headers=headers)
    organization_id: str = listed["orgs"][0]["id"]
    return organization_id


async def put_idp(api: Api, issuer: Issuer = RSA, **more: Any) -> None:
    body = {"aud": AUD, "iss": ISS, "key": issuer.configured, "algs": [issuer.algorithm]}
    body = {name: value for name, value in (body | {"mapping": MAPPING} | more).items() if value}
    await api.expect(204, "POST", "/idps", body)


async def put_service(api: Api, service: str = "app", **more: Any) -> str:
    key = await api.expect(200, "POST", "/keys", {"name": service, "use": "production"})
    body = {
        "keyId": key["id"],
        "service": service,
        "mapping": {"sub.$": "sub", "from.$": "$.provider"},
    }
    await api.expect(204, "POST", "/token-providers", body | more)
    key_id: str = key["id"]
    return key_id


async def post_form(api: Api, **form: str) -> httpx.Response:
    return await api.client.post("/tokens", data=form)


async def ask(
    api: Api, token: str, service: str = "app", organization_id: str | None = None, **more: str
) -> httpx.Response:
    organization_id = organization_id or await organization_of(api)
    audience = f"https://tokens.statebacked.dev/{organization_id}/{service}"
    form = {"grant_type": GRANT, "audience": audience, "subject_token": token}
    return await post_form(api, **(form | more))


async def exchange(api: Api, token: str, service: str = "app") -> Headers:
    answer = await ask(api, token, service)
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def refused(answer: httpx.Response, error: str, status: int = 400) -> str:
    """As RFC 6749 and the official client want it; returns what people are told."""
    body = answer.json()
    assert (answer.status_code, body["error"], body["code"]) == (status, error, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    description: str = body["error_description"]
    return description


@pytest.fixture
async def local() -> AsyncIterator[Api]:
    """An API that may fetch key sets from this machine."""
    async with running_api(allow_private_network=True) as api:
        yield api


class TestProviders:
    async def test_identity_providers_are_listed_without_their_keys(self, api: Api) -> None:
        """Newest first, what is open left out. A key is sealed where it is kept."""
        await put_idp(api, HS, aud=None)
        await put_idp(api, RSA, key=None, jwksUrl="https://login.example.com/jwks.json")
        assert (await api.expect(200, "GET", "/idps")) == {
            "idps": [
                {
                    "aud": AUD,
                    "iss": ISS,
                    "algs": ["RS256"],
                    "jwksUrl": "https://login.example.com/jwks.json",
                    "mapping": MAPPING,
                },
                {"iss": ISS, "algs": ["HS256"], "mapping": MAPPING},
            ]
        }
        organization_id = await organization_of(api)
        page = await api.store.list_identity_providers(organization_id, cursor=None)  # type: ignore[arg-type]
        sealed = page.items[1].sealed_key
        assert sealed is not None
        assert HS.configured.encode() not in sealed

    @pytest.mark.parametrize(
        ("change", "parameter"),
        [
            ({"aud": "", "iss": ""}, "aud"),
            ({"aud": "x" * (limits.PROVIDER_TEXT_LENGTH_MAX + 1)}, "aud"),
            ({"iss": "a\nb"}, "iss"),
            ({"key": None}, "key"),
            ({"jwksUrl": "https://login.example.com/k"}, "key"),
            ({"algs": []}, "algs"),
            ({"algs": ["none"]}, "algs"),
            ({"algs": ["HS256", "RS256"]}, "algs"),
            ({"algs": ["HS256"]}, "key"),
            ({"algs": ["ES256"]}, "key"),
            ({"key": b64url(RSA.key.as_pem(private=True))}, "key"),
            ({"key": None, "jwksUrl": "http://login.example.com/k"}, "jwksUrl"),
            ({"key": None, "jwksUrl": "https://127.0.0.1/k"}, "jwksUrl"),
            ({"key": None, "jwksUrl": "https://a.example/k", "algs": ["HS256"]}, "jwksUrl"),
            ({"mapping": []}, "mapping"),
            ({"mapping": {"a.$": "$["}}, "mapping"),
            ({"mapping": {"a": "x" * limits.MAPPING_SIZE_MAX}}, "mapping"),
        ],
    )
    async def test_bad_identity_providers_are_refused(
        self, api: Api, change: dict[str, Any], parameter: str
    ) -> None:
        """400 that names the parameter; nothing changed."""
        body = {"aud": AUD, "iss": ISS, "key": RSA.configured, "algs": ["RS256"], "mapping": {}}
        error = await api.expect(400, "POST", "/idps", body | change)
        assert error["parameter"] == parameter
        assert await api.expect(200, "GET", "/idps") == {"idps": []}

    async def test_token_providers_are_put_and_listed(self, api: Api) -> None:
        """Putting one again changes it; its key has to be one of ours."""
        await put_service(api, "first")
        await put_service(api, "second")
        key_id = await put_service(api, "first", mapping={})
        listed = (await api.expect(200, "GET", "/token-providers"))["tokenProviders"]
        assert [provider["service"] for provider in listed] == ["second", "first"]
        assert listed[1] == {"service": "first", "keyId": key_id, "mapping": {}}
        eve = await api.new_member("eve")
        for body, parameter in (
            ({"keyId": "sbk_none"}, "keyId"),
            ({"service": "a/b"}, "service"),
            ({"mapping": {"a.$": 1}}, "mapping"),
        ):
            good = {"keyId": key_id, "service": "x", "mapping": {}}
            error = await api.expect(400, "POST", "/token-providers", good | body)
            assert error["parameter"] == parameter
            error = await api.expect(400, "POST", "/token-providers", good, headers=eve)
            assert error["parameter"] == "keyId"

    async def test_end_users_do_not_become_admins_by_somebody_who_is_none(self, api: Api) -> None:
        """A key with an administrative scope is given to a service by whoever has that scope."""
        strong = await api.expect(200, "POST", "/keys", {"name": "x", "scopes": ["org.write"]})
        body = {"keyId": strong["id"], "service": "x", "mapping": {}}
        weak = await api.new_key("tokens.admin")
        error = await api.expect(403, "POST", "/token-providers", body, headers=weak)
        assert error["code"] == "missing-scope"
        await api.expect(204, "POST", "/token-providers", body)

    async def test_what_is_deleted_is_gone(self, api: Api) -> None:
        """204, then 404; others never saw it."""
        await put_idp(api)
        await put_service(api)
        eve = await api.new_member("eve")
        pair = {"aud": AUD, "iss": ISS}
        for path, body in (("/idps", pair), ("/token-providers/app", None)):
            await api.expect(404, "DELETE", path, body, headers=eve)
            await api.expect(204, "DELETE", path, body)
            await api.expect(404, "DELETE", path, body)
        await api.expect(404, "DELETE", "/idps", {"iss": ISS})
        await api.expect(400, "DELETE", "/idps", {})


class TestExchange:
    async def test_a_token_is_exchanged(self, api: Api) -> None:
        """The claims go through both mappings; what comes back is good for a while, and says for how long."""
        await put_idp(api)
        key_id = await put_service(api)
        answer = await ask(api, RSA.sign(claims(api)))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        token = body.pop("access_token")
        valid_for = int(limits.EXCHANGED_TOKEN_VALID_FOR.total_seconds())
        assert body == {
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": valid_for,
        }
        payload = payload_of(token)
        assert payload["act"] == {"sub": "ada", "from": "login"}
        assert payload["exp"] - payload["iat"] == valid_for
        assert payload["aud"] == "https://api.statebacked.dev/"
        assert "sub" not in payload
        assert json.loads(urlsafe_b64decode(token.split(".")[0] + "=="))["kid"] == key_id
        headers = {"authorization": f"Bearer {token}"}
        await api.new_machine()
        await api.expect(200, "POST", "/machines/door", {"slug": "front"}, headers=headers)
        await api.expect(403, "GET", "/machines", headers=headers)

    @pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA", "HS256"])
    async def test_every_kind_of_signature_works(self, api: Api, algorithm: str) -> None:
        """With a key that was configured."""
        issuer = Issuer(algorithm)
        await put_idp(api, issuer)
        await put_service(api)
        await exchange(api, issuer.sign(claims(api)))

    async def test_our_own_url_names_a_service_too(self, api: Api) -> None:
        """And both types of token that ours are can be asked for."""
        await put_idp(api)
        await put_service(api)
        own = f"http://statekeep.test/{await organization_of(api)}/app"
        for kind in (ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt"):
            token = RSA.sign(claims(api))
            answer = await ask(api, token, audience=own, requested_token_type=kind)
            assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"grant_type": ""}, "invalid_request"),
            ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
            ({"subject_token": ""}, "invalid_request"),
            ({"subject_token": "x"}, "invalid_request"),
            ({"requested_token_type": "urn:x"}, "invalid_request"),
            ({"audience": ""}, "invalid_request"),
            ({"audience": "org_x/app"}, "invalid_target"),
            ({"audience": "https://tokens.statebacked.dev/org_x"}, "invalid_target"),
            ({"audience": "https://tokens.statebacked.dev/org_x/app/x"}, "invalid_target"),
            ({"audience": "https://tokens.statebacked.dev.evil.example/o/s"}, "invalid_target"),
        ],
    )
    async def test_bad_requests_are_refused(
        self, api: Api, change: dict[str, str], error: str
    ) -> None:
        """With the code of the RFC."""
        await refused(await ask(api, RSA.sign(claims(api)), **change), error)

    async def test_only_a_form_is_a_request(self, api: Api) -> None:
        """Of a bounded size, each parameter once."""
        for headers, body in (
            ({"content-type": "application/json"}, "{}"),
            ({}, "grant_type=x"),
            ({"content-type": "application/x-www-form-urlencoded"}, "grant_type=a&grant_type=b"),
            ({"content-type": "application/x-www-form-urlencoded"}, "&".join(["a=b"] * 100)),
            ({"content-type": "application/x-www-form-urlencoded"}, "grant_type=%ff"),
        ):
            answer = await api.client.post("/tokens", content=body, headers=headers)
            await refused(answer, "invalid_request")
        huge = "x" * (limits.TOKEN_REQUEST_BYTES_MAX + 1)
        assert (await post_form(api, subject_token=huge)).status_code == 413

    async def test_strangers_cannot_tell_what_exists(self, api: Api) -> None:
        """Unknown organization, unknown service, unknown provider, wrong key: the same answer to the letter."""
        await put_idp(api)
        await put_service(api)
        forged = Issuer("RS256").sign(claims(api))
        unknown = RSA.sign(claims(api, iss="https://elsewhere.example.com/"))
        unsigned = forge({"alg": "none"}, claims(api), "")
        answers = [
            await ask(api, forged),
            await ask(api, forged, "nothing"),
            await ask(api, forged, organization_id="org_none"),
            await ask(api, forged, "nothing", "org_none"),
            await ask(api, unknown),
            await ask(api, unsigned),
            await ask(api, RSA.sign(claims(api)), organization_id="org_none"),
        ]
        assert len({answer.text for answer in answers}) == 1
        await refused(answers[0], "invalid_request")

    @pytest.mark.parametrize("name", ["x" * 10_000, RSA.sign({"sub": "ada"}), "org_x y", "sbsec_x"])
    async def test_what_strangers_call_an_organization_is_not_logged(
        self, api: Api, name: str
    ) -> None:
        """It may be a token that somebody put into the wrong field, or as long as a form may be."""
        with structlog.testing.capture_logs() as logs:
            await refused(await ask(api, RSA.sign(claims(api)), "app", name), "invalid_request")
        assert [entry["event"] for entry in logs] == ["token_exchange_refused"]
        assert name not in str(logs)
        assert len(str(logs)) < 500

    async def test_what_is_an_organization_is_logged(self, api: Api) -> None:
        """Its operator looks for it."""
        organization_id = await organization_of(api)
        with structlog.testing.capture_logs() as logs:
            await ask(api, RSA.sign(claims(api)))
        assert logs[0]["organization"] == organization_id

    @pytest.mark.parametrize("change", [{"aud": "other"}, {"iss": "x"}, {"aud": []}, {"iss": None}])
    async def test_a_token_for_somebody_else_is_refused(
        self, api: Api, change: dict[str, Any]
    ) -> None:
        """However rightly it is signed."""
        await put_idp(api)
        await put_service(api)
        said = {name: value for name, value in (claims(api) | change).items() if value is not None}
        await refused(await ask(api, RSA.sign(said)), "invalid_request")

    async def test_times_are_told_to_whoever_has_a_genuine_token(self, api: Api) -> None:
        """Expired, not yet valid, from the future."""
        await put_idp(api)
        await put_service(api)
        for change in ({"exp": 1}, {"nbf": 4e9}, {"iat": 4e9}):
            answer = await ask(api, RSA.sign(claims(api, **change)))
            assert next(iter(change)) in await refused(answer, "invalid_request")

    async def test_a_service_that_is_not_there_is_told_to_users(self, api: Api) -> None:
        """They are known. The same where its key was deleted."""
        await put_idp(api)
        key_id = await put_service(api)
        await refused(await ask(api, RSA.sign(claims(api)), "other"), "invalid_target")
        await api.expect(204, "DELETE", f"/keys/{key_id}")
        await refused(await ask(api, RSA.sign(claims(api))), "invalid_target")

    async def test_providers_of_others_vouch_for_nobody_here(self, api: Api) -> None:
        """Each organization trusts whom it configured."""
        await put_idp(api)
        await put_service(api)
        eve = await api.new_member("eve")
        theirs = await organization_of(api, eve)
        token = RSA.sign(claims(api))
        await refused(await ask(api, token, organization_id=theirs), "invalid_request")

    async def test_the_most_specific_provider_decides(self, api: Api) -> None:
        """And no other: a token that it does not accept is not tried with the next."""
        by_issuer, by_audience = Issuer("RS256"), Issuer("ES256")
        await put_service(api, mapping={"from.$": "$.from"})
        await put_idp(api, RSA, mapping={"from": "both"})
        await put_idp(api, by_issuer, aud=None, mapping={"from": "iss"})
        await put_idp(api, by_audience, iss=None, mapping={"from": "aud"})
        for issuer, change, expected in (
            (RSA, {}, "both"),
            (RSA, {"aud": ["x", AUD]}, "both"),
            (by_issuer, {"aud": "x"}, "iss"),
            (by_audience, {"iss": "x"}, "aud"),
        ):
            headers = await exchange(api, issuer.sign(claims(api, **change)))
            assert payload_of(headers["authorization"])["act"] == {"from": expected}
        await refused(await ask(api, by_issuer.sign(claims(api))), "invalid_request")

    async def test_claims_that_are_too_large_are_refused(self, api: Api) -> None:
        """A token that nobody would accept is not made."""
        await put_idp(api)
        await put_service(api)
        answer = await ask(api, RSA.sign(claims(api, sub="x" * limits.TOKEN_BYTES_MAX)))
        assert "large" in await refused(answer, "invalid_request")


class TestKeySets:
    async def test_published_keys_are_used(self, local: Api) -> None:
        """Any of them, and a new one as soon as a token names it."""
        old, new = Issuer("RS256", "old"), Issuer("ES256", "new")
        async with key_set_server() as server:
            server.body = key_set(old, RSA)
            await put_service(local)
            await put_idp(local, key=None, jwksUrl=server.url, algs=["RS256", "ES256"])
            await exchange(local, old.sign(claims(local)))
            await exchange(local, RSA.sign(claims(local)))
            await refused(await ask(local, new.sign(claims(local))), "invalid_request")
            server.body = key_set(new)
            local.clock.advance(seconds=limits.JWKS_REFRESHED_AFTER.total_seconds())
            await exchange(local, new.sign(claims(local)))
            await refused(await ask(local, old.sign(claims(local))), "invalid_request")
            assert len(server.requests) == 2

    async def test_keys_that_cannot_be_had_are_a_matter_of_time(self, local: Api) -> None:
        """503 that says when to come back and nothing of the reason."""
        async with key_set_server() as server:
            server.body = b"x" * (limits.JWKS_BYTES_MAX + 1)
            await put_service(local)
            await put_idp(local, key=None, jwksUrl=server.url)
            for _ in range(3):
                answer = await ask(local, RSA.sign(claims(local)))
                text = await refused(answer, "temporarily_unavailable", 503)
                assert server.url not in text
                assert int(answer.headers["retry-after"]) > 0
            assert len(server.requests) == 1
            server.body = key_set(RSA)
            local.clock.advance(seconds=limits.JWKS_RETRIED_AFTER.total_seconds())
            await exchange(local, RSA.sign(claims(local)))

    async def test_names_of_private_addresses_are_not_reached(self, api: Api) -> None:
        """A name says nothing of what it stands for; the address that is connected to does."""
        async with key_set_server() as server:
            server.body = key_set(RSA)
            await put_service(api)
            url = server.url.replace("http://localhost", "https://localhost.")
            await put_idp(api, key=None, jwksUrl=url)
            answer = await ask(api, RSA.sign(claims(api)))
            await refused(answer, "temporarily_unavailable", 503)
            assert server.requests == []


class TestRevocation:
    @pytest.fixture
    async def user(self, api: Api) -> Headers:
        """Somebody whose token was exchanged and has been used."""
        await put_idp(api)
        await put_service(api)
        headers = await exchange(api, RSA.sign(claims(api)))
        await api.expect(403, "GET", "/machines", headers=headers)
        return headers

    async def test_a_deleted_identity_provider_ends_its_tokens(
        self, api: Api, user: Headers
    ) -> None:
        """At once, and for ever: putting the same one again does not bring them back."""
        await api.expect(204, "DELETE", "/idps", {"aud": AUD, "iss": ISS})
        await api.expect(401, "GET", "/machines", headers=user)
        await refused(await ask(api, RSA.sign(claims(api))), "invalid_request")
        await put_idp(api)
        await api.expect(401, "GET", "/machines", headers=user)

    async def test_a_deleted_token_provider_ends_its_tokens(self, api: Api, user: Headers) -> None:
        """And nobody gets another."""
        await api.expect(204, "DELETE", "/token-providers/app")
        await api.expect(401, "GET", "/machines", headers=user)
        await refused(await ask(api, RSA.sign(claims(api))), "invalid_target")

    async def test_a_deleted_key_ends_its_tokens(self, api: Api, user: Headers) -> None:
        """As it does for those that a back end signed."""
        key_id = (await api.expect(200, "GET", "/keys"))["keys"][0]["id"]
        await api.expect(204, "DELETE", f"/keys/{key_id}")
        await api.expect(401, "GET", "/machines", headers=user)

    @pytest.mark.parametrize(
        "change",
        [
            {"key": Issuer("RS256").configured},
            {"algs": ["RS256", "PS256"]},
            {"key": None, "jwksUrl": "https://login.example.com/jwks.json"},
        ],
        ids=["key", "algs", "jwksUrl"],
    )
    async def test_other_trust_ends_tokens(
        self, api: Api, user: Headers, change: dict[str, Any]
    ) -> None:
        """They may have been got with the key that leaked."""
        await put_idp(api, **change)
        await api.expect(401, "GET", "/machines", headers=user)

    async def test_another_mapping_ends_nothing(self, api: Api, user: Headers) -> None:
        """Those who come later get other claims."""
        await put_idp(api, mapping={"provider": "changed"})
        await put_service(api, "app")
        await api.expect(403, "GET", "/machines", headers=user)

    async def test_a_token_has_its_end(self, api: Api, user: Headers) -> None:
        """Always: else no client would ever ask for a new one."""
        api.clock.advance(seconds=limits.EXCHANGED_TOKEN_VALID_FOR.total_seconds() + 10)
        await api.expect(401, "GET", "/machines", headers=user)


class TestAnonymous:
    SERVICE = "anonymous-statebacked-dev"

    async def open_organization(self, api: Api, **body: Any) -> tuple[str, Headers]:
        made = await api.expect(200, "POST", "/orgs", {"name": "open", **body})
        return made["id"], {**api.admin, "x-statebacked-org-id": made["id"]}

    def sign(self, api: Api, organization_id: str, **more: Any) -> str:
        """As the official client does."""
        scope = anonymous_issuer(organization_id)  # type: ignore[arg-type]
        exp = api.clock.now_s + 86_400
        said = {"aud": scope, "iss": scope, "exp": exp, "sid": "s1", "did": "d1"}
        said = {name: value for name, value in (said | more).items() if value is not None}
        return forge({"alg": "HS256", "typ": "JWT"}, said, organization_id)

    async def test_anybody_gets_an_anonymous_token(self, api: Api) -> None:
        """With session and device, told apart from everybody else, and with the scopes of a production key."""
        organization_id, admin = await self.open_organization(api)
        token = self.sign(api, organization_id)
        answer = await ask(api, token, self.SERVICE, organization_id)
        access = answer.json()["access_token"]
        assert payload_of(access)["act"] == {"sid": "s1", "did": "d1", "auth": "anonymous"}
        caller = await api.services.authenticator.authenticate(
            f"Bearer {access}".encode(), None, None
        )
        assert caller.anonymous_session == "s1"
        assert caller.scopes == {"events.write", "state.read", "instances.write", "indexes.read"}
        assert len((await api.expect(200, "GET", "/keys", headers=admin))["keys"]) == 1
        assert len((await api.expect(200, "GET", "/idps", headers=admin))["idps"]) == 1

    async def test_nothing_else_can_be_claimed(self, api: Api) -> None:
        """Whatever the token says, and even if the mappings are changed to let it through."""
        organization_id, admin = await self.open_organization(api)
        wish = {"sub": "ada", "auth": "admin", "role": "admin", "act": {"sub": "ada"}}
        token = self.sign(api, organization_id, **wish)
        expected = {"sid": "s1", "did": "d1", "auth": "anonymous"}
        answer = await ask(api, token, self.SERVICE, organization_id)
        assert payload_of(answer.json()["access_token"])["act"] == expected
        scope = anonymous_issuer(organization_id)  # type: ignore[arg-type]
        key = b64url(organization_id.encode())
        open_wide = {"aud": scope, "iss": scope, "algs": ["HS256"], "key": key}
        body = {**open_wide, "mapping": {"all.$": "$", "sub.$": "$.sub", "sid.$": "$.sid"}}
        await api.expect(204, "POST", "/idps", body, headers=admin)
        answer = await ask(api, token, self.SERVICE, organization_id)
        assert payload_of(answer.json()["access_token"])["act"] == {
            "sid": "s1",
            "auth": "anonymous",
        }

    @pytest.mark.parametrize("pair", [{"aud": "app"}, {"iss": "https://x"}])
    async def test_the_id_of_an_organization_is_no_secret(
        self, api: Api, pair: dict[str, Any]
    ) -> None:
        """It is the key of anonymous tokens: under another issuer everybody could claim everything."""
        organization_id, admin = await self.open_organization(api)

        key = b64url(organization_id.encode())
        body = {**pair, "algs": ["HS256"], "key": key, "mapping": MAPPING}
        answer = await api.expect(400, "POST", "/idps", body, headers=admin)
        assert answer["parameter"] == "key"

    @pytest.mark.parametrize(
        "change", [{"sid": None}, {"sid": 7}, {"sid": ""}, {"sid": "x" * 201}, {"did": ["x"]}]
    )
    async def test_sessions_and_devices_are_short_texts(
        self, api: Api, change: dict[str, Any]
    ) -> None:
        """And a session there must be: limits go by it."""
        organization_id, _ = await self.open_organization(api)
        token = self.sign(api, organization_id, **change)
        await refused(await ask(api, token, self.SERVICE, organization_id), "invalid_request")

    async def test_other_services_are_not_for_the_anonymous(self, api: Api) -> None:
        """Their mappings may say of all their users what is not true of everybody."""
        organization_id, admin = await self.open_organization(api)
        key = (await api.expect(200, "GET", "/keys", headers=admin))["keys"][0]["id"]
        body = {"keyId": key, "service": "app", "mapping": {"tenant": "acme"}}
        await api.expect(204, "POST", "/token-providers", body, headers=admin)
        token = self.sign(api, organization_id)
        known = await refused(await ask(api, token, "app", organization_id), "invalid_target")
        unknown = await refused(await ask(api, token, "none", organization_id), "invalid_target")
        assert known == unknown

    async def test_an_organization_can_do_without(self, api: Api) -> None:
        """From the start, or by deleting the providers later, which ends the tokens there are."""
        closed, admin = await self.open_organization(api, allowAnonymousAccess=False)
        token = self.sign(api, closed)
        await refused(await ask(api, token, self.SERVICE, closed), "invalid_request")
        assert await api.expect(200, "GET", "/keys", headers=admin) == {"keys": []}
        opened, admin = await self.open_organization(api)
        answer = await ask(api, self.sign(api, opened), self.SERVICE, opened)
        headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        await api.expect(403, "GET", "/machines", headers=headers)
        await api.expect(204, "DELETE", f"/token-providers/{self.SERVICE}", headers=admin)
        await api.expect(401, "GET", "/machines", headers=headers)

    async def test_only_the_exchange_makes_a_caller_anonymous(self, api: Api) -> None:
        """Not what a back end, or an identity provider, says of a user."""
        headers = await api.new_key("state.read", auth="anonymous", sid="s1")
        await put_idp(api, mapping={"auth": "anonymous", "sid": "s1"})
        await put_service(api, mapping={"auth.$": "$.auth", "sid.$": "$.sid"})
        for each in (headers, await exchange(api, RSA.sign(claims(api)))):
            caller = await api.services.authenticator.authenticate(
                each["authorization"].encode(), None, None
            )
            assert b'"anonymous"' in caller.claims
            assert caller.anonymous_session is None
