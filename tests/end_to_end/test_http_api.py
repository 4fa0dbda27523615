"""Endpoints of machines, asked by whatever speaks HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from statekeep.domain.limits import HTTP_MAPPING_TIMEOUT
from tests.support.deployed import Deployment, deployment
from tests.support.raw_http import Answer, connection, read_answer
from tests.support.server import RunningServer, server_process

ORDERS = """
import { assign, createMachine } from "npm:xstate@%(major)s";

const secret = "a secret of the shop";
const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function signatureOf(text) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, ["sign"]);
  return hex(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text)));
}

const take = %(take)s;
export default createMachine({
  id: "order", initial: "pending", context: { buyer: null, items: [], public: {} },
  states: {
    pending: { on: { place: { target: "placed", actions: assign(take) } } },
    placed: { on: { pay: "paid" } },
    paid: { type: "final", data: (context) => ({ sold: context.items }) },
  },
  output: ({ context }) => ({ sold: context.items }),
  on: { note: {} },
});

export const allowRead = () => false;
export const allowWrite = ({ context, authContext }) => authContext.buyer !== undefined && authContext.buyer === context.buyer;

const byMachine = (name, event, buyer) => ({ machineInstanceName: name, event, authContext: { buyer } });
const shown = ({ state, context, result }) => ({
  statusCode: state === "pending" ? 202 : 200,
  headers: { "content-type": "application/vnd.shop+json", "X-State": state, "Set-Cookie": "a=b" },
  body: { state, items: context.items, result },
});

