"""Bulk upgrades: which instances, what comes of each, and when."""

from __future__ import annotations

import asyncio

import pytest

from statekeep.application.selections import SelectionText
from statekeep.domain import limits
from statekeep.domain.access import AuthContext
from statekeep.domain.bulk_upgrade import InstanceOutcome, JobStatus
from statekeep.domain.errors import (
    HostTakenDown,
    InvalidParameter,
    InvalidState,
    MissingScope,
    NoMigrationPath,
    NotFound,
    Overloaded,
    UpgradeFailed,
)
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.names import InstanceName, VersionId
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, ORGANIZATION, World, log_of, until

FROM_1 = SelectionText(VersionId("ver_1"))
UPGRADED = "upgraded to ver_2"


@pytest.fixture
async def world():
    """Three instances of the first version, and a migration to the second."""
    world = await World(ToyRuntime()).set_up()
    await world.add_version("ver_2")
    await world.add_migration("ver_1", "ver_2")
    for name in ("a", "b", "c"):
        await world.create(name)
    yield world
    world.runtime.gate.set()
    world.runtime.upgrade_gate.set()
    await world.upgrading.stop()
    await world.instances.drain(1)


async def begin(world, text=FROM_1, target="ver_2", caller=CALLER):
    return await world.bulk_upgrades.begin(caller, MACHINE, VersionId(target), text)


async def counts(world, job_id):
    """By name of the outcome."""
    progress = await world.bulk_upgrades.get(CALLER, MACHINE, job_id)
    return {outcome.value: count for outcome, count in progress.counts.items()}


async def status(world, job_id):
    return (await world.bulk_upgrades.get(CALLER, MACHINE, job_id)).job.status


async def results(world, job_id, outcome=None):
    page = await world.bulk_upgrades.results(CALLER, MACHINE, job_id, outcome, None)
    return {result.name: (result.outcome.value, result.reason) for result in page.items}


class TestBeginning:
    async def test_what_is_asked_for_has_to_be_possible(self, world):
        """Else nothing begins."""
        await world.add_version("ver_3")
        with pytest.raises(NoMigrationPath):
            await begin(world, target="ver_3")
        with pytest.raises(InvalidParameter, match="no version ver_9"):
            await begin(world, target="ver_9")
        with pytest.raises(InvalidParameter, match="no version ver_9"):
            await begin(world, SelectionText(VersionId("ver_9")))
        with pytest.raises(InvalidParameter, match="to another"):
            await begin(world, target="ver_1")
        with pytest.raises(InvalidParameter):
            await begin(world, SelectionText(names=[]))
        with pytest.raises(InvalidParameter):
            await begin(world, SelectionText(names=["a/b"]))
        page = await world.bulk_upgrades.list(CALLER, MACHINE, None)
        assert page.items == []

    async def test_it_is_for_administrators(self, world):
        """Who act in the organization of the machine."""
        some = AuthContext(ORGANIZATION, None, frozenset({"instances.write"}), b"{}")
        with pytest.raises(MissingScope):
            await begin(world, caller=some)
        job_id = await begin(world)
        with pytest.raises(MissingScope):
            await world.bulk_upgrades.get(some, MACHINE, job_id)
        with pytest.raises(NotFound):
            await world.bulk_upgrades.get(CALLER, MACHINE, "blk_none")

    async def test_a_machine_has_one_at_a_time(self, world):
        """The next begins when it is over."""
        job_id = await begin(world)
        with pytest.raises(InvalidState):
            await begin(world)
        await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "cancelled")
        await begin(world)


