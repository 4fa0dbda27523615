"""What the store promises about timers and about debts to children."""

from __future__ import annotations

import asyncio

import pytest

from statekeep.domain.event import Receipt
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.message import Address, Message, MessageKind
from statekeep.domain.names import InstanceName, MachineName, OrganizationId, VersionId
from statekeep.domain.timer import TimerChanges
from statekeep.ports.store import ConflictingRevision, DueTimer
from tests.support.builders import NOW_MS, a_commit, a_timer, create_instances

OWNER = OrganizationId("org_acme")


async def set_timers(store, instance_id, *due_times, base=1):
    """One timer for each of the times, numbered from 0."""
    timers = tuple(a_timer(seq, due_at=due_at) for seq, due_at in enumerate(due_times))
    changes = TimerChanges(timers, ())
    commit = a_commit(instance_id, base)._replace(timers=changes, next_timer_seq=len(timers))
    await store.commit(commit)


async def all_due(store, until, *, limit):
    """What is due, page by page."""
    found: list[DueTimer] = []
    while True:
        after = found[-1] if found else None
        page = await store.timers_due_before(until, after=after, limit=limit)
        assert len(page) <= limit
        found += page
        if len(page) < limit:
            return found


async def test_timers_come_back_complete(store, instance_id):
    """As they were set, in the order of their numbers."""
    timers = (a_timer(3, due_at=5.25), a_timer(7)._replace(after=None, send_id="", event=b"{}"))
    commit = a_commit(instance_id, 1)._replace(timers=TimerChanges(timers, ()), next_timer_seq=8)
    await store.commit(commit)
    assert (await store.claim_by_id(instance_id)).timers == timers


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_what_is_due_comes_by_time_instance_and_number(store, ground, limit):
    """Page by page, without a gap or a repetition where times are the same."""
    one, two = await create_instances(store, ground, ["one", "two"])
    await set_timers(store, two, 5.0, 3.0, 5.0)
    await set_timers(store, one, 5.0, 1.0, 9.0, 5.0)
    assert await all_due(store, 9.0, limit=limit) == [
        DueTimer(one, 1, 1.0, OWNER),
        DueTimer(two, 1, 3.0, OWNER),
        DueTimer(one, 0, 5.0, OWNER),
        DueTimer(one, 3, 5.0, OWNER),
        DueTimer(two, 0, 5.0, OWNER),
        DueTimer(two, 2, 5.0, OWNER),
    ]


async def test_due_before_is_exclusive(store, instance_id):
    """To the last fraction of a millisecond."""
    await set_timers(store, instance_id, NOW_MS, NOW_MS + 0.001)
    due = await store.timers_due_before(NOW_MS + 0.001, after=None, limit=10)
    assert [timer.due_at for timer in due] == [NOW_MS]


async def test_a_timer_that_was_removed_is_not_due(store, instance_id):
    """The commit that fired or cancelled it took it away."""
    await set_timers(store, instance_id, 1.0, 2.0)
    commit = a_commit(instance_id, 2)._replace(timers=TimerChanges((), (0, 99)), next_timer_seq=2)
    await store.commit(commit)
    assert await all_due(store, 9.0, limit=10) == [DueTimer(instance_id, 1, 2.0, OWNER)]


async def test_a_failed_delivery_is_remembered(store, instance_id):
    """Tries and the new time; what the timer is does not change."""
    await set_timers(store, instance_id, 1.0)
    changed = a_timer(0, due_at=31.5)._replace(
        tries=1, event=b"{}", send_id="other", failure="it threw"
    )
    await store.update_timer(instance_id, changed)
    assert (await store.claim_by_id(instance_id)).timers == (
        a_timer(0, due_at=31.5)._replace(tries=1, failure="it threw"),
    )
    assert await all_due(store, 99.0, limit=10) == [DueTimer(instance_id, 0, 31.5, OWNER)]


def a_message(seq, *, kind=MessageKind.EVENT, version=None):
    to = Address(MachineName("m"), InstanceName("a|b"))
    message = Message(to, kind, 'the "kid"', version)
    return a_timer(seq, due_at=1.0)._replace(message=message, hops=3, failure="why")


async def test_messages_come_back_complete(store, instance_id):
    """Whatever they bring, and to whom."""
    messages = (
        a_message(0),
        a_message(1, kind=MessageKind.DONE),
        a_message(2, kind=MessageKind.SPAWN, version=VersionId("ver_1")),
    )
    commit = a_commit(instance_id, 1)._replace(timers=TimerChanges(messages, ()), next_timer_seq=3)
    await store.commit(commit)
    assert (await store.claim_by_id(instance_id)).timers == messages


