"""What ports.runtime promises, with real hosts."""

from __future__ import annotations

import asyncio
import os
import signal

import msgspec
import pytest

from statekeep.domain.errors import (
    HostTakenDown,
    InvalidCode,
    InvalidParameter,
    MachineError,
    Overloaded,
    TooLarge,
)
from statekeep.domain.event import Delivery, Event, Origin
from statekeep.domain.machine import MachineVersion
from statekeep.domain.names import InstanceId, OrganizationId
from statekeep.domain.step import Effects, Failed, Ignored, Later, Outcome, Refused, Stepped
from statekeep.domain.turn import lost_child_delivery
from statekeep.ports.runtime import HostLost
from statekeep.runtimes import protocol
from tests.contracts.runtime.conftest import ME, NAME, STEP_TIMEOUT_SECONDS, Bench, sent, view_of

MACHINE = """
import { assign, createMachine, fromPromise, sendTo } from "npm:xstate@5";
let answer;
export default createMachine({
  initial: "idle",
  context: { public: { n: 0 } },
  states: {
    idle: { on: { call: "calling", finish: "finished" } },
    calling: {
      tags: "busy",
      invoke: {
        id: "call",
        src: fromPromise(() => new Promise((resolve) => { answer = resolve; })),
        onDone: { target: "idle", actions: assign({ public: ({ event }) => ({ n: event.output }) }) },
        onError: "failed",
      },
      after: { 60000: "failed" },
      on: { answer: { actions: () => answer(42) } },
    },
    failed: {},
    finished: { type: "final" },
  },
  on: {
    count: { actions: assign({ public: ({ context }) => ({ n: context.public.n + 1 }) }) },
    twice: { actions: sendTo(({ self }) => self, { type: "count" }) },
    log: { actions: () => console.log("hello", { from: "an action" }) },
    throw: { actions: assign(() => { throw new Error("its words"); }) },
    grow: { actions: assign({ filling: "x".repeat(500000) }) },
    loop: { actions: assign(() => { for (;;); }) },
    die: { actions: assign(() => { const all = []; for (;;) all.push(new Array(1e5).fill({})); }) },
  },
});
export const allowRead = ({ authContext }) => authContext.sub === "me";
export const allowWrite = ({ authContext, event }) => authContext.sub === "me" && event?.type !== "secret";
"""


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0.005))])


# Deciding


async def test_an_instance_begins_and_moves(bench: Bench) -> None:
    """Creation and events give views and snapshots, each on top of the last."""
    version = bench.version(MACHINE)
    first = await bench.created(version)
    assert view_of(first) == {
        "state": "idle",
        "publicContext": {"n": 0},
        "tags": [],
        "done": False,
    }
    outcomes = await bench.step(version, sent("count"), sent("count"))
    assert [view_of(outcome)["publicContext"]["n"] for outcome in outcomes] == [1, 2]
    [called] = await bench.step(version, sent("call"))
    assert isinstance(called, Stepped)
    assert (called.due, called.live, called.effects) == (("call",), 1, Effects.CHILDREN)
    assert [op.delay_ms for op in called.timer_ops] == [60000]  # type: ignore[union-attr]
    assert view_of(called)["tags"] == ["busy"]


async def test_the_caller_is_asked_for(bench: Bench) -> None:
    """allowWrite refuses creations and events, and is not asked where nobody is behind them."""
    version = bench.version(MACHINE)
    assert await bench.created(version, auth=b'{"sub":"you"}') == Refused()
    await bench.created(version, auth=None)
    outcomes = await bench.step(version, sent("secret"), sent("secret", auth=None), sent("count"))
    assert outcomes[0] == Refused()
    assert view_of(outcomes[2])["publicContext"] == {"n": 1}


@pytest.mark.parametrize(
    "kind",
    [
        "xstate.done.actor.call",
        "xstate.after.60000.(machine).calling",
        "xstate.init",
        "*",
        "statebacked.upgrade",
    ],
)
async def test_events_of_xstates_own_cannot_be_sent(bench: Bench, kind: str) -> None:
    """A caller cannot say that a promise was fulfilled; a child can."""
    version = bench.version(MACHINE)
    await bench.created(version)
    refused, counted = await bench.step(version, sent(kind), sent("count"))
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, InvalidParameter)
    assert refused.error.parameter == "event"
    assert view_of(counted)["publicContext"] == {"n": 1}