class TestUpgrading:
    async def test_settled_instances_are_upgraded_at_once(self, world):
        """Without an event, and with no wish left behind."""
        job_id = await begin(world)
        assert await world.upgrading.work() is None
        assert await counts(world, job_id) == {"upgraded": 3}
        assert await status(world, job_id) is JobStatus.DONE
        assert await world.history("a") == ["xstate.init", "statebacked.upgrade"]
        resident = world.resident("a")
        assert (resident.version.id, resident.desired_version) == ("ver_2", None)
        assert await world.log("a") == [UPGRADED]

    async def test_nothing_in_memory_has_to_be_there(self, world):
        """Another server does it as well."""
        job_id = await begin(world)
        other = world.restarted(ToyRuntime())
        await other.upgrading.work()
        assert await counts(other, job_id) == {"upgraded": 3}

    async def test_memory_stays_bounded(self, world):
        """Instances that nobody asked for leave before one that somebody did."""
        await world.send("x", name="c")
        other = world.restarted(ToyRuntime(), residents_max=2)
        await other.send("x", name="c")
        job_id = await begin(other)
        await other.upgrading.work()
        assert await counts(other, job_id) == {"upgraded": 3}
        assert len(other.residents) == 2
        assert other.resident("c").version.id == "ver_2"

    async def test_those_that_come_later_are_left_alone(self, world):
        """Whichever version they are of."""
        job_id = await begin(world)
        await world.create("later")
        await world.upgrading.work()
        assert await counts(world, job_id) == {"upgraded": 3}
        assert world.resident("later").version.id == "ver_1"

    async def test_some_may_be_named(self, world):
        """The others stay."""
        job_id = await begin(world, SelectionText(names=["b"]))
        await world.upgrading.work()
        assert await results(world, job_id) == {"b": ("upgraded", "")}
        assert world.resident("a").version.id == "ver_1"

    async def test_those_that_have_it_are_unchanged(self, world):
        """Before the job, or by now."""
        await world.desire("ver_2", name="a")
        await world.send("x", name="a")
        job_id = await begin(world, SelectionText())
        await world.desire("ver_2", name="b")
        await world.upgrading.work()
        assert await results(world, job_id) == {
            "a": ("unchanged", ""),
            "b": ("upgraded", ""),
            "c": ("upgraded", ""),
        }
        assert (await world.history("a")).count("statebacked.upgrade") == 1

    async def test_an_upgrade_that_is_not_written_down_is_not_made_again(self, world):
        """The job finds it and counts it."""
        job_id = await begin(world)
        await world.store.select_for_bulk_upgrade(job_id, limit=100)
        resident = world.resident("a")
        target = await world.store.version(VersionId("ver_2"))
        assert await world.turns.upgrade(resident, target)
        await world.restarted(ToyRuntime()).upgrading.work()
        assert await counts(world, job_id) == {"upgraded": 3}
        assert (await world.history("a")).count("statebacked.upgrade") == 1

    async def test_what_moved_on_to_another_version_is_left_alone(self, world):
        """The job was about those of the first."""
        await world.add_version("ver_3")
        await world.add_migration("ver_1", "ver_3")
        job_id = await begin(world)
        await world.store.select_for_bulk_upgrade(job_id, limit=100)
        await world.desire("ver_3", name="a")
        await world.send("x", name="a")
        await world.upgrading.work()
        assert (await results(world, job_id))["a"] == ("unchanged", "other-version")

    async def test_another_wish_stays(self, world):
        """And is fulfilled with the next event, from the new version."""
        await world.add_version("ver_3")
        await world.add_migration("ver_1", "ver_3")
        await world.add_migration("ver_2", "ver_3")
        await world.desire("ver_3", name="a")
        await begin(world)
        await world.upgrading.work()
        assert world.resident("a").desired_version.id == "ver_3"
        await world.send("x", name="a")
        assert await world.log("a") == [UPGRADED, "upgraded to ver_3", "x"]

    async def test_a_deleted_instance_is_no_part_of_it(self, world):
        """Any more."""
        job_id = await begin(world)
        await world.store.select_for_bulk_upgrade(job_id, limit=100)
        await world.instances.delete(CALLER, MACHINE, InstanceName("a"))
        await world.upgrading.work()
        assert await counts(world, job_id) == {"upgraded": 2}

    async def test_events_that_wait_come_first(self, world):
        """The order is carried out between two of them, or after the last."""
        world.runtime.gate.clear()
        sent = world.sending("x", name="a")
        await world.runtime.stepping.wait()
        target = await world.store.version(VersionId("ver_2"))
        upgrade = world.turns.upgrade(world.resident("a"), target)
        world.runtime.gate.set()
        assert await upgrade
        await sent
        assert await world.log("a") == ["x", UPGRADED]


