"""What a server says of itself opens no door: neither its log at the most talkative, nor its answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import OctKey

from tests.support.deployed import OPEN_TO_ALL, deployment
from tests.support.issuers import Issuer, b64url
from tests.support.raw_http import connection, read_answer
from tests.support.secrets import require_no_secrets
from tests.support.server import RunningServer, server_process

MACHINE = (
    OPEN_TO_ALL
    + """
export default createMachine({
  context: {},
  on: {
    tell: { actions: ({ event }) => console.log(event.token, "Bearer " + event.token) },
    fail: { actions: assign(({ event }) => { throw new Error(event.token); }) },
  },
});
"""
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets") / "data"


@pytest.fixture(scope="module")
def talkative(data_dir: Path) -> Iterator[RunningServer]:
    """A server that logs all it can; its log is searched when it has ended, as is that of every server of these tests."""
    options = ("--log-level", "debug", "--log-format", "json", "--log-machine-output")
    with server_process(data_dir, *options) as server:
        yield server


def test_the_whole_life_of_a_machine(talkative: RunningServer) -> None:
    """Keys, uploads, signed ids, events, and author code that prints what it was told."""
    with deployment(talkative) as user:
        user.deploy("secrets", MACHINE)
        user.create("secrets", "one")
        user.sent("secrets", "one", {"type": "tell", "token": user.token})
        answer = httpx.post(
            f"{talkative.url}/machines/secrets/i/one/events",
            json={"event": {"type": "fail", "token": user.token}},
            headers={"authorization": f"Bearer {user.token}"},
        )
        assert answer.status_code == 422


IDP_SECRET = bytes(range(200, 240))


@pytest.fixture(scope="module")
def issuer(talkative: RunningServer) -> Issuer:
    """An identity provider of the organization that has a shared secret with it."""
    body = {
        "iss": "https://login.example.com/",
        "key": b64url(IDP_SECRET),
        "algs": ["HS256"],
        "mapping": {"sub.$": "$.sub"},
    }
    answer = httpx.post(f"{talkative.url}/idps", json=body, headers=_admin(talkative))
    assert answer.status_code == 204
    issuer = Issuer("HS256")
    issuer.key = OctKey.import_key(IDP_SECRET)
    return issuer


def test_the_exchange_of_tokens(talkative: RunningServer, issuer: Issuer) -> None:
    """Good ones, bad ones, and such as stand in the wrong field; and keys that were not taken."""
    headers = _admin(talkative)
    key = httpx.post(
        f"{talkative.url}/keys", json={"name": "app", "use": "production"}, headers=headers
    ).json()
    service = {"service": "app", "keyId": key["id"], "mapping": {"sub.$": "sub"}}
    httpx.post(f"{talkative.url}/token-providers", json=service, headers=headers).raise_for_status()
    token = issuer.sign({"iss": "https://login.example.com/", "sub": "ada"})
    assert _exchange(talkative, talkative.organization_id, token).status_code == 200
    for organization_id, subject_token in (
        (talkative.organization_id, token[:-4] + "AAAA"),
        (token, token),
        (key["key"], token),
        (b64url(IDP_SECRET), token),
        (talkative.organization_id, b64url(IDP_SECRET)),
    ):
        answer = _exchange(talkative, organization_id, subject_token)
        assert answer.status_code == 400
        assert subject_token not in answer.text
    for wrong in ({"algs": ["RS256"]}, {"aud": "x", "algs": ["HS256"], "mapping": {"a.$": "$["}}):
        body = {"aud": "x", "key": b64url(IDP_SECRET), "mapping": {}, **wrong}
        answer = httpx.post(f"{talkative.url}/idps", json=body, headers=headers)
        assert answer.status_code == 400
        assert b64url(IDP_SECRET) not in answer.text


def _admin(server: RunningServer) -> dict[str, str]:
    return {"authorization": f"Bearer {server.token}"}


def _exchange(server: RunningServer, organization_id: str, subject_token: str) -> httpx.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": f"{server.url}/{organization_id}/app",
        "subject_token": subject_token,
    }
    return httpx.post(f"{server.url}/tokens", data=form)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere?token={}"),
        ("GET", "/rt?token={}"),
        ("GET", "/machines?token={}"),
        ("GET", "/machines?cursor={}"),
        ("GET", "/machines/{}"),
        ("GET", "/uploads/{}"),
        ("POST", "/uploads/{}"),
        ("PUT", "/machines/secrets/v/{}"),
        ("POST", "/machines/secrets/i/one/events?token={}"),
        ("DELETE", "/keys/{}"),
        ("PATCH", "/?access_token={}"),
    ],
)
def test_answers_do_not_repeat_tokens(talkative: RunningServer, method: str, path: str) -> None:
    """Wherever a caller puts one, good or bad; answers are pasted into reports."""
    broken = talkative.token[:-4] + "AAAA"
    for token in (talkative.token, broken):
        for headers in ({}, {"authorization": f"Bearer {token}"}):
            answer = httpx.request(method, talkative.url + path.format(token), headers=headers)
            assert token not in answer.text
            assert token not in repr(answer.headers)


def test_what_is_no_http_is_not_repeated(talkative: RunningServer) -> None:
    """Neither what came before the mistake."""
    with connection(talkative.url) as connected:
        connected.sendall(f"GET /rt?token={talkative.token} HTTP/1.1\r\nx y\r\n\r\n".encode())
        assert talkative.token.encode() not in read_answer(connected).body


@pytest.mark.parametrize(
    "kind", ["token", "signature", "shape", "secret", "key", "issuer", "bytes", "hex"]
)
def test_the_search_finds_what_it_is_for(
    talkative: RunningServer, data_dir: Path, issuer: Issuer, kind: str
) -> None:
    """A search that finds nothing may as well be blind."""
    planted = {
        "token": talkative.token,
        "signature": talkative.token.rpartition(".")[2],
        "shape": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln",
        "secret": "sbsec_abc",
        "key": base64.b64encode((data_dir / "server.key").read_bytes()).decode(),
        "issuer": b64url(IDP_SECRET),
        "bytes": repr(IDP_SECRET),
        "hex": IDP_SECRET.hex(),
    }[kind]
    require_no_secrets("a line\nanother", data_dir)
    with pytest.raises(pytest.fail.Exception, match="line 2"):
        require_no_secrets(f"a line\nthe value is {planted}", data_dir)