@pytest.mark.parametrize(
    "kind",
    ["done.invoke.x", "done.state.x", "error.platform.x", "xstate.after(1)#x", "xstate.stop"],
)
async def test_nor_those_of_xstate_4(bench: Bench, kind: str) -> None:
    """The same under the names of XState 4; names that only look alike are the author's."""
    version = bench.version("""
import { createMachine } from "npm:xstate@4";
export default createMachine({ initial: "a", states: { a: {} }, on: { "done.x": ".a" } });
export const allowRead = () => true, allowWrite = () => true;
""")
    await bench.created(version)
    refused, taken = await bench.step(version, sent(kind), sent("done.x"))
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, InvalidParameter)
    assert isinstance(taken, Stepped)


async def test_a_failure_leaves_the_next_as_it_was(bench: Bench) -> None:
    """A throw has the author's words and stack; a context over its bound is too large; neither changes anything."""
    version = bench.version(MACHINE)
    await bench.created(version)
    failed, large, counted = await bench.step(version, sent("throw"), sent("grow"), sent("count"))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, MachineError)
    assert failed.error.message == "its words"
    assert "machine.js" in str(failed.error.stack)
    assert isinstance(large, Failed)
    assert isinstance(large.error, TooLarge)
    assert view_of(counted)["publicContext"] == {"n": 1}


async def test_a_finished_instance_ignores(bench: Bench) -> None:
    """The final state says so, and after it nothing changes."""
    version = bench.version(MACHINE)
    await bench.created(version)
    finished, late = await bench.step(version, sent("finish"), sent("count"))
    assert isinstance(finished, Stepped)
    assert finished.is_done
    assert late == Ignored()


async def test_what_it_sends_to_itself_is_folded(bench: Bench) -> None:
    """One delivery, two macrosteps, the second with its event."""
    version = bench.version(MACHINE)
    await bench.created(version)
    [outcome] = await bench.step(version, sent("twice"))
    assert isinstance(outcome, Stepped)
    assert [step.event for step in outcome.macrosteps] == [None, b'{"type":"count"}']


async def test_events_behind_one_that_touches_children_come_later(bench: Bench) -> None:
    """They are given back undone."""
    version = bench.version(MACHINE)
    await bench.created(version)
    called, counted = await bench.step(version, sent("call"), sent("count"))
    assert isinstance(called, Stepped)
    assert counted == Later()


async def test_a_host_that_knows_nothing_is_told(bench: Bench) -> None:
    """An instance that no host has ever seen goes on from its snapshot, and so does one whose session was discarded."""
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("count"))
    bench.runtime.discard(version, InstanceId(1))
    [counted] = await bench.step(version, sent("count"))
    assert view_of(counted)["publicContext"] == {"n": 2}
    other = bench.version(MACHINE)
    [counted] = await bench.step(other, sent("count"))
    assert view_of(counted)["publicContext"] == {"n": 3}


# Reading


async def test_readers_are_told_apart(bench: Bench) -> None:
    """One view, and an answer for each who asked; also about a revision that the host has left behind."""
    version = bench.version(MACHINE)
    await bench.created(version)
    before = bench.standing[InstanceId(1)]
    await bench.step(version, sent("count"))
    answer = await bench.runtime.read(version, before, [ME, b'{"sub":"you"}'])
    assert answer.is_allowed == (True, False)
    assert msgspec.json.decode(answer.view)["publicContext"] == {"n": 0}
    [counted] = await bench.step(version, sent("count"))
    assert view_of(counted)["publicContext"] == {"n": 2}


# Performing


async def test_actions_run_when_performed(bench: Bench) -> None:
    """Not before, and then once; their output is the instance's."""
    version = bench.version(MACHINE)
    await bench.created(version)
    [logged] = await bench.step(version, sent("log"))
    assert isinstance(logged, Stepped)
    assert logged.effects is Effects.ACTIONS
    await bench.step(version, sent("count"))
    assert bench.listener.logs == []
    bench.runtime.perform(version, InstanceId(1), 3)
    await until(lambda: bench.listener.logs)
    [(instance_id, stream, text)] = bench.listener.logs
    assert (instance_id, stream) == (InstanceId(1), 1)
    assert "hello" in text
    assert "an action" in text


