"""The feed of all transitions: each once, in order, and none of its business holds anybody up."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

from statekeep.domain.errors import HistoryGone
from statekeep.ports.notifier import InstanceDeleted
from statekeep.workers import transition_feed
from statekeep.workers.transition_feed import TransitionFeed
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import World, until


@asynccontextmanager
async def feeding(world):
    """A feed, and what it has told: the names of instances with the types of events."""
    told = []

    def tell(transition):
        told.append((transition.key.name, json.loads(transition.event)["type"]))

    feed = TransitionFeed(
        world.store, world.residents, tell, read_state_value=lambda snapshot: snapshot
    )
    await feed.start()
    try:
        yield feed, told
    finally:
        await feed.stop()


async def test_every_transition_is_told_once_and_in_order():
    """However many of them a change stands for."""
    world = await World(ToyRuntime()).set_up()
    async with feeding(world) as (feed, told):
        await world.create()
        feed.hear(world.recorder.changes[-1])
        await until(lambda: told)
        for event in ("A", "B", "C"):
            await world.send(event)
        # The changes of the first two come late.
        for change in reversed(world.recorder.changes[1:]):
            feed.hear(change)
        await until(lambda: len(told) == 4)
        await world.send("D")
        feed.hear(world.recorder.changes[-1])
        await until(lambda: len(told) == 5)
    assert [event for _, event in told[1:]] == ["A", "B", "C", "D"]


async def test_an_instance_that_was_there_before_begins_with_its_last_transition():
    """Nobody wants to read years of history when they start a server."""
    world = await World(ToyRuntime()).set_up()
    await world.create()
    await world.send("A")
    await world.send("B")
    async with feeding(world) as (feed, told):
        feed.hear(world.recorder.changes[-1])
        await until(lambda: told)
    assert told == [("one", "B")]


async def test_instances_that_are_gone_are_passed_over(monkeypatch, caplog):
    """Deleted, or their history cut: those after them are told."""
    world = await World(ToyRuntime()).set_up()
    await world.create()
    await world.send("A")
    change = world.recorder.changes[-1]
    read = world.store.transitions_after

    async def gone(instance_id, revision):
        monkeypatch.setattr(world.store, "transitions_after", read)
        async for _ in read(instance_id, revision):
            raise HistoryGone.before(9)
        yield ()

    monkeypatch.setattr(world.store, "transitions_after", gone)
    async with feeding(world) as (feed, told):
        feed.hear(change)
        feed.hear(change._replace(instance_id=change.instance_id + 1_000))
        feed.hear(InstanceDeleted(change.instance_id))
        await world.send("B")
        feed.hear(world.recorder.changes[-1])
        await until(lambda: told)
    assert told == [("one", "B")]
    assert not caplog.records


async def test_its_memory_is_bounded(monkeypatch):
    """A feed that is behind leaves out the oldest, and forgets how far it was with instances long ago."""
    monkeypatch.setattr(transition_feed, "FEED_NEWS_MAX", 2)
    monkeypatch.setattr(transition_feed, "FEED_INSTANCES_MAX", 1)
    world = await World(ToyRuntime()).set_up()
    for name in ("one", "two", "three"):
        await world.create(name=name)
    async with feeding(world) as (feed, told):
        for change in world.recorder.changes:
            feed.hear(change)
        await until(lambda: len(told) == 2)
        assert len(feed._told) == 1
    assert [name for name, _ in told] == ["two", "three"]
