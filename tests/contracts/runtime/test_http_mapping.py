"""What ports.runtime promises of HTTP mapping, with real hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from statekeep.domain.errors import (
    HttpMappingFailed,
    HttpMappingTimeout,
    InvalidParameter,
    MachineError,
    NotFound,
    Overloaded,
)
from statekeep.domain.event import Event
from statekeep.domain.http_mapping import BodyKind, HttpAnswer, HttpRequest, Meaning
from statekeep.domain.limits import HTTP_UNANSWERED_BYTES_MAX
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId
from statekeep.runtimes.http_questions import HttpQuestions
from tests.contracts.runtime.conftest import Bench, sent, view_of
from tests.contracts.runtime.test_runtime import until

ONE = InstanceId(1)

MAPPER = """
export const allowRead = () => true, allowWrite = () => true;
const meaning = (more) => ({ machineInstanceName: "n", event: "go", authContext: { sub: "x" }, ...more });
const later = () => new Promise((resolve) => setTimeout(resolve, 1));
export const httpApiMapper = {
  echo: { handler: ({ body, method, headers, query }) =>
    (console.log("asked"), meaning({ event: { type: "go", body, method, headers, query } })) },
  full: { handler: async () => (await later(), meaning({ initialContext: { a: 1 } })),
    responseMapper: async ({ state, context, result }) => {
      await later();
      console.log("mapped");
      return { statusCode: 201, headers: { a: "b" }, body: { state, context, result } };
    } },
  text: { handler: () => null, responseMapper: () => ({ body: "plain ü" }) },
  bytes: { handler: () => null, responseMapper: () => ({ body: new Uint8Array([0, 255]) }) },
  empty: { handler: () => null, responseMapper: () => ({ statusCode: 204, body: null }) },
  tell: { handler: ({ body }) => {
    console.log("heard " + body.a);
    if (body.a) throw new Error("not " + body.a);
    return meaning({ event: { type: "go", body } });
  } },
  refuse: { handler: () => { throw new Error("not you"); } },
  never: { handler: () => new Promise(() => {}), responseMapper: () => new Promise(() => {}) },
  wait: { handler: () => { console.log("waiting"); return new Promise(() => {}); } },
  loop: { handler: () => { for (;;); }, responseMapper: () => { for (;;); } },
  loopLater: { handler: async () => { await later(); for (;;); } },
  large: { handler: () => meaning({ event: { type: "go", text: "x".repeat(2 ** 21) } }),
    responseMapper: () => ({ body: "x".repeat(2 ** 21) }) },
};
"""
MACHINES = {
    4: """
import { createMachine, assign } from "npm:xstate@4";
export default createMachine({ initial: "on", context: { n: 0 }, states: {
  on: { on: { count: { actions: assign({ n: ({ n }) => n + 1 }) }, end: "off" } },
  off: { type: "final", data: ({ n }) => ({ counted: n }) },
} });
""",
    5: """