async def test_output_before_the_first_answer_is_the_instances(bench: Bench, make_bench) -> None:
    """Of a creation, and of a step and a question on a host that has just been started."""
    code = """
import { createMachine } from "npm:xstate@5";
export default createMachine({ on: { go: { guard: () => (console.log("guard"), true) } } });
export const allowRead = () => (console.log("allowRead"), true);
export const allowWrite = () => (console.log("allowWrite"), true);
"""
    version = bench.version(code)
    await bench.created(version)
    assert bench.listener.logs == [(InstanceId(1), 1, "allowWrite")]
    for ask in ("step", "read"):
        other = make_bench()
        other.code, other.standing = bench.code, bench.standing
        if ask == "step":
            await other.step(version, sent("go"))
        else:
            await other.runtime.read(version, bench.standing[InstanceId(1)], [ME])
        assert other.listener.logs
        assert {instance_id for instance_id, _, _ in other.listener.logs} == {InstanceId(1)}


async def test_effects_of_steps_that_overlap_all_happen(bench: Bench) -> None:
    """A second step decided before the first was performed: each is performed with its own revision."""
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("log"))
    await bench.step(version, sent("log"))
    for revision in (2, 3):
        bench.runtime.perform(version, InstanceId(1), revision)
    await until(lambda: len(bench.listener.logs) == 2)


async def test_discarded_effects_never_happen(bench: Bench) -> None:
    """A decision that was thrown away has no consequences."""
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("log"))
    bench.runtime.discard(version, InstanceId(1))
    bench.runtime.perform(version, InstanceId(1), 2)
    await bench.step(version, sent("count"))
    assert bench.listener.logs == []


async def test_a_child_answers(bench: Bench) -> None:
    """What it sends is reported with a number for the live event, by which it is delivered."""
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("call"))
    children = await bench.runtime.perform_children(version, InstanceId(1), 2)
    assert children == (("call",), 1)
    await bench.step(version, sent("answer"))
    bench.runtime.perform(version, InstanceId(1), 3)
    await until(lambda: bench.listener.sent)
    [(_, event, handle, after, _)] = bench.listener.sent
    assert (event.type, after.due) == ("xstate.done.actor.call", ())
    [done] = await bench.step(version, Delivery(event, Origin.CHILD, handle=handle))
    assert view_of(done) == {
        "state": "idle",
        "publicContext": {"n": 42},
        "tags": [],
        "done": False,
    }


async def test_stopped_children_are_silent_and_owed(bench: Bench) -> None:
    """After a stop nothing is due, and the error event of the child is the host's to make."""
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("call"))
    await bench.runtime.perform_children(version, InstanceId(1), 2)
    assert (await bench.runtime.stop_children(version, InstanceId(1))).due == ()
    [failed] = await bench.step(version, lost_child_delivery("call", "too slow", xstate_major=5))
    assert view_of(failed)["state"] == "failed"
    assert isinstance(failed, Stepped)
    event = msgspec.json.decode(failed.macrosteps[0].event or b"")
    assert event["type"] == "xstate.error.actor.call"
    assert bench.listener.sent == []


async def test_a_snapshot_can_be_taken_between_steps(bench: Bench) -> None:
    """It is the one of the last step where no child has moved."""
    version = bench.version(MACHINE)
    await bench.created(version)
    saved = await bench.runtime.save(version, InstanceId(1))
    assert saved.snapshot == bench.standing[InstanceId(1)].snapshot


# At once


async def at_once(bench: Bench, version: MachineVersion, delivery: Delivery) -> Outcome | None:
    """The outcome of a delivery to the first instance, where it could be asked for at once."""
    told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    standing = bench.standing[InstanceId(1)]
    if not bench.runtime.step_at_once(version, standing, delivery, told.set_result):
        return None
    assert not told.done()
    outcome = await asyncio.wait_for(told, 10 * STEP_TIMEOUT_SECONDS)
    bench.remember(InstanceId(1), standing.revision, outcome)
    return outcome


async def test_a_step_at_once(bench: Bench) -> None:
    """It comes to what any step comes to, and what may be performed is performed."""
    version = bench.version(MACHINE)
    await bench.created(version)
    counted = await at_once(bench, version, sent("count"))
    assert counted is not None
    assert view_of(counted)["publicContext"] == {"n": 1}
    assert isinstance(await at_once(bench, version, sent("secret")), Refused)
    thrown = await at_once(bench, version, sent("throw"))
    assert isinstance(thrown, Failed)
    assert "its words" in thrown.error.message
    logged = await at_once(bench, version, sent("log"))
    assert isinstance(logged, Stepped)
    bench.runtime.perform(version, InstanceId(1), 3)
    await until(lambda: bench.listener.logs)


