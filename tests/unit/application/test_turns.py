"""How instances move: order, durability before visibility, children, time, failure."""

import asyncio
import math

import pytest

from statekeep.domain.errors import (
    AlreadyExists,
    IdempotencyMismatch,
    InvalidState,
    MachineError,
    NotFound,
    Overloaded,
    RejectedByMachineAuthorizer,
    StatekeepError,
)
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.step import ChildrenState
from statekeep.ports.store import ConflictingRevision
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import (
    CALLER,
    KEY,
    MACHINE,
    NAME,
    STRANGER,
    World,
    log_of,
    until,
)


@pytest.fixture
async def world():
    return await World(ToyRuntime()).set_up()


@pytest.fixture
async def impatient():
    """A world whose settle timeout is over at once."""
    return await World(ToyRuntime(), settle_timeout_seconds=0.02).set_up()


async def set_status(world, status):
    await world.instances.set_status(CALLER, MACHINE, NAME, status)


async def events(world):
    page = await world.instances.transitions(CALLER, MACHINE, NAME, None)
    return [transition.event for transition in reversed(page.items)]


# Answers and the journal


async def test_an_event_is_answered_with_the_state_after_it(world):
    """The answer to an event is the state it led to, at the next revision and a later time."""
    created = await world.create()
    first = await world.send("a")
    second = await world.send("b")
    assert [log_of(view) for view in (created, first, second)] == [[], ["a"], ["a", "b"]]
    assert [view.revision for view in (created, first, second)] == [1, 2, 3]
    assert created.ts < first.ts < second.ts


async def test_events_that_arrive_together_go_in_one_burst_and_one_commit(world):
    """Events that wait for one instance are decided in one frame and written in one commit, each with its own answer."""
    await world.create()
    views = await asyncio.gather(*[world.send(str(n)) for n in range(20)])
    assert [len(log_of(view)) for view in views] == list(range(1, 21))
    assert max(world.runtime.bursts) == 20
    assert len(world.store.commits) == 2
    assert len(await events(world)) == 21


async def test_one_failure_in_a_burst_is_its_own(world):
    """A refused and a failing event change nothing and leave their neighbours alone."""
    await world.create()
    results = await asyncio.gather(
        *[world.send(kind) for kind in ("a", "FAIL", "DENY", "b")], return_exceptions=True
    )
    assert [type(result) for result in results[1:3]] == [MachineError, RejectedByMachineAuthorizer]
    assert log_of(results[3]) == ["a", "b"]
    assert await world.log() == ["a", "b"]
    assert world.recorder.logs == ["FAIL: it threw\nat author.js:1"]


async def test_a_finished_instance_ignores_events(world):
    """Events to a finished instance are answered with its state and recorded nowhere."""
    await world.create()
    done, late = await asyncio.gather(world.send("DONE"), world.send("late"))
    assert late == done
    assert (await world.send("later")) == done
    assert len(await events(world)) == 2


async def test_a_finished_instance_read_from_the_store_still_answers(world):
    """The state of a finished instance is found again after a restart."""
    await world.create()
    done = await world.send("DONE")
    again = await world.restarted(ToyRuntime()).send("late")
    assert again == done


async def test_creation_refused_or_failing_leaves_nothing(world):
    """An initialization that is refused or throws makes no instance."""
    with pytest.raises(RejectedByMachineAuthorizer):
        await world.create(deny=True)
    with pytest.raises(MachineError):
        await world.create(fail=True)
    with pytest.raises(NotFound):
        await world.log()


async def test_one_of_two_creations_wins(world):
    """Of two creations of one name at once exactly one succeeds, the other is told that it exists."""
    results = await asyncio.gather(world.create(), world.create(), return_exceptions=True)
    assert sorted(isinstance(result, AlreadyExists) for result in results) == [False, True]
    with pytest.raises(AlreadyExists):
        await world.create()


async def test_creation_that_loses_in_the_store_says_so(world):
    """Where another server made the instance first, the store's word counts."""
    other = world.restarted(ToyRuntime())
    world.store.is_slow = True
    mine, theirs = asyncio.ensure_future(world.create()), asyncio.ensure_future(other.create())
    await until(lambda: len(world.store.waiting) == 2)
    world.store.release()
    results = await asyncio.gather(mine, theirs, return_exceptions=True)
    assert isinstance(results[1], AlreadyExists)
    assert not isinstance(results[0], BaseException)
    assert results[0].revision == 1


# Nothing before its commit