import { createMachine, assign } from "npm:xstate@5";
export default createMachine({ initial: "on", context: { n: 0 }, states: {
  on: { on: { count: { actions: assign({ n: ({ context }) => context.n + 1 }) }, end: "off" } },
  off: { type: "final" },
}, output: ({ context }) => ({ counted: context.n }) });
""",
}
BOTH = pytest.mark.parametrize("major", [4, 5])


def request(body: bytes = b"", kind: BodyKind = BodyKind.JSON) -> HttpRequest:
    return HttpRequest("POST", {"x-a": "1"}, "q=1", body, kind)


@pytest.fixture
def version(bench: Bench) -> MachineVersion:
    return bench.version(MACHINES[5] + MAPPER)


async def asked(bench: Bench, version: MachineVersion, slug: str, **more: object) -> Meaning:
    return await bench.runtime.handle_http(version, slug, request(**more))  # type: ignore[arg-type]


async def answered(bench: Bench, version: MachineVersion, slug: str) -> HttpAnswer | None:
    snapshot = bench.standing[ONE].snapshot if bench.standing else b'{"value":"on","context":{}}'
    return await bench.runtime.respond_http(version, slug, ONE, snapshot)


def impatient(bench: Bench) -> Bench:
    bench.runtime._http = HttpQuestions(timedelta(milliseconds=200))
    return bench


@BOTH
async def test_a_request_becomes_an_event(bench: Bench, major: int) -> None:
    """With everything that the request said, whatever kind its body is."""
    version = bench.version(MACHINES[major] + MAPPER)
    for body, kind, seen in (
        (b'{"a": [1]}', BodyKind.JSON, {"a": [1]}),
        ("ü&=".encode(), BodyKind.TEXT, "ü&="),
        (b"\0\xff", BodyKind.BYTES, {"0": 0, "1": 255}),
        (b"", BodyKind.JSON, None),
    ):
        meaning = await asked(bench, version, "echo", body=body, kind=kind)
        assert meaning.event.type == "go"
        assert msgspec.json.decode(meaning.event.json) == {
            "type": "go",
            "body": seen,
            "method": "POST",
            "headers": {"x-a": "1"},
            "query": {"q": "1"},
        }
    assert bench.listener.logs[0] == (None, 1, "asked")
    meaning = await asked(bench, version, "full")
    assert meaning == Meaning("n", Event("go", b'{"type":"go"}'), b'{"sub":"x"}', b'{"a":1}')


@BOTH
async def test_a_state_becomes_an_answer(bench: Bench, major: int) -> None:
    """With the output of a final state; what is logged meanwhile is the instance's."""
    version = bench.version(MACHINES[major] + MAPPER)
    await bench.created(version)
    await bench.step(version, sent("count"))
    answer = await answered(bench, version, "full")
    assert answer is not None
    assert (answer.status, answer.headers, answer.media_type) == (
        201,
        (("a", "b"),),
        "application/json",
    )
    assert msgspec.json.decode(answer.body) == {"state": "on", "context": {"n": 1}, "result": None}
    [end] = await bench.step(version, sent("end"))
    assert view_of(end)["done"]
    answer = await answered(bench, version, "full")
    assert answer is not None
    assert msgspec.json.decode(answer.body)["result"] == {"counted": 1}
    assert (ONE, 1, "mapped") in bench.listener.logs


async def test_an_answer_about_an_instance_that_the_host_does_not_hold(
    bench: Bench, version: MachineVersion
) -> None:
    """Its output is the instance's all the same."""
    await answered(bench, version, "full")
    assert (ONE, 1, "mapped") in bench.listener.logs


async def test_kinds_of_bodies(bench: Bench, version: MachineVersion) -> None:
    """Text as it is, bytes as they are, or none."""
    assert await answered(bench, version, "text") == HttpAnswer(
        200, (), "plain ü".encode(), "text/plain; charset=utf-8"
    )
    assert await answered(bench, version, "bytes") == HttpAnswer(
        200, (), b"\0\xff", "application/octet-stream"
    )
    assert await answered(bench, version, "empty") == HttpAnswer(204, (), b"", None)


async def test_what_a_version_does_not_have(bench: Bench, version: MachineVersion) -> None:
    """There is no such handler; a mapper may be missing."""
    with pytest.raises(NotFound):
        await asked(bench, version, "nothing")
    assert await answered(bench, version, "refuse") is None
    assert await answered(bench, version, "nothing") is None


async def test_a_handler_that_refuses(bench: Bench, version: MachineVersion) -> None:
    """Its own words reach the sender; those of the runtime, and what is wrong with an answer, only the author."""
    with pytest.raises(HttpMappingFailed, match=r"^not you$"):
        await asked(bench, version, "refuse")
    with pytest.raises(HttpMappingFailed, match="the log of its machine has the reason"):
        await asked(bench, version, "text")
    assert "it has to return {machineInstanceName" in bench.listener.logs[-1][2]
    with pytest.raises(InvalidParameter, match="not JSON"):
        await asked(bench, version, "echo", body=b"{")