async def test_only_a_host_that_holds_the_instance_is_asked_at_once(bench: Bench) -> None:
    """Without one there would be something to wait for."""
    version, other = bench.version(MACHINE), bench.version(MACHINE)
    await bench.created(version)
    standing = bench.standing[InstanceId(1)]
    told: list[Outcome] = []
    for asked, stands in ((other, standing), (version, standing._replace(revision=7))):
        assert not bench.runtime.step_at_once(asked, stands, sent("count"), told.append)
    await at_once(bench, version, sent("count"))
    assert told == []


async def test_a_host_that_has_forgotten_is_told_at_once(bench: Bench) -> None:
    """What the server believes of its memory may be wrong."""
    version = bench.version(MACHINE)
    await bench.created(version)
    host = bench.runtime.pool.warm(version.id)
    assert host is not None
    host.tell(protocol.discard(1))
    counted = await at_once(bench, version, sent("count"))
    assert counted is not None
    assert view_of(counted)["publicContext"] == {"n": 1}


@pytest.mark.parametrize(("kind", "is_to_blame"), [("count", False), ("die", True)])
async def test_a_host_that_dies_of_a_step_at_once(
    bench: Bench, kind: str, is_to_blame: bool
) -> None:
    """The event is asked again of a new one, carefully: it fails where that dies of it, too."""
    version = bench.version(MACHINE)
    await bench.created(version)
    host = bench.runtime.pool.warm(version.id)
    assert host is not None
    assert host.process.pid is not None
    asking = asyncio.ensure_future(at_once(bench, version, sent(kind)))
    await asyncio.sleep(0)
    if not is_to_blame:
        os.kill(host.process.pid, signal.SIGSTOP)
        os.kill(host.process.pid, signal.SIGKILL)
    outcome = await asking
    assert outcome is not None
    if is_to_blame:
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, HostTakenDown)
    else:
        assert view_of(outcome)["publicContext"] == {"n": 1}


async def test_of_many_steps_at_once_only_the_one_fails_that_kills_again(bench: Bench) -> None:
    """Nobody is blamed for the first death: each is asked again by itself, and each hears once."""
    version = bench.version(MACHINE)
    told: list[list[Outcome]] = []
    for number in range(1, 7):
        await bench.created(version, number)
        told.append([])
    for number, outcomes in enumerate(told, 1):
        delivery = sent("die" if number == 3 else "count")
        standing = bench.standing[InstanceId(number)]
        assert bench.runtime.step_at_once(version, standing, delivery, outcomes.append)
    await until(lambda: all(told))
    assert [len(outcomes) for outcomes in told] == [1] * 6
    failed = told.pop(2)[0]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, HostTakenDown)
    assert [view_of(outcomes[0])["publicContext"] for outcomes in told] == [{"n": 1}] * 5


