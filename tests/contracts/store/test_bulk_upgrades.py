"""What the store promises about looking at many instances, and about jobs that upgrade them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from statekeep.domain.bulk_upgrade import (
    BulkUpgrade,
    IndexCondition,
    InstanceOutcome,
    InstanceSelection,
    JobStatus,
    UpgradeResult,
    UpgradeTask,
)
from statekeep.domain.errors import InvalidState, NotFound
from statekeep.domain.index import Comparison, IndexChanges, IndexFilter
from statekeep.domain.limits import BULK_UPGRADES_KEPT
from statekeep.domain.names import BulkUpgradeId, InstanceId, InstanceName, VersionId
from statekeep.domain.timer import TimerChanges
from tests.support.builders import (
    CODE,
    NOW,
    a_commit,
    a_timer,
    a_version,
    create_instances,
    lay_ground,
)

MIB = 1 << 20
ALL = [chr(n) for n in range(ord("a"), ord("k"))]


@pytest.fixture
async def second(store, ground):
    """Another version of the machine."""
    version = a_version(ground.machine, "second")
    await store.create_version(version, CODE, make_current=False)
    return version


@pytest.fixture
async def ids(store, ground):
    """Ten instances, `a` to `j`."""
    return await create_instances(store, ground, ALL)


async def walk(store, selection, last, *, limit=3, bytes_max=MIB, with_timers=False):
    """All portions, one after the other."""
    position, found = InstanceId(0), []
    while position < last:
        portion = await store.selected_instances(
            selection,
            after=position,
            last=last,
            limit=limit,
            bytes_max=bytes_max,
            with_timers=with_timers,
        )
        assert portion.position > position
        position = portion.position
        found.append(portion.instances)
    return found


async def names_of(store, selection, last):
    """Selected instances by name, and the count agrees."""
    found = [it.name for portion in await walk(store, selection, last) for it in portion]
    assert await store.count_instances(selection, last=last) == len(found)
    return found


class TestSelections:
    async def test_the_newest_instance(self, store, ground, ids):
        """Of the machine and of no other."""
        other = await lay_ground(store, machine="other")
        assert await store.newest_instance(other.machine.id) == 0
        await create_instances(store, other, ["a"])
        assert await store.newest_instance(ground.machine.id) == ids[-1]

    async def test_portions_have_every_instance_once(self, store, ground, ids):
        """With what it stands at; up to the last that is asked for."""
        await store.commit(a_commit(ids[1], 1))
        portions = await walk(store, InstanceSelection(ground.machine.id), ids[8])
        assert [len(portion) for portion in portions] == [3, 3, 3]
        b = portions[0][1]
        assert (b.id, b.name, b.version_id) == (ids[1], "b", ground.version.id)
        assert (b.revision, b.snapshot, b.timers) == (2, b'{"value":2}', ())

    async def test_a_portion_is_bounded_by_its_bytes(self, store, ground, ids):
        """One instance is always in it."""
        portions = await walk(store, InstanceSelection(ground.machine.id), ids[-1], bytes_max=1)
        assert [len(portion) for portion in portions] == [1] * 10

    async def test_timers_come_if_they_are_asked_for(self, store, ground, ids):
        """In order."""
        timers = (a_timer(0), a_timer(1))
        await store.commit(a_commit(ids[0], 1)._replace(timers=TimerChanges(timers, ())))
        selection = InstanceSelection(ground.machine.id)
        (first, *_), *_ = await walk(store, selection, ids[-1], with_timers=True)
        assert first.timers == timers

    async def test_by_version(self, store, ground, second, ids):
        """The one that they have now."""
        await store.commit(a_commit(ids[3], 1)._replace(upgraded_to=second.id))
        machine = ground.machine.id
        assert await names_of(store, InstanceSelection(machine, second.id), ids[-1]) == ["d"]
        old = await names_of(store, InstanceSelection(machine, ground.version.id), ids[-1])
        assert old == [name for name in ALL if name != "d"]

    async def test_by_name(self, store, ground, ids):
        """Those that there are."""
        names = tuple(map(InstanceName, ["j", "b", "nobody"]))
        selection = InstanceSelection(ground.machine.id, names=names)
        assert await names_of(store, selection, ids[-1]) == ["b", "j"]

    async def test_names_that_nobody_has(self, store, ground, ids):
        """In the order in which they were asked about; whether another machine has them or not."""
        other = await lay_ground(store, machine="other")
        await create_instances(store, other, ["z"])
        names = [InstanceName(name) for name in ("z", "b", "nobody", "a", "j")]
        assert await store.missing_instances(ground.machine.id, names) == ["z", "nobody"]
        assert await store.missing_instances(ground.machine.id, names[1:2]) == []

    @pytest.mark.parametrize("comparison", [None, *Comparison])
    async def test_by_index(self, store, ground, ids, comparison):
        """Once each, however many entries match; in all comparisons."""
        values = {0: ["x"], 1: ["y"], 2: ["z"], 3: ["x", "z"]}
        for n, entries in values.items():
            changes = IndexChanges(tuple(("owner", value) for value in entries), ())
            await store.reindex(ids[n], 1, changes)
        await store.reindex(ids[4], 1, IndexChanges((("other", "y"),), ()))
        filter = None if comparison is None else IndexFilter(comparison, "y")
        selection = InstanceSelection(ground.machine.id, condition=IndexCondition("owner", filter))
        expected = [
            ALL[n]
            for n, entries in values.items()
            if filter is None or any(filter.admits(value) for value in entries)
        ]
        assert await names_of(store, selection, ids[-1]) == expected


def a_job(ground, target, last, name="one", **selected):
    """One that is about all instances up to `last`."""
    selection = InstanceSelection(ground.machine.id, **selected)
    return BulkUpgrade(BulkUpgradeId(f"blk_{name}"), target.id, selection, NOW, last=last)


@pytest.fixture
async def job(store, ground, second, ids):
    """From the first version to the second, selected."""
    job = a_job(ground, second, ids[-1], version=ground.version.id)
    await store.create_bulk_upgrade(job)
    await store.select_for_bulk_upgrade(job.id, limit=100)
    return job


class TestJobs:
    async def test_a_job_is_found_as_it_was_made(self, store, ground, second, ids):
        """By id, in the list, and among those that run."""
        names = (InstanceName("a"), InstanceName("b"))
        condition = IndexCondition("owner", IndexFilter(Comparison.GREATER, "x"))
        job = a_job(
            ground,
            second,
            ids[-1],
            version=ground.version.id,
            condition=condition,
            names=names,
        )
        await store.create_bulk_upgrade(job)
        assert await store.bulk_upgrade(job.id) == job
        page = await store.list_bulk_upgrades(ground.machine.id, cursor=None)
        assert list(page.items) == [job]
        assert list(await store.running_bulk_upgrades()) == [job]
        assert await store.bulk_upgrade(BulkUpgradeId("blk_none")) is None
        other = await lay_ground(store, machine="other")
        assert not (await store.list_bulk_upgrades(other.machine.id, cursor=None)).items

    async def test_a_machine_has_one_unfinished_job(self, store, ground, second, job):
        """Paused ones count; the next may begin when it is over."""
        another = a_job(ground, second, job.last, "two")
        for status in (JobStatus.RUNNING, JobStatus.PAUSED):
            assert await store.change_bulk_upgrade(job.id, status)
            with pytest.raises(InvalidState):
                await store.create_bulk_upgrade(another)
        await store.change_bulk_upgrade(job.id, JobStatus.DONE, finished_at=NOW)
        await store.create_bulk_upgrade(another)

    async def test_a_target_has_to_exist(self, store, ground, ids):
        """The machine may have been deleted meanwhile."""
        job = a_job(ground, replace(ground.version, id=VersionId("ver_none")), ids[-1])
        with pytest.raises(NotFound):
            await store.create_bulk_upgrade(job)

    async def test_what_is_over_stays_over(self, store, job):
        """Whoever is late changes nothing."""
        assert await store.change_bulk_upgrade(job.id, JobStatus.PAUSED, reason="hosts died")
        paused = await store.bulk_upgrade(job.id)
        assert (paused.status, paused.reason) == (JobStatus.PAUSED, "hosts died")
        assert await store.running_bulk_upgrades() == []
        assert await store.change_bulk_upgrade(job.id, JobStatus.CANCELLED, finished_at=NOW)
        assert not await store.change_bulk_upgrade(job.id, JobStatus.RUNNING)
        over = await store.bulk_upgrade(job.id)
        assert (over.status, over.reason, over.finished_at) == (JobStatus.CANCELLED, None, NOW)

    async def test_the_oldest_are_forgotten(self, store, ground, second, ids):
        """With their results."""
        for n in range(BULK_UPGRADES_KEPT + 2):
            job = a_job(ground, second, ids[-1], str(n))
            await store.create_bulk_upgrade(job)
            await store.select_for_bulk_upgrade(job.id, limit=100)
            await store.change_bulk_upgrade(job.id, JobStatus.DONE, finished_at=NOW)
        assert await store.bulk_upgrade(BulkUpgradeId("blk_0")) is None
        assert await store.bulk_upgrade_counts(BulkUpgradeId("blk_0")) == {}
        assert await store.bulk_upgrade(BulkUpgradeId("blk_1")) is not None

    async def test_selecting_goes_by_portions(self, store, ground, second, ids):
        """Those that have the version already are unchanged; those that came later are not looked at."""
        await store.commit(a_commit(ids[3], 1)._replace(upgraded_to=second.id))
        job = a_job(ground, second, ids[8])
        await store.create_bulk_upgrade(job)
        more = [await store.select_for_bulk_upgrade(job.id, limit=4) for _ in range(3)]
        assert more == [True, True, False]
        assert (await store.bulk_upgrade(job.id)).is_selected
        assert await store.bulk_upgrade_counts(job.id) == {
            InstanceOutcome.PENDING: 8,
            InstanceOutcome.UNCHANGED: 1,
        }

    async def test_selecting_asks_for_version_name_and_index(self, store, ground, second, ids):
        """All at once."""
        for n in (1, 2, 3):
            await store.reindex(ids[n], 1, IndexChanges((("owner", "x"),), ()))
        await store.commit(a_commit(ids[2], 1)._replace(upgraded_to=second.id))
        job = a_job(
            ground,
            second,
            ids[-1],
            version=ground.version.id,
            condition=IndexCondition("owner", IndexFilter(Comparison.EQUAL, "x")),
            names=(InstanceName("b"), InstanceName("c"), InstanceName("e")),
        )
        await store.create_bulk_upgrade(job)
        await store.select_for_bulk_upgrade(job.id, limit=100)
        tasks = await tasks_of(store, job)
        assert tasks == [UpgradeTask(ids[1], ground.version.id)]


async def tasks_of(store, job, outcome=InstanceOutcome.PENDING, *, after=0, limit=100):
    """What is left to do."""
    after = InstanceId(after)
    return list(await store.bulk_upgrade_tasks(job.id, outcome, after=after, limit=limit))


class TestResults:
    async def test_tasks_come_by_number(self, store, job, ids):
        """In portions."""
        first = await tasks_of(store, job, limit=4)
        assert [task.instance_id for task in first] == ids[:4]
        rest = await tasks_of(store, job, after=ids[3])
        assert [task.instance_id for task in rest] == ids[4:]

    async def test_a_result_replaces_the_one_before(self, store, job, ids):
        """The version stays the one from before the job."""
        waiting = UpgradeResult(ids[0], InstanceOutcome.WAITING, "unsettled", "later", 2)
        await store.record_upgrade_results(job.id, [waiting])
        (task,) = await tasks_of(store, job, InstanceOutcome.WAITING)
        assert task.tries == 2
        failed = UpgradeResult(ids[1], InstanceOutcome.FAILED, "migration-error", "it threw")
        done = UpgradeResult(ids[0], InstanceOutcome.UPGRADED)
        await store.record_upgrade_results(job.id, [done, failed])
        assert await store.bulk_upgrade_counts(job.id) == {
            InstanceOutcome.PENDING: 8,
            InstanceOutcome.UPGRADED: 1,
            InstanceOutcome.FAILED: 1,
        }
        page = await store.list_upgrade_results(job.id, InstanceOutcome.FAILED, cursor=None)
        (listed,) = page.items
        assert (listed.name, listed.reason, listed.message) == ("b", "migration-error", "it threw")
        page = await store.list_upgrade_results(job.id, None, cursor=None)
        assert [listed.name for listed in page.items] == ALL[::-1]

    async def test_lists_have_pages(self, store, ground, second):
        """Newest instance first, each once."""
        names = [f"n{n:03}" for n in range(250)]
        ids = await create_instances(store, ground, names)
        job = a_job(ground, second, ids[-1])
        await store.create_bulk_upgrade(job)
        await store.select_for_bulk_upgrade(job.id, limit=1_000)
        for outcome in (None, InstanceOutcome.PENDING):
            found: list[str] = []
            cursor = None
            while found == [] or cursor is not None:
                page = await store.list_upgrade_results(job.id, outcome, cursor=cursor)
                found += [listed.name for listed in page.items]
                cursor = page.cursor
            assert found == names[::-1]

    async def test_results_go_with_their_instance(self, store, job, ids):
        """A late result is nobody's."""
        await store.delete_instance(ids[0])
        await store.record_upgrade_results(
            job.id, [UpgradeResult(ids[0], InstanceOutcome.UPGRADED)]
        )
        assert await store.bulk_upgrade_counts(job.id) == {InstanceOutcome.PENDING: 9}

    async def test_jobs_go_with_their_machine(self, store, ground, job, ids):
        """Results and all."""
        for instance_id in ids:
            await store.delete_instance(instance_id)
        await store.delete_machine(ground.machine.id)
        assert await store.bulk_upgrade(job.id) is None