async def test_the_receiver_of_a_message_takes_it_away(store, ground):
    """In the commit that applies it, which may be written together with the one that sent it."""
    one, two = await create_instances(store, ground, ["one", "two"])
    changes = TimerChanges((a_message(0), a_message(1)), ())
    sending = store.commit(a_commit(one, 1)._replace(timers=changes, next_timer_seq=2))
    await store.commit(a_commit(two, 1)._replace(received=(Receipt(one, 1),)))
    await sending
    assert (await store.claim_by_id(one)).timers == (a_message(0),)


async def test_a_message_is_applied_once(store, ground):
    """A commit that applies one that is gone is not written, whatever else is written beside it."""
    one, two, three = await create_instances(store, ground, ["one", "two", "three"])
    changes = TimerChanges((a_message(0),), ())
    await store.commit(a_commit(one, 1)._replace(timers=changes, next_timer_seq=1))
    again = a_commit(two, 1)._replace(received=(Receipt(one, 0),))
    results = await asyncio.gather(
        store.commit(a_commit(three, 1)._replace(received=(Receipt(one, 0),))),
        store.commit(again),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), ConflictingRevision]
    assert (await store.claim_by_id(two)).revision == 1


async def test_what_a_deleted_instance_sent_can_be_received(store, ground):
    """It may be under way when that happens, and its receiver is nobody's victim. What is left of another sender is still applied once."""
    one, two, three = await create_instances(store, ground, ["one", "two", "three"])
    for sender in (one, three):
        changes = TimerChanges((a_message(0), a_message(1)), ())
        await store.commit(a_commit(sender, 1)._replace(timers=changes, next_timer_seq=2))
    await store.delete_instance(one)
    both = a_commit(two, 1)._replace(received=(Receipt(one, 0), Receipt(three, 0)))
    await store.commit(both)
    assert (await store.claim_by_id(two)).revision == 2
    again = a_commit(two, 2)._replace(received=(Receipt(one, 1), Receipt(three, 0)))
    with pytest.raises(ConflictingRevision):
        await store.commit(again)


async def test_a_message_can_be_forgotten(store, instance_id):
    """Without a commit, where nothing comes of it."""
    changes = TimerChanges((a_message(0),), ())
    await store.commit(a_commit(instance_id, 1)._replace(timers=changes, next_timer_seq=1))
    assert await store.remove_timer(instance_id, 0)
    assert not await store.remove_timer(instance_id, 0)
    assert (await store.claim_by_id(instance_id)).timers == ()


async def test_a_dead_timer_is_never_due_and_stays_visible(store, instance_id):
    """Until it is brought back to life."""
    await set_timers(store, instance_id, 1.0)
    dead = a_timer(0, due_at=1.0)._replace(tries=5, is_dead=True)
    await store.update_timer(instance_id, dead)
    assert await all_due(store, 9.0, limit=10) == []
    assert (await store.claim_by_id(instance_id)).timers == (dead,)
    await store.update_timer(instance_id, dead._replace(tries=0, is_dead=False))
    assert await all_due(store, 9.0, limit=10) == [DueTimer(instance_id, 0, 1.0, OWNER)]


async def test_updating_a_timer_that_is_gone_does_nothing(store, instance_id):
    """It was fired or cancelled meanwhile, and must not come back."""
    await store.update_timer(instance_id, a_timer(0))
    await store.update_timer(store.new_instance_id(), a_timer(0))
    assert (await store.claim_by_id(instance_id)).timers == ()
    assert await all_due(store, float("inf"), limit=10) == []


async def test_timers_of_paused_instances_are_due_as_well(store, instance_id):
    """What becomes of them is decided at delivery."""
    await set_timers(store, instance_id, 1.0)
    await store.set_status(instance_id, InstanceStatus.PAUSED)
    assert len(await all_due(store, 9.0, limit=10)) == 1


async def test_unsettled_instances_come_by_number(store, ground):
    """Page by page, and only those whose newest revision owes something."""
    ids = await create_instances(store, ground, [f"i{number}" for number in range(7)])
    for instance_id in ids:
        await store.commit(a_commit(instance_id, 1)._replace(due=("fetch",)))
    await store.commit(a_commit(ids[2], 2))
    await store.delete_instance(ids[4])
    owed = [instance_id for instance_id in ids if instance_id not in (ids[2], ids[4])]
    assert await store.unsettled_instances(after=None, limit=10) == owed
    assert await store.unsettled_instances(after=None, limit=3) == owed[:3]
    assert await store.unsettled_instances(after=owed[2], limit=3) == owed[3:]
    assert await store.unsettled_instances(after=owed[-1], limit=3) == []