async def test_nonsense_is_no_answer_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits hears so, though it is no error that anybody expects."""
    version = bench.version(MACHINE)
    await bench.created(version)
    monkeypatch.setattr(protocol, "outcome_of", lambda frame: 1 / 0)
    failed = await at_once(bench, version, sent("count"))
    assert isinstance(failed, Failed)
    assert not isinstance(failed.error, MachineError)


async def born_at_once(
    bench: Bench, version: MachineVersion, number: int, context: bytes, auth: bytes | None = ME
) -> Outcome:
    """What comes of a creation by a host that is at hand."""
    told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    instance_id = InstanceId(number)
    assert bench.runtime.create_at_once(version, instance_id, NAME, context, auth, told.set_result)
    assert not told.done()
    outcome = await asyncio.wait_for(told, 10 * STEP_TIMEOUT_SECONDS)
    bench.remember(instance_id, 0, outcome)
    return outcome


async def test_a_creation_at_once(bench: Bench) -> None:
    """It comes to what any creation comes to, and the instance goes on from there."""
    version = bench.version(MACHINE)
    told: list[Outcome] = []
    asked = (version, InstanceId(2), NAME, b"{}", ME, told.append)
    assert not bench.runtime.create_at_once(*asked)
    await bench.created(version)
    born = await born_at_once(bench, version, 2, b'{"public":{"n":4}}')
    assert view_of(born)["publicContext"] == {"n": 4}
    assert isinstance(await born_at_once(bench, version, 3, b"{}", b'{"sub":"nobody"}'), Refused)
    assert isinstance(await born_at_once(bench, version, 3, b"{}", None), Stepped)
    large = b'{"filling":"%b"}' % (b"x" * 500_000)
    failed = await born_at_once(bench, version, 4, large)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, TooLarge)
    [counted] = await bench.step(version, sent("count"), number=2)
    assert view_of(counted)["publicContext"] == {"n": 5}
    assert told == []


async def test_a_host_that_dies_while_it_creates_at_once(bench: Bench) -> None:
    """A new one is asked, and the name of the instance is good in what both print."""
    version = bench.version(MACHINE)
    await bench.created(version)
    host = bench.runtime.pool.warm(version.id)
    assert host is not None
    assert host.process.pid is not None
    creating = asyncio.ensure_future(born_at_once(bench, version, 2, b"{}"))
    await asyncio.sleep(0)
    assert host.knows(InstanceId(2))
    os.kill(host.process.pid, signal.SIGSTOP)
    os.kill(host.process.pid, signal.SIGKILL)
    assert view_of(await creating)["publicContext"] == {"n": 0}
    assert bench.runtime.pool.warm(version.id) is not host


# Dying


@pytest.mark.parametrize("kind", ["loop", "die"])
async def test_who_kills_a_host_fails_alone(bench: Bench, kind: str) -> None:
    """In a burst and beside others: the others get their answers."""
    version = bench.version(MACHINE)
    await bench.created(version, 1)
    await bench.created(version, 2)
    burst, beside = await asyncio.gather(
        bench.step(version, sent("count"), sent(kind), sent("count"), number=1),
        bench.step(version, sent("count"), number=2),
    )
    assert isinstance(burst[1], Failed)
    assert isinstance(burst[1].error, MachineError)
    assert [view_of(burst[n])["publicContext"]["n"] for n in (0, 2)] == [1, 2]
    assert view_of(beside[0])["publicContext"] == {"n": 1}


async def test_a_death_is_told_to_whoever_had_children(bench: Bench) -> None:
    """And what one may ask of a host that is gone says so."""
    version = bench.version(MACHINE)
    await bench.created(version, 1)
    await bench.created(version, 2)
    await bench.step(version, sent("call"), number=1)
    await bench.runtime.perform_children(version, InstanceId(1), 2)
    await bench.step(version, sent("call"), number=2)
    host = bench.runtime.pool.warm(version.id)
    assert host is not None
    assert host.process.pid is not None
    os.kill(host.process.pid, signal.SIGKILL)
    await until(lambda: bench.listener.lost)
    assert set(bench.listener.lost) >= {InstanceId(1)}
    with pytest.raises(HostLost):
        await bench.runtime.stop_children(version, InstanceId(1))
    with pytest.raises(HostLost):
        await bench.runtime.perform_children(version, InstanceId(2), 2)
    [counted] = await bench.step(version, sent("count"), number=1)
    assert view_of(counted)["state"] == "calling"


# The pool


async def test_versions_take_turns(make_bench) -> None:
    """More versions than hosts: each gets its turn, also when all ask at once."""
    bench = make_bench(hosts_max=2)
    versions = [bench.version(f"{MACHINE}\n// {n}") for n in range(5)]
    outcomes = await asyncio.gather(
        *[bench.created(version, n) for n, version in enumerate(versions, start=1)]
    )
    assert all(isinstance(outcome, Stepped) for outcome in outcomes)


async def test_children_keep_their_host_and_others_out(make_bench) -> None:
    """A host with live children stays; who cannot get one in time is told to come back."""
    bench = make_bench(hosts_max=1, pinned_max=1, wait_seconds=0.2)
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("call"))
    await bench.runtime.perform_children(version, InstanceId(1), 2)
    with pytest.raises(Overloaded):
        await bench.created(bench.version(MACHINE, organization="org_b"), 2)
    with pytest.raises(Overloaded, match="organization"):
        await bench.created(bench.version(MACHINE), 3)
    await bench.runtime.stop_children(version, InstanceId(1))
    outcome = await bench.created(bench.version(MACHINE, organization="org_b"), 4)
    assert isinstance(outcome, Stepped)


async def test_effects_that_are_owed_keep_their_host(make_bench) -> None:
    """Between the decision and its performance no other version takes the place."""
    bench = make_bench(hosts_max=1, wait_seconds=0.2)
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("log"))
    with pytest.raises(Overloaded):
        await bench.created(bench.version(MACHINE), 2)
    bench.runtime.perform(version, InstanceId(1), 2)
    assert isinstance(await bench.created(bench.version(MACHINE), 3), Stepped)
    await until(lambda: bench.listener.logs)


async def test_a_place_is_given_when_effects_are_performed(make_bench) -> None:
    """Who waits for a place gets that of a host that owes nothing any more, without anything else having to happen."""
    bench = make_bench(hosts_max=1, wait_seconds=2)
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("log"))
    creating = asyncio.ensure_future(bench.created(bench.version(MACHINE), 2))
    await until(lambda: bench.runtime.pool._waiting)
    bench.runtime.perform(version, InstanceId(1), 2)
    assert isinstance(await creating, Stepped)


async def test_a_place_is_given_when_effects_are_discarded(make_bench) -> None:
    """The same where they will never be performed."""
    bench = make_bench(hosts_max=1, wait_seconds=2)
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("log"))
    creating = asyncio.ensure_future(bench.created(bench.version(MACHINE), 2))
    await until(lambda: bench.runtime.pool._waiting)
    bench.runtime.discard(version, InstanceId(1))
    assert isinstance(await creating, Stepped)


async def test_a_place_is_given_when_the_last_child_ends(make_bench) -> None:
    """The same where the host had children and says by itself that they are gone."""
    bench = make_bench(hosts_max=1, wait_seconds=2)
    version = bench.version(MACHINE)
    await bench.created(version)
    await bench.step(version, sent("call"))
    await bench.runtime.perform_children(version, InstanceId(1), 2)
    await bench.step(version, sent("answer"))
    creating = asyncio.ensure_future(bench.created(bench.version(MACHINE, organization="org_b"), 2))
    await until(lambda: bench.runtime.pool._waiting)
    bench.runtime.perform(version, InstanceId(1), 3)
    assert isinstance(await creating, Stepped)
    assert [child for *_, child in bench.listener.sent] == ["call"]


async def test_one_place_is_made_for_one_version(make_bench) -> None:
    """A version that needs a place takes that of one other, and leaves the rest warm."""
    bench = make_bench(hosts_max=3)
    versions = [bench.version(MACHINE) for _ in range(3)]
    for n, version in enumerate(versions):
        await bench.created(version, n)
    await bench.created(bench.version(MACHINE), 9)
    pool = bench.runtime.pool
    assert [pool.warm(version.id) is not None for version in versions] == [False, True, True]


async def test_a_request_that_an_action_made_comes_to_its_end(make_bench) -> None:
    """Its host gives its place to another version only then."""
    bench = make_bench(hosts_max=1, wait_seconds=10, private_network=True)
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        is_asked.set()
        await may_answer.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        version = bench.version(FETCHING % port)
        await bench.created(version)
        await bench.step(version, sent("fetch"))
        bench.runtime.perform(version, InstanceId(1), 2)
        await is_asked.wait()
        creating = asyncio.ensure_future(bench.created(bench.version(MACHINE), 2))
        await until(lambda: bench.runtime.pool._retiring)
        may_answer.set()
        assert isinstance(await creating, Stepped)
    assert bench.listener.logs == [(InstanceId(1), 1, "answered 204")]


FETCHING = """
import { createMachine } from "npm:xstate@5";
export default createMachine({ on: { fetch: { actions: () => {
  fetch("http://127.0.0.1:%d").then(({ status }) => console.log("answered", status));
} } } });
export const allowRead = () => true;
export const allowWrite = () => true;
"""


async def test_whoever_leaves_when_woken_wakes_the_next(make_bench) -> None:
    """A place that comes free just as the first in the line gives up is not lost for the second."""
    runtime = make_bench(hosts_max=0, wait_seconds=60).runtime
    looking = [asyncio.create_task(runtime.inspect(OrganizationId("org_a"), b"")) for _ in range(2)]
    waiting = runtime.pool._waiting
    await until(lambda: len(waiting) == 2)
    second = waiting[1]
    runtime.pool.settled()
    looking[0].cancel()
    await asyncio.wait(looking[:1])
    assert second.done()
    looking[1].cancel()
    await asyncio.wait(looking)


async def test_code_that_is_looked_at_takes_a_place(make_bench, monkeypatch) -> None:
    """Many who publish at once start no more hosts than there may be."""
    bench = make_bench(hosts_max=1, wait_seconds=20)
    pool, at_once = bench.runtime.pool, []
    load, running = pool._load, set()

    async def watched(host, *rest):
        running.add(host)
        at_once.append(len(running))
        try:
            return await load(host, *rest)
        finally:
            running.discard(host)

    monkeypatch.setattr(pool, "_load", watched)
    inspecting = [
        bench.runtime.inspect(OrganizationId("org_a"), MACHINE.encode()) for _ in range(3)
    ]
    await asyncio.gather(*inspecting)
    assert max(at_once) == 1


# Code


@pytest.mark.parametrize(
    ("specifier", "major"),
    [
        ("xstate", 4),
        ("npm:xstate", 4),
        ("npm:xstate@4", 4),
        ("npm:xstate@4.38.2", 4),
        ("npm:xstate@^4.30", 4),
        ("npm:xstate@5", 5),
        ("npm:xstate@5.18.1", 5),
        ("npm:xstate@^5", 5),
    ],
)
async def test_xstate_by_its_names(bench: Bench, specifier: str, major: int) -> None:
    """Every way to name XState gets our copy of that major."""
    code = f"""