async def test_nothing_is_visible_before_it_is_durable(world):
    """Until its commit is durable an event is neither answered, nor published, nor performed, nor read."""
    await world.create()
    world.recorder.changes.clear()
    world.store.is_slow = True
    sending = world.sending("ACT")
    await until(lambda: world.store.waiting)
    assert await world.log() == []
    assert (sending.done(), world.recorder.changes, world.runtime.performed) == (False, [], [])
    world.store.release()
    assert log_of(await sending) == ["ACT"]
    assert [change.revision for change in world.recorder.changes] == [2]
    assert [revision for _, revision in world.runtime.performed] == [2]


async def test_the_next_event_is_decided_while_the_last_is_written(world):
    """A busy instance is pipelined: a later event is decided on a revision that is not durable yet, and answered in order."""
    await world.create()
    world.store.is_slow = True
    first = world.sending("a")
    await until(lambda: len(world.store.waiting) == 1)
    second = world.sending("b")
    await until(lambda: len(world.store.waiting) == 2)
    world.store.release(1)
    assert log_of(await first) == ["a"]
    assert not second.done()
    world.store.release()
    assert log_of(await second) == ["a", "b"]


async def test_pipelining_is_bounded(world):
    """No more than a bounded number of bursts is decided ahead of the disk."""
    await world.create()
    world.store.is_slow = True
    sent = []
    for n in range(20):
        sent.append(world.sending(str(n)))
        for _ in range(50):
            await asyncio.sleep(0)
    assert len(world.store.waiting) == 8
    while not all(sending.done() for sending in sent):
        world.store.release(1)
        await asyncio.sleep(0)
    assert log_of(sent[-1].result()) == [str(n) for n in range(20)]


async def test_a_commit_that_fails_takes_what_was_built_on_it_along(world):
    """If a commit fails, everything decided on top of it fails too, nothing of it is seen, and the instance goes on from the store."""
    await world.create()
    world.store.is_slow = True
    sent = [world.sending("a")]
    await until(lambda: len(world.store.waiting) == 1)
    sent.append(world.sending("ACT"))
    await until(lambda: len(world.store.waiting) == 2)
    world.store.fail_next = ConflictingRevision("moved")
    world.store.release(1)
    world.store.fail_next = None
    world.store.release()
    results = await asyncio.gather(*sent, return_exceptions=True)
    assert all(isinstance(result, Overloaded) for result in results)
    assert world.runtime.performed == []
    assert world.runtime.discarded
    world.store.is_slow = False
    assert await world.log() == []
    assert log_of(await world.send("b")) == ["b"]


# Children


async def test_an_answer_waits_for_children(world):
    """The sender of an event that starts a child is answered once the child's answer was handled."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident() and world.resident().due == ("x",))
    await until(lambda: world.resident().wake)
    assert not sending.done()
    world.runtime.child_answers(world.resident().id, "x")
    assert log_of(await sending) == ["SPAWN", "answer"]


async def test_children_are_started_after_the_commit(world):
    """A child is started only when the transition that asked for it is durable."""
    await world.create()
    world.store.is_slow = True
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.store.waiting)
    assert world.runtime.performed == []
    world.store.release()
    await until(lambda: world.runtime.performed)
    world.store.is_slow = False
    world.runtime.child_answers(world.resident().id, "x")
    await sending


async def test_events_behind_a_spawn_wait_until_it_is_performed(world):
    """Events of the same burst behind one that starts a child are decided after the child was started."""
    await world.create()
    sent = [world.sending("SPAWN", id="x"), world.sending("b"), world.sending("c")]
    await until(lambda: world.resident().wake)
    assert [change.revision for change in world.recorder.changes] == [1, 2, 4]
    assert await world.log() == ["SPAWN", "b", "c"]
    world.runtime.child_answers(world.resident().id, "x")
    views = await asyncio.gather(*sent)
    assert [log_of(view) for view in views] == [["SPAWN", "b", "c", "answer"]] * 3


async def test_the_settle_timeout_answers_with_the_newest_state(impatient):
    """A sender who waited for the settle timeout gets the newest state, and the children are stopped."""
    world = impatient
    await world.create()
    assert log_of(await world.send("SPAWN", id="x")) == ["SPAWN"]
    assert world.runtime.children[world.resident().id] == set()
    assert world.resident().due == ()


async def test_the_error_event_of_a_child_that_never_answered_comes_first(impatient):
    """After a settle timeout the error event is handled before the next event, not before it."""
    world = impatient
    await world.create()
    await world.send("SPAWN", id="x")
    assert await world.log() == ["SPAWN"]
    assert log_of(await world.send("b")) == ["SPAWN", "lost.x", "b"]
    assert b"lost.x" in (await events(world))[2]
    assert log_of(await world.send("c")) == ["SPAWN", "lost.x", "b", "c"]


async def test_a_restart_owes_error_events_at_once(world):
    """What children owed when the server died is delivered by the next one without anybody asking."""
    await world.create()
    world.sending("SPAWN", id="x").cancel()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().due)
    other = world.restarted(ToyRuntime())
    [owing] = await other.store.unsettled_instances(after=None, limit=10)
    await other.instances.recover(owing)
    await until(lambda: other.recorder.changes)
    assert (await other.log())[-1] == "lost.x"
    assert await other.store.unsettled_instances(after=None, limit=10) == []
    sending.cancel()


async def test_a_dead_host_means_lost_children_at_once(world):
    """When the host dies the error events are handled right away, and the sender gets its answer."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    world.runtime.host_dies()
    assert log_of(await sending) == ["SPAWN", "lost.x"]