export const httpApiMapper = {
  place: {
    handler: ({ method, headers, body, query }) => {
      if (method !== "POST") throw new Error("Method not allowed");
      const buyer = headers["x-buyer"];
      if (!buyer) throw new Error("Who are you?");
      return {
        ...byMachine(body.order, { type: "place", items: body.items }, buyer),
        initialContext: { buyer: query.for ?? buyer },
      };
    },
    responseMapper: shown,
  },
  pay: {
    handler: async ({ body, rawBody, headers }) => {
      if (headers["x-signature"] !== await signatureOf(rawBody)) throw new Error("The signature is wrong");
      const form = new URLSearchParams(body);
      return byMachine(form.get("order"), "pay", form.get("buyer"));
    },
    responseMapper: async (settled) => shown(settled),
  },
  picture: {
    handler: ({ body, headers }) => ({
      ...byMachine("pictures", { type: "note" }, "all"),
      initialContext: { buyer: "all", bytes: [...body], type: headers["content-type"] },
    }),
    responseMapper: ({ context: { bytes, type } }) =>
      ({ statusCode: 200, headers: { "content-type": type }, body: new Uint8Array(bytes) }),
  },
  form: {
    handler: async ({ body, headers }) => {
      const form = await new Response(body, { headers: { "content-type": headers["content-type"] } }).formData();
      const note = { type: "note" };
      const initialContext = { buyer: "all", file: await form.get("file").text(), word: form.get("word") };
      return { ...byMachine("forms", note, "all"), initialContext };
    },
    responseMapper: ({ context: { file, word } }) => ({ statusCode: 200, headers: {}, body: `${word}: ${file}` }),
  },
  anywhere: {
    handler: ({ method, headers }) => ({
      ...byMachine("anywhere", { type: "note" }, "all"), initialContext: { buyer: "all" },
    }),
    responseMapper: () => ({
      statusCode: 204,
      headers: { "access-control-allow-origin": "https://shop.example", "access-control-allow-methods": "PURGE" },
    }),
  },
  page: {
    handler: () => ({ ...byMachine("page", "note", "all"), initialContext: { buyer: "all" } }),
    responseMapper: () => ({ statusCode: 200, headers: { "content-type": "text/html" }, body: "<script>alert(1)</script>" }),
  },
  fetches: {
    handler: async () => {
      await fetch("http://127.0.0.1:1/");
      return byMachine("n", "note", "all");
    },
  },
  nonsense: { handler: () => 5 },
  wide: { handler: () => byMachine("not/a/name", "note", "all") },
  silent: { handler: () => ({ ...byMachine("silent", "note", "all"), initialContext: { buyer: "all" } }) },
  torn: {
    handler: () => ({ ...byMachine("torn", "note", "all"), initialContext: { buyer: "all" } }),
    responseMapper: () => ({ statusCode: 200, headers: { "x-a": "1\\r\\nx-b: 2" }, body: "x" }),
  },
  huge: {
    handler: () => ({ ...byMachine("huge", "note", "all"), initialContext: { buyer: "all" } }),
    responseMapper: () => ({ statusCode: 200, headers: {}, body: "x".repeat(2e6) }),
  },
  loop: { handler: () => { for (;;); } },
  never: { handler: () => new Promise(() => {}) },
  loopAfter: {
    handler: () => ({ ...byMachine("after", "note", "all"), initialContext: { buyer: "all" } }),
    responseMapper: () => { for (;;); },
  },
};
"""
TAKE = {
    4: "{ items: (_, event) => event.items }",
    5: "{ items: ({ event }) => event.items }",
}
ACCEPTED = {"ok": True}


class Shop:
    """The endpoints of a deployed machine."""

    def __init__(self, server: RunningServer, machine: str, http: httpx.Client) -> None:
        self.server = server
        self.machine = machine
        self.path = f"/http-api/{server.organization_id}/machines/{machine}"
        self._http = http

    def ask(self, slug: str, method: str = "POST", **more: Any) -> httpx.Response:
        """The answer of an endpoint."""
        return self._http.request(method, f"{self.path}/{slug}", **more)

    def place(self, order: str, buyer: str = "ada", **more: Any) -> httpx.Response:
        body = {"order": order, "items": ["tea"]}
        return self.ask("place", json=body, headers={"x-buyer": buyer}, **more)

    def raw(self, request: bytes) -> Answer:
        """The answer to a request as it is."""
        with connection(self.server.url) as connected:
            connected.sendall(request)
            return read_answer(connected)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("http-api")
    return folder / "data.log"


@pytest.fixture(scope="module")
def server(logs: Path) -> Iterator[RunningServer]:
    options = ("--step-timeout", "1s", "--log-machine-output")
    with server_process(logs.with_suffix(""), *options) as server:
        yield server


@pytest.fixture(scope="module")
def deployed(server: RunningServer) -> Iterator[Deployment]:
    with deployment(server) as deployed:
        for major in (4, 5):
            deployed.deploy(f"orders{major}", ORDERS % {"major": major, "take": TAKE[major]})
        yield deployed


@pytest.fixture(scope="module", params=[4, 5])
def shop(request: Any, server: RunningServer, deployed: Deployment) -> Iterator[Shop]:
    with httpx.Client(base_url=server.url, timeout=60) as http:
        yield Shop(server, f"orders{request.param}", http)


def signed(body: bytes) -> str:
    return hmac.new(b"a secret of the shop", body, hashlib.sha256).hexdigest()


def test_an_order_is_placed_and_paid(shop: Shop, deployed: Deployment) -> None:
    """JSON first, then a signed form of a payment service: from the creation to the output of the final state."""
    placed = shop.place("order-1")
    assert placed.status_code == 200
    assert placed.json() == {"state": "placed", "items": ["tea"], "result": None}
    assert placed.headers["content-type"] == "application/vnd.shop+json"
    assert placed.headers["x-state"] == "placed"
    assert "set-cookie" not in placed.headers
    form = b"order=order-1&buyer=ada&amount=12%2C50"
    paid = shop.ask(
        "pay",
        content=form,
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-signature": signed(form),
        },
    )
    assert paid.json() == {"state": "paid", "items": ["tea"], "result": {"sold": ["tea"]}}
    kinds = [each["event"]["type"] for each in deployed.journal(shop.machine, "order-1")]
    assert kinds[-2:] == ["place", "pay"]


def test_who_is_refused_leaves_nothing_behind(shop: Shop, deployed: Deployment) -> None:
    """By the handler, which says why; by allowWrite; for want of an instance."""
    nobody = shop.ask("place", json={"order": "none", "items": []})
    assert (nobody.status_code, nobody.json()["error"]) == (400, "Who are you?")
    assert nobody.json()["code"] == "http-handler-failed"
    forged = shop.ask("pay", content=b"order=order-1", headers={"content-type": "text/plain"})
    assert (forged.status_code, forged.json()["error"]) == (400, "The signature is wrong")
    denied = shop.place("none", params={"for": "bob"})
    assert (denied.status_code, denied.json()["code"]) == (403, "rejected-by-machine-authorizer")
    form = b"order=none&buyer=ada"
    missing = shop.ask(
        "pay", content=form, headers={"content-type": "text/plain", "x-signature": signed(form)}
    )
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    with pytest.raises(AssertionError):
        deployed.journal(shop.machine, "none")
    broken = shop.ask("place", content="{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["parameter"]) == (400, "body")


def test_what_the_runtime_throws_is_not_told(shop: Shop) -> None:
    """Nor what is wrong with the author's code; a private address stays out of reach."""
    for slug, body in (("place", [1]), ("nonsense", None), ("wide", None), ("fetches", None)):
        answer = shop.ask(slug, json=body, headers={"x-buyer": "ada"})
        assert answer.status_code == 400, slug
        assert (
            answer.json()["error"] == "the endpoint failed; the log of its machine has the reason"
        )


