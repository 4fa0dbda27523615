"""When instances are upgraded, and what else may happen meanwhile: on the real engine, the memory store and the toy runtime."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from statekeep.domain.access import AuthContext
from statekeep.domain.errors import (
    InvalidParameter,
    MachineError,
    MissingScope,
    NoMigrationPath,
    NotFound,
    Overloaded,
)
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.limits import UPGRADE_RETRIED_AFTER, UPGRADE_RETRIED_AFTER_MAX
from statekeep.ports.store import ConflictingRevision
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, NAME, ORGANIZATION, World, log_of, until

UPGRADED = "upgraded to ver_2"


@pytest.fixture
async def world():
    """Two versions with a migration between them, and an instance of the first that is to have the second."""
    world = await World(ToyRuntime()).set_up()
    await world.add_version("ver_2")
    await world.add_migration("ver_1", "ver_2")
    await world.create()
    return world


@pytest.fixture
async def wishing(world):
    """The same, once that was said."""
    await world.desire("ver_2")
    return world


def versions(world):
    """Of the resident: what it has and what it is to have."""
    resident = world.resident()
    desired = resident.desired_version
    return resident.version.id, desired and desired.id


class TestWishing:
    async def test_a_wish_is_durable_and_moves_nothing(self, world):
        """Until the next event."""
        await world.desire("ver_2")
        await world.desire("ver_2")
        assert versions(world) == ("ver_1", "ver_2")
        assert await world.log() == []
        claimed = await world.store.claim_by_id(world.resident().id)
        assert claimed.desired_version.id == "ver_2"
        admin = await world.instances.read_admin(CALLER, MACHINE, NAME)
        assert (admin.version.id, admin.desired_version.id) == ("ver_1", "ver_2")

    async def test_the_version_that_it_has_takes_a_wish_back(self, wishing):
        """And the next event is handled by it."""
        await wishing.desire("ver_1")
        assert versions(wishing) == ("ver_1", None)
        assert log_of(await wishing.send("a")) == ["a"]

    async def test_there_has_to_be_a_path(self, world):
        """Else nothing is wished for."""
        await world.add_version("ver_3")
        with pytest.raises(NoMigrationPath, match="from version ver_1 to version ver_3"):
            await world.desire("ver_3")
        assert versions(world) == ("ver_1", None)

    async def test_it_is_for_administrators(self, world):
        """And for versions and instances that exist."""
        some = AuthContext(ORGANIZATION, None, frozenset({"instances.write"}), b"{}")
        with pytest.raises(MissingScope):
            await world.desire("ver_2", caller=some)
        with pytest.raises(InvalidParameter):
            await world.desire("ver_none")
        with pytest.raises(NotFound):
            await world.desire("ver_2", name="nobody")


class TestUpgrading:
    async def test_the_next_event_is_handled_by_the_new_version(self, wishing):
        """After a transition that says what happened."""
        view = await wishing.send("a")
        assert log_of(view) == [UPGRADED, "a"]
        assert view.revision == 3
        assert wishing.runtime.steps == ["ver_2"]
        assert await wishing.history() == ["xstate.init", "statebacked.upgrade", "a"]
        assert versions(wishing) == ("ver_2", None)
        assert wishing.store.commits[-2].entries[0].origin is Origin.UPGRADE
        assert wishing.store.commits[-2].upgraded_to == "ver_2"

    async def test_it_is_still_so_after_a_restart(self, wishing):
        """The store knows the version, and that nothing more is wished for."""
        await wishing.send("a")
        other = wishing.restarted(ToyRuntime())
        assert log_of(await other.send("b")) == [UPGRADED, "a", "b"]
        assert other.runtime.upgrades == []
        assert other.runtime.steps == ["ver_2"]

    async def test_a_wish_outlives_the_server(self, wishing):
        """The next one fulfils it."""
        other = wishing.restarted(ToyRuntime())
        assert log_of(await other.send("a")) == [UPGRADED, "a"]

    async def test_a_path_is_taken_at_once(self, world):
        """One transition, however many migrations."""
        await world.add_version("ver_3")
        await world.add_migration("ver_2", "ver_3")
        await world.desire("ver_3")
        assert log_of(await world.send("a")) == ["upgraded to ver_3", "a"]
        assert world.runtime.upgrades == [("ver_1", "ver_3", ["mig_0", "mig_1"])]

    async def test_the_old_host_forgets_the_instance(self, wishing):
        """Once the upgrade is durable, and not before."""
        wishing.store.is_slow = True
        sending = wishing.sending("a")
        await until(lambda: wishing.store.waiting)
        assert wishing.runtime.discarded == []
        assert versions(wishing) == ("ver_1", "ver_2")
        assert await wishing.log() == []
        assert wishing.runtime.reads[-1] == "ver_1"
        wishing.store.release(1)
        await until(lambda: wishing.store.waiting)
        assert wishing.runtime.discarded == [wishing.resident().id]
        assert await wishing.log() == [UPGRADED]
        assert wishing.runtime.reads[-1] == "ver_2"
        wishing.store.release(1)
        assert log_of(await sending) == [UPGRADED, "a"]

    async def test_events_that_wait_are_handled_after_it(self, wishing):
        """In their order, by the new version, with one upgrade."""
        views = await asyncio.gather(*[wishing.send(name) for name in "abc"])
        assert log_of(views[-1]) == [UPGRADED, "a", "b", "c"]
        assert len(wishing.runtime.upgrades) == 1

    async def test_what_is_under_way_comes_first(self, world):
        """The upgrade is not pipelined."""
        world.store.is_slow = True
        first = world.sending("a")
        await until(lambda: world.store.waiting)
        await world.desire("ver_2")
        second = world.sending("b")
        await until(lambda: world.resident().mailbox)
        assert world.runtime.upgrades == []
        world.store.is_slow = False
        world.store.release()
        assert log_of(await first) == ["a"]
        assert log_of(await second) == ["a", UPGRADED, "b"]

    async def test_a_timer_brings_it_about_too(self, wishing):
        """It is an event like any other."""
        await wishing.desire("ver_1")
        await wishing.send("SET", id="t", delay=5, event="RING")
        await wishing.desire("ver_2")
        handled = asyncio.get_running_loop().create_future()
        assert await wishing.instances.fire_timer(wishing.resident().id, 0, handled.set_result)
        assert await handled is None
        assert await wishing.log() == ["SET", UPGRADED, "RING"]

    async def test_timers_move_in_the_same_commit(self, world):
        """Renamed, cancelled and started; what fires meanwhile under the old number is no event any more."""
        for send_id in ("old", "vanishing", "other"):
            await world.send("SET", id=send_id, delay=1000, event=send_id)
        before = dict(world.resident().timers)
        await world.desire("ver_2")
        handled = asyncio.get_running_loop().create_future()
        await world.instances.fire_timer(world.resident().id, 0, handled.set_result)
        assert await handled is None
        timers = world.resident().timers
        assert {seq: timer.send_id for seq, timer in timers.items()} == {
            2: "other",
            3: "renamed",
            4: "entered",
        }
        assert timers[2] == before[2]
        assert timers[3].due_at == before[0].due_at
        assert timers[4].due_at == world.clock.ms + 500
        commit = world.store.commits[-1]
        assert (commit.upgraded_to, commit.timers.removed) == ("ver_2", (0, 1))
        claimed = await world.store.claim_by_id(world.resident().id)
        assert {timer.seq: timer for timer in claimed.timers} == timers
        # Nothing but the upgrade happened.
        assert await world.log() == ["SET", "SET", "SET", UPGRADED]

    async def test_a_finished_instance_is_upgraded(self, world):
        """Though the event itself changes nothing."""
        await world.send("DONE")
        await world.desire("ver_2")
        assert log_of(await world.send("a")) == ["DONE", UPGRADED]

    async def test_a_repeated_key_is_answered_as_before(self, wishing):
        """Also by a first answer that an older version gave."""
        await wishing.desire("ver_1")
        first = await wishing.send("a", key="k")
        await wishing.desire("ver_2")
        second = await wishing.send("b", key="l")
        assert log_of(second) == ["a", UPGRADED, "b"]
        again = await wishing.send("a", key="k")
        assert (again.ts, again.view) == (first.ts, first.view)
        assert (await wishing.send("b", key="l")).view == second.view


class TestWaiting:
    async def test_an_instance_that_has_not_settled_waits(self, world):
        """The old version hears of its children first; the upgrade comes with the event after that."""
        sending = world.sending("SPAWN", id="c")
        await until(lambda: world.runtime.children.get(world.resident().id))
        await world.desire("ver_2")
        during = world.sending("a")
        await until(lambda: len(world.runtime.steps) == 2)
        world.runtime.child_answers(world.resident().id, "c")
        await sending
        await during
        assert world.runtime.steps == ["ver_1"] * 3
        assert world.runtime.upgrades == []
        assert log_of(await world.send("b")) == ["SPAWN", "a", "answer", UPGRADED, "b"]

    async def test_a_lost_child_is_told_to_the_version_that_started_it(self, world):
        """Before the upgrade."""
        sending = world.sending("SPAWN", id="c")
        await until(lambda: world.runtime.children.get(world.resident().id))
        await world.desire("ver_2")
        world.runtime.host_dies()
        await sending
        assert world.runtime.steps == ["ver_1", "ver_1"]
        assert log_of(await world.send("a")) == ["SPAWN", "lost.c", UPGRADED, "a"]

    async def test_a_paused_instance_waits(self, wishing):
        """It takes no events."""
        await wishing.instances.set_status(CALLER, MACHINE, NAME, InstanceStatus.PAUSED)
        with pytest.raises(Exception, match="paused"):
            await wishing.send("a")
        assert wishing.runtime.upgrades == []
        await wishing.instances.set_status(CALLER, MACHINE, NAME, InstanceStatus.RUNNING)
        assert log_of(await wishing.send("a")) == [UPGRADED, "a"]


class TestFailing:
    @pytest.fixture
    async def failing(self, world):
        """The only migration throws."""
        await world.add_migration("ver_1", "ver_2", b"fail")
        await world.desire("ver_2")
        return world

    async def test_the_old_version_handles_the_event(self, failing):
        """The wish stays, and the author gets to know."""
        assert log_of(await failing.send("a")) == ["a"]
        assert versions(failing) == ("ver_1", "ver_2")
        assert await failing.history() == ["xstate.init", "a"]
        (log,) = failing.recorder.logs
        assert log == (
            "the upgrade to version ver_2 failed, and version ver_1 goes on: it threw\n"
            "at migration.js:1"
        )

    async def test_it_is_not_tried_with_each_event(self, failing):
        """But after a while that doubles."""
        pauses = []
        for _ in range(20):
            await failing.send("a")
            await failing.send("b")
            resident = failing.resident()
            pauses.append(resident.upgrade_not_before - asyncio.get_running_loop().time())
            resident.upgrade_not_before = 0
        assert len(failing.runtime.upgrades) == 20
        shortest = UPGRADE_RETRIED_AFTER.total_seconds()
        assert shortest - 1 < pauses[0] <= shortest
        assert 2 * shortest - 1 < pauses[1] <= 2 * shortest
        longest = UPGRADE_RETRIED_AFTER_MAX.total_seconds()
        assert longest - 1 < pauses[-1] <= longest

    async def test_a_new_migration_is_tried_at_once(self, failing):
        """The author corrected it."""
        await failing.send("a")
        await failing.add_migration("ver_1", "ver_2", b"better")
        assert log_of(await failing.send("b")) == ["a", UPGRADED, "b"]

    async def test_a_wish_that_is_said_again_is_tried_at_once(self, failing):
        """Somebody asks for it."""
        await failing.send("a")
        await failing.desire("ver_2")
        await failing.send("b")
        assert len(failing.runtime.upgrades) == 2

    async def test_a_host_that_cannot_be_had_is_no_fault(self, wishing):
        """The event is handled all the same, and nothing is logged."""
        wishing.runtime.upgrade_error = Overloaded("busy", retry_after_seconds=60)
        assert log_of(await wishing.send("a")) == ["a"]
        assert wishing.recorder.logs == []
        await wishing.send("b")
        assert len(wishing.runtime.upgrades) == 1

    async def test_a_migration_that_kills_its_host_fails(self, wishing):
        """Like one that throws."""
        wishing.runtime.upgrade_error = MachineError("it took its host process down")
        assert log_of(await wishing.send("a")) == ["a"]
        assert "took its host process down" in wishing.recorder.logs[0]

    async def test_a_commit_that_fails_changes_nothing(self, wishing):
        """Everything is read again; the sender may repeat the event."""
        wishing.store.fail_next = ConflictingRevision("somebody else")
        with pytest.raises(Overloaded):
            await wishing.send("a")
        wishing.store.fail_next = None
        assert log_of(await wishing.send("a")) == [UPGRADED, "a"]
        assert await wishing.history() == ["xstate.init", "statebacked.upgrade", "a"]


class TestMeanwhile:
    """Things that happen while the host of the new version decides."""

    @pytest.fixture
    async def deciding(self, wishing):
        wishing.runtime.upgrade_gate.clear()
        self.sending = wishing.sending("a")
        await asyncio.wait_for(wishing.runtime.upgrading.wait(), 10)
        yield wishing
        wishing.runtime.upgrade_gate.set()
        await asyncio.gather(self.sending, return_exceptions=True)

    async def test_reading_asks_the_old_version(self, deciding):
        """It is what is durable."""
        assert await deciding.log() == []
        assert deciding.runtime.reads == ["ver_1"]

    async def test_the_wish_may_be_taken_back(self, deciding):
        """Then nothing is upgraded."""
        await deciding.desire("ver_1")
        deciding.runtime.upgrade_gate.set()
        assert log_of(await self.sending) == ["a"]
        assert versions(deciding) == ("ver_1", None)

    async def test_another_version_may_be_wished_for(self, deciding):
        """That one is what comes, with the event after."""
        await deciding.add_version("ver_3")
        await deciding.add_migration("ver_1", "ver_3")
        await deciding.desire("ver_3")
        deciding.runtime.upgrade_gate.set()
        assert log_of(await self.sending) == ["a"]
        assert log_of(await deciding.send("b")) == ["a", "upgraded to ver_3", "b"]

    async def test_the_instance_may_be_deleted(self, deciding):
        """Whoever waits is told."""
        await deciding.instances.delete(CALLER, MACHINE, NAME)
        deciding.runtime.upgrade_gate.set()
        with pytest.raises(NotFound):
            await self.sending
        assert await deciding.store.claim_by_id(1) is None

    async def test_it_may_be_paused(self, deciding):
        """Then the event is refused, and nothing is upgraded."""
        await deciding.instances.set_status(CALLER, MACHINE, NAME, InstanceStatus.PAUSED)
        deciding.runtime.upgrade_gate.set()
        with pytest.raises(Exception, match="paused"):
            await self.sending
        assert versions(deciding) == ("ver_1", "ver_2")

    async def test_a_timer_may_be_put_off(self, wishing):
        """Its new due time counts."""
        await wishing.desire("ver_1")
        await wishing.send("SET", id="old", delay=1000, event="RING")
        await wishing.desire("ver_2")
        wishing.runtime.upgrade_gate.clear()
        sending = wishing.sending("a")
        await asyncio.wait_for(wishing.runtime.upgrading.wait(), 10)
        await wishing.instances.put_off_timer(
            wishing.resident().id, 0, due_at=9e9, failure="it threw"
        )
        wishing.runtime.upgrade_gate.set()
        await sending
        (timer,) = wishing.resident().timers.values()
        assert (timer.send_id, timer.due_at, timer.tries) == ("renamed", 9e9, 1)


class TestWatching:
    async def test_each_state_is_shown_by_the_version_that_made_it(self, world):
        """To a reader that is behind too."""
        await world.send("a")
        await world.desire("ver_2")
        await world.send("b")
        await world.add_version("ver_3")
        await world.add_migration("ver_2", "ver_3")
        await world.desire("ver_3")
        await world.send("c")
        world.runtime.reads.clear()

        async def identify():
            return CALLER

        states = world.watching.all_states(identify, MACHINE, NAME, after=1)
        async with aclosing(states):
            seen = [log_of(await asyncio.wait_for(anext(states), 10)) for _ in range(5)]
        assert [log[-1] for log in seen] == ["a", UPGRADED, "b", "upgraded to ver_3", "c"]
        assert world.runtime.reads == ["ver_1", "ver_2", "ver_2", "ver_3", "ver_3"]

    async def test_subscribers_hear_of_the_upgrade(self, wishing):
        """It is a transition."""

        async def identify():
            return CALLER

        states = wishing.watching.all_states(identify, MACHINE, NAME, after=None)
        async with aclosing(states):
            assert log_of(await anext(states)) == []
            await wishing.send("a")
            assert log_of(await asyncio.wait_for(anext(states), 10)) == [UPGRADED]
            assert log_of(await asyncio.wait_for(anext(states), 10)) == [UPGRADED, "a"]