class TestFailing:
    async def test_what_fails_stays_as_it_was(self, world):
        """It is listed with the reason; no wish is left, and nothing is tried again."""
        world.runtime.upgrade_error = UpgradeFailed("no", reason="no-such-state", path=("x",))
        job_id = await begin(world)
        assert await world.upgrading.work() is None
        assert await results(world, job_id, "failed") == dict.fromkeys(
            "abc", ("failed", "no-such-state")
        )
        assert await status(world, job_id) is JobStatus.DONE
        world.runtime.upgrade_error = None
        await world.send("x", name="a")
        assert await world.log("a") == ["x"]
        assert any("no" in line for line in world.recorder.logs)

    async def test_without_a_path(self, world):
        """When the version to start from was not said."""
        await world.add_version("ver_3")
        job_id = await begin(world, SelectionText(), "ver_3")
        await world.upgrading.work()
        assert (await results(world, job_id))["a"] == ("failed", "no-migration-path")

    async def test_paused_instances_fail(self, world):
        """They would wait for ever."""
        await world.instances.set_status(CALLER, MACHINE, InstanceName("a"), InstanceStatus.PAUSED)
        job_id = await begin(world)
        await world.upgrading.work()
        assert (await results(world, job_id))["a"] == ("failed", "paused")

    async def test_a_long_message_is_cut(self, world):
        """And text that no UTF-8 has is replaced."""
        world.runtime.upgrade_error = UpgradeFailed("\ud800" + "x" * 1_000)
        job_id = await begin(world)
        await world.upgrading.work()
        page = await world.bulk_upgrades.results(CALLER, MACHINE, job_id, "failed", None)
        assert len(page.items[0].message) == limits.RESULT_MESSAGE_LENGTH_MAX
        assert page.items[0].message.startswith("?x")

    async def test_hosts_that_die_pause_it(self, world):
        """With the reason, until somebody lets it go on."""
        world.runtime.upgrade_error = HostTakenDown("it died")
        job_id = await begin(world)
        await world.upgrading.work()
        progress = await world.bulk_upgrades.get(CALLER, MACHINE, job_id)
        assert progress.job.status is JobStatus.PAUSED
        assert "host process" in progress.job.reason
        await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "running")
        await world.upgrading.work()
        assert await counts(world, job_id) == {"failed": 3}
        assert await status(world, job_id) is JobStatus.DONE

    async def test_no_more_hosts_die_of_those_under_way(self, world):
        """They are called off, and looked at when the job goes on."""
        for n in range(limits.BULK_UPGRADES_AT_ONCE):
            await world.create(f"n{n}")
        world.runtime.upgrade_error = HostTakenDown("it died")
        world.runtime.careful = asyncio.Lock()
        job_id = await begin(world)
        assert await world.upgrading.work() is None
        assert len(world.runtime.upgrades) == limits.HOST_DEATHS_MAX
        assert await counts(world, job_id) == {
            "failed": limits.HOST_DEATHS_MAX,
            "pending": limits.BULK_UPGRADES_AT_ONCE,
        }
        # Whoever was called off takes events, by the version that it has.
        assert log_of(await world.send("x", name="n9")) == ["x"]
        world.runtime.upgrade_error = None
        await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "running")
        await world.upgrading.work()
        assert await counts(world, job_id) == {
            "failed": limits.HOST_DEATHS_MAX,
            "upgraded": limits.BULK_UPGRADES_AT_ONCE,
        }

    async def test_an_order_is_called_off_before_it_is_decided(self, world):
        """Or it is carried out: never half of it."""
        world.runtime.upgrade_gate.clear()
        target = await world.store.version(VersionId("ver_2"))
        resident = world.resident("a")
        order = world.turns.upgrade(resident, target)
        await world.runtime.upgrading.wait()
        order.cancel()
        await until(lambda: resident.turn is None)
        assert resident.version.id == "ver_1"
        world.runtime.upgrade_gate.set()
        world.store.is_slow = True
        order = world.turns.upgrade(resident, target)
        await until(lambda: world.store.waiting)
        order.cancel()
        world.store.release()
        await until(lambda: resident.turn is None)
        assert resident.version.id == "ver_2"
        assert await world.log("a") == [UPGRADED]