def test_bytes_in_bytes_out(shop: Shop) -> None:
    """As they are, of the type that they have."""
    picture = bytes(range(256))
    answer = shop.ask("picture", content=picture, headers={"content-type": "image/x-test"})
    assert (answer.content, answer.headers["content-type"]) == (picture, "image/x-test")


def test_a_multipart_form(shop: Shop) -> None:
    """Read with what the web has for it."""
    answer = shop.ask("form", data={"word": "hello"}, files={"file": ("a.txt", b"content")})
    assert answer.text == "hello: content"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_any_method_and_a_preflight_request(shop: Shop) -> None:
    """The handler's answer, on the wire."""
    for method in ("OPTIONS", "PURGE", "GET", "HEAD"):
        answer = shop.raw(
            f"{method} {shop.path}/anywhere HTTP/1.1\r\nHost: shop\r\nOrigin: https://shop.example\r\n"
            "Access-Control-Request-Method: PURGE\r\n\r\n".encode()
        )
        assert answer.status == 204, method
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["access-control-allow-methods"] == "PURGE"
        assert "content-length" not in answer.headers


def test_markup_is_kept_in_a_sandbox(shop: Shop) -> None:
    """As what a browser gets says."""
    answer = shop.ask("page", "GET")
    assert answer.text.startswith("<script>")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("slug", ["silent", "torn", "huge", "loopAfter"])
def test_an_event_counts_though_its_answer_fails(
    shop: Shop, deployed: Deployment, slug: str
) -> None:
    """No mapper, a torn header, a giant, a loop: the sender is told that it was taken."""
    answer = shop.ask(slug)
    assert (answer.status_code, answer.json()) == (200, ACCEPTED)
    assert "x-b" not in answer.headers
    name = "after" if slug == "loopAfter" else slug
    assert deployed.journal(shop.machine, name)[-1]["event"] == {"type": "note"}