# Pause, deletion, bounds


async def test_a_paused_instance_takes_no_events(world):
    """Events to a paused instance are refused; after resuming it goes on where it was."""
    await world.create()
    await set_status(world, InstanceStatus.PAUSED)
    with pytest.raises(InvalidState):
        await world.send("a")
    await set_status(world, InstanceStatus.RUNNING)
    assert log_of(await world.send("b")) == ["b"]


async def test_what_children_send_to_a_paused_instance_waits(world):
    """A child's answer to a paused instance is handled when that is resumed."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    await set_status(world, InstanceStatus.PAUSED)
    world.runtime.child_answers(world.resident().id, "x")
    await until(lambda: world.resident().held)
    await set_status(world, InstanceStatus.RUNNING)
    await until(lambda: len(world.recorder.changes) == 3)
    assert await world.log() == ["SPAWN", "answer"]
    await sending


async def test_a_deleted_instance_is_gone_for_everyone(world):
    """Deleting an instance fails what waits for it, and the name is free again."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    await world.instances.delete(CALLER, MACHINE, NAME)
    with pytest.raises(NotFound):
        await sending
    with pytest.raises(NotFound):
        await world.send("a")
    assert log_of(await world.create()) == []


async def test_deleting_while_a_commit_is_under_way(world):
    """An event whose commit was under way when the instance was deleted leaves nothing behind."""
    await world.create()
    world.store.is_slow = True
    sending = world.sending("a")
    await until(lambda: world.store.waiting)
    deleting = asyncio.ensure_future(world.instances.delete(CALLER, MACHINE, NAME))
    await asyncio.sleep(0)
    world.store.release()
    await deleting
    with pytest.raises(NotFound):
        await sending
    assert await world.store.claim(KEY) is None