class TestWaiting:
    async def test_what_has_not_settled_waits(self, world):
        """And is upgraded once it has."""
        sending = world.sending("SPAWN", name="a", id="child")
        await until(lambda: world.resident("a").due == ("child",))
        job_id = await begin(world)
        pause = await world.upgrading.work()
        assert 0 < pause <= limits.BULK_UPGRADE_RETRIED_AFTER.total_seconds()
        assert (await results(world, job_id))["a"] == ("waiting", "unsettled")
        assert await status(world, job_id) is JobStatus.RUNNING
        world.runtime.child_answers(world.resident("a").id, "child")
        await sending
        await until_done(world)
        assert await counts(world, job_id) == {"upgraded": 3}

    async def test_no_host_is_no_failure(self, world):
        """It is tried again."""
        world.runtime.upgrade_error = Overloaded("busy")
        job_id = await begin(world)
        await world.upgrading.work()
        assert await counts(world, job_id) == {"waiting": 3}
        world.runtime.upgrade_error = None
        await until_done(world)
        assert await counts(world, job_id) == {"upgraded": 3}

    async def test_not_for_ever(self, world):
        """After so many tries it has failed."""
        job_id = await begin(world, SelectionText(names=["a"]))
        world.runtime.upgrade_error = Overloaded("busy")
        await world.upgrading.work()
        (task,) = await world.store.bulk_upgrade_tasks(
            job_id, InstanceOutcome.WAITING, after=0, limit=1
        )
        assert task.tries == 1
        job = await world.store.bulk_upgrade(job_id)
        upgrader = world.upgrading._upgrader
        for _ in range(limits.BULK_UPGRADE_TRIES_MAX - 1):
            await upgrader.look_again(job, 0)
        assert (await results(world, job_id))["a"] == ("failed", "overloaded")
        assert await upgrader.finish_if_done(job)


async def until_done(world):
    """Its worker runs until the job is over."""
    world.upgrading.look()
    await world.upgrading.start()
    await world.store.upgrade_over.wait()
    await world.upgrading.stop()


class TestPausing:
    async def test_a_paused_job_changes_nothing(self, world):
        """Until it may go on."""
        job_id = await begin(world)
        await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "paused")
        assert await world.upgrading.work() is None
        assert world.runtime.upgrades == []
        await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "running")
        await world.upgrading.work()
        assert await counts(world, job_id) == {"upgraded": 3}

    async def test_no_other_group_begins_once_it_is_paused(self, world, monkeypatch):
        """What is under way is finished."""
        monkeypatch.setattr("statekeep.application.bulk_upgrading.BULK_UPGRADES_AT_ONCE", 1)
        job_id = await begin(world)
        world.runtime.upgrade_gate.clear()
        await world.upgrading.start()
        await world.runtime.upgrading.wait()
        await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "paused")
        world.runtime.upgrade_gate.set()
        await until(lambda: not world.upgrading._under_way)
        assert await counts(world, job_id) == {"upgraded": 1, "pending": 2}
        assert len(world.runtime.upgrades) == 1

    async def test_slow_upgrades_are_written_down_before_the_portion_is_over(
        self, world, monkeypatch
    ):
        """So that its progress can be seen."""
        monkeypatch.setattr("statekeep.application.bulk_upgrading.BULK_UPGRADES_AT_ONCE", 1)
        monkeypatch.setattr("statekeep.application.bulk_upgrading._PORTION_SECONDS", 0)
        job_id = await begin(world)
        recorded = []
        record = world.store.record_upgrade_results

        async def count(job_id, results):
            recorded.append(len(results))
            await record(job_id, results)

        monkeypatch.setattr(world.store, "record_upgrade_results", count)
        await world.upgrading.work()
        assert recorded == [1, 1, 1]
        assert await counts(world, job_id) == {"upgraded": 3}

    async def test_what_is_over_is_over(self, world):
        """Cancelled or done; to ask for what it is already is fine."""
        job_id = await begin(world)
        await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "cancelled")
        await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "cancelled")
        for wanted in ("running", "paused"):
            with pytest.raises(InvalidState):
                await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, wanted)
        with pytest.raises(InvalidParameter):
            await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "done")
        await world.upgrading.work()
        assert world.runtime.upgrades == []

    async def test_the_worker_hears_of_jobs(self, world):
        """Without being asked twice."""
        await world.upgrading.start()
        job_id = await begin(world)
        await world.store.upgrade_over.wait()
        assert await counts(world, job_id) == {"upgraded": 3}