def test_as_curl_sends_it(shop: Shop) -> None:
    """A chunked body whose pieces end anywhere, and a query that says things twice."""
    request = (
        f"POST {shop.path}/place?for=ada&for=bob&x=%00 HTTP/1.1\r\nHost: shop\r\nX-Buyer: bob\r\n"
        "User-Agent: curl/8\r\nAccept: */*\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunks = b'11\r\n{"order": "curl",\r\ne\r\n"items": [ 1 ]\r\n1\r\n}\r\n0\r\n\r\n'
    answer = shop.raw(request.encode() + chunks)
    assert answer.status == 200
    assert json.loads(answer.body) == {"state": "placed", "items": [1], "result": None}


def test_a_giant_is_refused(shop: Shop) -> None:
    """Before it is read."""
    head = f"POST {shop.path}/place HTTP/1.1\r\nHost: shop\r\nContent-Length: 99999999\r\n\r\n"
    answer = shop.raw(head.encode())
    assert (answer.status, answer.error) == (413, "too-large")


def test_a_repeated_request_counts_once(shop: Shop, deployed: Deployment) -> None:
    """Where it says so."""
    body = {"order": "once", "items": []}
    headers = {"x-buyer": "ada", "idempotency-key": "one"}
    answers = [shop.ask("place", json=body, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    kinds = [each["event"]["type"] for each in deployed.journal(shop.machine, "once")]
    assert kinds.count("place") == 1


def test_many_at_once(shop: Shop, deployed: Deployment) -> None:
    """One creation, every event."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shop.ask("silent"), range(40)))
    assert {answer.status_code for answer in answers} == {200}
    kinds = [each["event"]["type"] for each in deployed.journal(shop.machine, "silent")]
    assert kinds.count("note") >= 40


@pytest.mark.slow
def test_a_handler_that_does_not_come_to_an_end(shop: Shop) -> None:
    """A loop is ended with its host, a promise is given up; others are answered meanwhile and afterwards."""
    with ThreadPoolExecutor(2) as pool:
        never = pool.submit(shop.ask, "never")
        assert shop.ask("silent").status_code == 200
        assert not never.done()
        answer = never.result(HTTP_MAPPING_TIMEOUT.total_seconds() + 20)
        assert (answer.status_code, answer.json()["code"]) == (504, "http-handler-timeout")
        looping = pool.submit(shop.ask, "loop").result()
    assert (looping.status_code, looping.json()["code"]) == (422, "machine-error")
    assert shop.ask("silent").status_code == 200


def test_the_documentation_is_true(server: RunningServer, deployed: Deployment) -> None:
    """Its example as it is, with a right signature and with a wrong one."""
    page = (Path(__file__).parents[2] / "docs/http-mapping.md").read_text()
    example = page.partition("```js\n")[2].partition("```")[0]
    deployed.deploy("ear", example)
    with httpx.Client(base_url=server.url) as http:
        ear = Shop(server, "ear", http)
        body = b'{"source":"door"}'
        signature = hmac.digest(b"of this endpoint and its sender", body, "sha256").hex()
        headers = {"content-type": "application/json", "x-signature": signature}
        heard = [ear.ask("hook", content=body, headers=headers).json() for _ in range(2)]
        assert heard == [{"heard": 1}, {"heard": 2}]
        answer = ear.ask("hook", "PUT", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "Only POST, please")
        answer = ear.ask("hook", content=body + b" ", headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "The signature is wrong")


def test_the_log_has_what_was_wrong(shop: Shop, logs: Path) -> None:
    """With the machine and its version; the sender was not told."""
    shop.ask("wide")
    shop.ask("nonsense")
    shop.ask("torn")
    log = logs.read_text()
    lines = [json.loads(line) for line in log.splitlines() if f'"{shop.machine}"' in line]
    told = {line["event"]: line for line in lines}
    for words, instance in (
        ('The handler of "wide" named an instance "not/a/name"', None),
        ('The handler of "nonsense" returned something else than it should', None),
        ('The answer of "torn" could not be given: the header x-a', "torn"),
    ):
        [line] = [line for text, line in told.items() if text.startswith(words)]
        assert (line["instance"], line["level"]) == (instance, "error")
        assert line["version"].startswith("ver_")