import {{ createMachine }} from "{specifier}";
export default createMachine({{ initial: "a", states: {{ a: {{}} }} }});
export const allowRead = () => true, allowWrite = () => true;
"""
    facts = await bench.runtime.inspect(OrganizationId("org_a"), code.encode())
    assert facts.xstate_major == major
    assert facts.xstate.startswith(f"{major}.")


@pytest.mark.parametrize(
    ("specifier", "name"),
    [
        ("npm:xstate/lib/utils", "mapContext"),
        ("xstate/lib/actions", "assign"),
        ("npm:xstate@4.38.2/lib/actions.js", "raise"),
        ("npm:xstate@5/actions", "raise"),
        ("npm:xstate@5/guards", "and"),
    ],
)
async def test_parts_of_xstate(bench: Bench, specifier: str, name: str) -> None:
    """Subpaths have their named exports."""
    major = "5" if "@5" in specifier else "4"
    code = f"""
import {{ createMachine }} from "npm:xstate@{major}";
import {{ {name} }} from "{specifier}";
if (typeof {name} !== "function") throw new Error("not there");
export default createMachine({{ initial: "a", states: {{ a: {{}} }} }});
export const allowRead = () => true, allowWrite = () => true;
"""
    await bench.runtime.inspect(OrganizationId("org_a"), code.encode())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (b"this is no JavaScript", "Unexpected|Expected|SyntaxError"),
        (b"\xff", "UTF-8"),
        (b"export const allowRead = () => true, allowWrite = () => true;", "default"),
        (b"export default 7; export const allowRead = 1, allowWrite = 2;", "machine|default"),
        (b"import 'npm:left-pad'; export default 1;", "Bundle everything else"),
        (b"import 'https://example.com/x.js'; export default 1;", "Bundle everything else"),
        (b"import 'node:fs'; export default 1;", "Bundle everything else"),
        (b"import { setup } from 'xstate'; export default 1;", "npm:xstate@5"),
        (b"const a: string = 1; export default 1;", "compile or bundle TypeScript"),
        (b"throw new Error('at once');", "at once"),
        (b"for (;;);", "loading it took longer than 1 s .*top-level await"),
        (b"await new Promise((go) => setTimeout(go, 1e6));", "loading it took longer than 1 s"),
        (b"await new Promise(() => {});", "a top-level await of the code never ends"),
    ],
)
async def test_code_that_cannot_be_published(bench: Bench, code: bytes, reason: str) -> None:
    """It is refused with the reason."""
    with pytest.raises(InvalidCode, match=reason):
        await bench.runtime.inspect(OrganizationId("org_a"), code)


def test_an_unknown_event_is_described() -> None:
    """Deliveries of lost children name an event that people can read in a log."""
    delivery = lost_child_delivery("x", "why", xstate_major=4)
    assert delivery.event == Event("error.platform.x", b"{}")