async def test_too_much(bench: Bench, version: MachineVersion) -> None:
    """What is over its bound never leaves the host."""
    with pytest.raises(HttpMappingFailed):
        await asked(bench, version, "large")
    with pytest.raises(HttpMappingFailed):
        await answered(bench, version, "large")
    assert "more than 1048576 bytes" in bench.listener.logs[-1][2]


@pytest.mark.parametrize(
    "body",
    [rb'{"a": "\ud800"}', rb'{"b": "\udc00 \ud83d"}', b'{"b": %b1%b}' % (b"[" * 2000, b"]" * 2000)],
)
async def test_no_stranger_can_end_a_host(
    bench: Bench, version: MachineVersion, body: bytes
) -> None:
    """By what a handler passes on: half a character in a log line or in the author's words, or more depth than frames have."""
    await asked(bench, version, "echo")
    host = bench.runtime.pool.warm(version.id)
    with pytest.raises(HttpMappingFailed):
        await asked(bench, version, "tell", body=body)
    assert (await asked(bench, version, "echo")).instance == "n"
    assert bench.runtime.pool.warm(version.id) is host
    assert any(text.startswith("heard ") for _, _, text in bench.listener.logs)


async def test_a_promise_that_never_settles_is_given_up(
    bench: Bench, version: MachineVersion
) -> None:
    """Nothing waits for it meanwhile, and nothing of it is left."""
    impatient(bench)
    with pytest.raises(HttpMappingTimeout):
        await asked(bench, version, "never")
    with pytest.raises(HttpMappingTimeout):
        await answered(bench, version, "never")
    waiting = asyncio.ensure_future(asked(bench, version, "never"))
    assert (await asked(bench, version, "echo")).instance == "n"
    with pytest.raises(HttpMappingTimeout):
        await waiting
    host = bench.runtime.pool.warm(version.id)
    assert host is not None
    assert not host.is_busy
    assert not host.mapping
    assert not bench.runtime._http._count


async def test_a_loop_ends_its_host_and_fails(bench: Bench, version: MachineVersion) -> None:
    """After it was tried on two. Others are served."""
    with pytest.raises(MachineError, match="took its host process down"):
        await asked(bench, version, "loop")
    with pytest.raises(MachineError, match="took its host process down"):
        await answered(bench, version, "loop")
    assert (await asked(bench, version, "echo")).instance == "n"


async def test_a_loop_in_a_promise_is_not_tried_again(
    bench: Bench, version: MachineVersion
) -> None:
    """Nobody knows what it did outside. Whoever asks next meets the silent host and gets an answer from the one after it."""
    looping = asyncio.ensure_future(asked(bench, version, "loopLater"))
    await until(lambda: (host := bench.runtime.pool.warm(version.id)) and host.pending)
    # The first may be answered before the loop begins.
    while not looping.done():
        assert (await asked(bench, version, "echo")).instance == "n"
    with pytest.raises(Overloaded):
        await looping


async def test_a_host_that_waits_for_a_promise_is_not_sent_off(
    make_bench: Callable[..., Bench],
) -> None:
    """Another version does not get its place."""
    bench = make_bench(hosts_max=1, wait_seconds=0.2)
    version = bench.version(MACHINES[5] + MAPPER)
    waiting = asyncio.ensure_future(asked(bench, version, "wait"))
    await until(lambda: bench.listener.logs)
    with pytest.raises(Overloaded):
        await asked(bench, bench.version(MACHINES[4] + MAPPER), "echo")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await asked(bench, bench.version(MACHINES[4] + MAPPER), "echo")).instance == "n"


async def test_what_waits_in_a_host_is_bounded(bench: Bench, version: MachineVersion) -> None:
    """By its size together, so that strangers cannot fill the heap of a machine's host. A single one always goes."""
    impatient(bench)
    large = b"x" * (HTTP_UNANSWERED_BYTES_MAX * 3 // 4)
    first = asyncio.ensure_future(asked(bench, version, "never", body=large, kind=BodyKind.TEXT))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await asked(bench, version, "echo", body=large, kind=BodyKind.TEXT)
    with pytest.raises(HttpMappingTimeout):
        await first
    assert (await asked(bench, version, "full", body=large, kind=BodyKind.TEXT)).instance == "n"