async def test_a_full_mailbox_sheds_load(world, monkeypatch):
    """Beyond its bound a mailbox refuses further events, and those in it are answered."""
    monkeypatch.setattr("statekeep.application.turns.MAILBOX_LETTERS_MAX", 3)
    await world.create()
    world.runtime.gate.clear()
    world.runtime.stepping.clear()
    sent = [world.sending("a")]
    await world.runtime.stepping.wait()
    sent += [world.sending("b") for _ in range(5)]
    await until(lambda: sum(sending.done() for sending in sent) == 2)
    world.runtime.gate.set()
    results = await asyncio.gather(*sent, return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 2
    assert await world.log() == ["a", "b", "b", "b"]


async def test_readers_are_asked_for(world):
    """A reader whom allowRead refuses sees nothing, and scopes are checked."""
    await world.create()
    with pytest.raises(RejectedByMachineAuthorizer):
        await world.instances.read(STRANGER, MACHINE, NAME)


# Idempotency keys


async def test_a_repeated_key_gets_the_first_answer(world):
    """An event repeated with its key is delivered once and answered as the first time, across restarts too."""
    await world.create()
    first = await world.send("a", key="k")
    await world.send("b")
    again = await world.send("a", key="k")
    elsewhere = await world.restarted(ToyRuntime()).send("a", key="k")
    assert first.to_json() == again.to_json() == elsewhere.to_json()
    assert await world.log() == ["a", "b"]


async def test_a_key_repeated_while_the_first_is_under_way(world):
    """Two requests with one key at once deliver one event and get the same answer."""
    await world.create()
    views = await asyncio.gather(*[world.send("a", key="k") for _ in range(5)])
    assert {view.to_json() for view in views} == {views[0].to_json()}
    assert await world.log() == ["a"]


async def test_a_key_with_another_body_is_refused(world):
    """The same key with another event is an error, under way or later."""
    await world.create()
    results = await asyncio.gather(
        world.send("a", key="k"), world.send("b", key="k"), return_exceptions=True
    )
    assert isinstance(results[1], IdempotencyMismatch)
    with pytest.raises(IdempotencyMismatch):
        await world.send("b", key="k")


async def test_a_failed_event_does_not_use_up_its_key(world):
    """A key whose event failed is free: nothing had happened."""
    await world.create()
    with pytest.raises(RejectedByMachineAuthorizer):
        await world.send("DENY", key="k")
    with pytest.raises(RejectedByMachineAuthorizer):
        await world.send("DENY", key="k")
    assert await world.log() == []


async def test_a_key_of_an_event_that_settles_later(world):
    """The first answer of an event that waited for children is the state it settled in."""
    await world.create()
    sending = world.sending("SPAWN", id="x", key="k")
    await until(lambda: world.resident().wake)
    world.runtime.child_answers(world.resident().id, "x")
    first = await sending
    await world.send("b")
    again = await world.send("SPAWN", id="x", key="k")
    assert again.to_json() == first.to_json()


# Draining


async def test_draining_refuses_the_new_and_ends_the_old(world):
    """A draining server takes no event, and answers those who wait for children with the newest state when time is up."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    await world.instances.drain(0.01)
    assert log_of(await sending) == ["SPAWN"]
    with pytest.raises(Overloaded):
        await world.send("a")
    assert [entry.due for entry in world.store.commits][-1] == ("x",)


async def test_draining_gives_an_event_that_is_with_its_host_the_whole_time(world):
    """What begins as a short turn and becomes a longer one is waited for to its end, as is the child that it starts."""
    await world.create()
    world.runtime.gate.clear()
    sending = world.sending("SPAWN", id="x")
    await world.runtime.stepping.wait()
    draining = asyncio.ensure_future(world.instances.drain(60))
    world.runtime.gate.set()
    await until(lambda: world.resident().wake)
    # Whoever drains has heard that the short turn is over when these are done.
    for _ in range(10):
        await asyncio.sleep(0)
    world.runtime.child_answers(world.resident().id, "x")
    assert log_of(await sending) == ["SPAWN", "answer"]
    await draining


# While an event is with its host


async def begun(world):
    """An event that the host has not decided yet, and one that waits behind it."""
    await world.create()
    world.runtime.gate.clear()
    sending = world.sending("a")
    await world.runtime.stepping.wait()
    behind = world.sending("b")
    await until(lambda: world.resident().mailbox)
    return sending, behind


async def ended(world, *sendings):
    """What came of them when the host has decided and nothing is under way any more."""
    world.runtime.gate.set()
    results = await asyncio.gather(*sendings, return_exceptions=True)
    await until(lambda: not world.turns.under_way)
    return results


async def test_an_instance_may_be_deleted_meanwhile(world):
    """Both events fail at once, nothing is written, and the name is free as soon as the host has decided."""
    sending, behind = await begun(world)
    await world.instances.delete(CALLER, MACHINE, NAME)
    with pytest.raises(NotFound):
        await behind
    creating = asyncio.ensure_future(world.create())
    [error] = await ended(world, sending)
    assert isinstance(error, NotFound)
    await creating
    assert await world.log() == []
    assert [len(commit.entries) for commit in world.store.commits] == [1, 1]


async def test_an_instance_may_be_paused_meanwhile(world):
    """What the host was asked before counts; what waits behind it is refused."""
    sending, behind = await begun(world)
    await set_status(world, InstanceStatus.PAUSED)
    view, error = await ended(world, sending, behind)
    assert log_of(view) == ["a"]
    assert isinstance(error, InvalidState)


async def test_an_upgrade_may_be_ordered_meanwhile(world):
    """It is made between two events, or after them."""
    target = await world.add_version("ver_2")
    await world.add_migration("ver_1", "ver_2")
    sending, behind = await begun(world)
    upgrading = world.turns.upgrade(world.resident(), target)
    await ended(world, sending, behind)
    assert await upgrading
    assert sorted(await world.log()) == ["a", "b", "upgraded to ver_2"]


async def test_housekeeping_is_no_transition(world):
    """A due list that became empty without an event is written down, and shows in no list."""
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    world.runtime.children.clear()
    world.instances.children_changed(world.resident().id, ChildrenState((), 0))
    await sending
    assert world.store.commits[-1].entries[0].origin is Origin.HOUSEKEEPING
    assert world.store.commits[-1].due == ()
    assert len(await events(world)) == 2


async def test_children_started_after_a_settle_timeout_have_time_of_their_own(impatient):
    """A child that the error event of another starts is waited for and stopped in its turn, not for ever."""
    world = impatient
    await world.create()
    await world.send("SPAWN", id="x")
    resident = world.resident()
    again = world.sending("SPAWN", id="y")
    assert log_of(await again) == ["SPAWN", "lost.x", "SPAWN"]
    assert resident.owed == ("y",)


# What must not get lost


async def test_an_event_ignored_on_top_of_a_failed_commit_fails_too(world):
    """An event that was ignored only because of a transition that was never stored is not answered as if it had been handled."""
    await world.create()
    world.store.is_slow = True
    finishing = world.sending("DONE")
    await until(lambda: world.store.waiting)
    ignored = world.sending("a")
    await until(lambda: len(world.runtime.bursts) == 2)
    world.store.fail_next = ConflictingRevision("somebody else")
    world.store.release()
    for sending in (finishing, ignored):
        with pytest.raises(Overloaded):
            await asyncio.wait_for(sending, 5)


async def test_an_answer_that_waits_behind_an_event_survives_a_crash(world):
    """A child whose answer is not yet durable is still owed one by what is: a crash in between must not leave the instance waiting."""
    await world.create()
    sending = [world.sending("SPAWN", id="x")]
    await until(lambda: world.resident().wake)
    world.runtime.gate.clear()
    world.runtime.stepping.clear()
    sending.append(world.sending("a"))
    await world.runtime.stepping.wait()
    world.runtime.child_answers(world.resident().id, "x")
    world.store.is_slow = True
    world.runtime.gate.set()
    await until(lambda: world.store.waiting)
    world.store.release(1)
    [owing] = await world.store.unsettled_instances(after=None, limit=10)
    claimed = await world.store.claim_by_id(owing)
    assert claimed.due == ("x",)
    world.store.is_slow = False
    world.store.release()
    await asyncio.gather(*sending)
    assert await world.store.unsettled_instances(after=None, limit=10) == []


async def test_an_event_over_a_bound_takes_no_effects_of_others_along(world, monkeypatch):
    """An event that would set too many timers fails alone: what the host was to perform for the events before it is performed."""
    monkeypatch.setattr("statekeep.domain.timer.TIMERS_PER_INSTANCE_MAX", 0)
    await world.create()
    steps = []
    world.runtime.discard = lambda *_: steps.append("discarded")
    world.runtime.on_perform = lambda _: steps.append("performed")
    sent = [world.sending("ACT"), world.sending("SET", id="t", delay=1, event="x")]
    await sent[0]
    with pytest.raises(MachineError):
        await sent[1]
    await until(lambda: len(steps) == 2)
    assert steps == ["performed", "discarded"]


async def test_a_child_started_long_after_the_last_one_has_time_of_its_own():
    """The time for settling ends when the instance has settled, and begins anew with the next child, whoever asked for it."""
    world = await World(ToyRuntime(), settle_timeout_seconds=60).set_up()
    await world.create()
    sending = world.sending("SPAWN", id="x")
    await until(lambda: world.resident().wake)
    world.runtime.child_answers(world.resident().id, "x")
    await sending
    await until(lambda: world.resident().turn is None)
    assert world.resident().settle_deadline == math.inf
    world.instances.children_changed(world.resident().id, ChildrenState(("y",), 1))
    await until(lambda: world.resident().wake)
    assert world.resident().settle_deadline < math.inf
    world.instances.children_changed(world.resident().id, ChildrenState((), 0))


async def test_a_store_that_breaks_leaves_nobody_waiting(world):
    """Whatever goes wrong inside, callers get an answer."""
    await world.create()

    def broken(_):
        raise AssertionError("the store is not open")

    world.store.commit = broken
    with pytest.raises(StatekeepError):
        await asyncio.wait_for(world.send("a"), 5)
    del world.store.commit
    assert log_of(await world.send("b")) == ["b"]


async def test_a_subscriber_that_breaks_leaves_nobody_waiting(world):
    """A notifier that throws costs its own subscribers something, and the caller nothing."""
    await world.create()

    def broken(_):
        raise RuntimeError("no")

    world.recorder.publish = broken
    assert log_of(await asyncio.wait_for(world.send("a"), 5)) == ["a"]
