"""The worker behind bulk upgrades: it goes on, whatever fails, and takes jobs in turn."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from statekeep.application.selections import SelectionText
from statekeep.domain.bulk_upgrade import InstanceOutcome, JobStatus
from statekeep.domain.errors import Overloaded
from statekeep.domain.limits import BULK_UPGRADE_PORTION
from statekeep.domain.names import InstanceName, MachineName, VersionId
from statekeep.workers.worker import Worker
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, ORGANIZATION, THEN, World, until


@pytest.fixture
async def world():
    """A machine with two versions and a migration."""
    world = await World(ToyRuntime()).set_up()
    await world.add_version("ver_2")
    await world.add_migration("ver_1", "ver_2")
    yield world
    await world.upgrading.stop()
    await world.instances.drain(1)


async def begin(world):
    text = SelectionText(VersionId("ver_1"))
    return await world.bulk_upgrades.begin(CALLER, MACHINE, VersionId("ver_2"), text)


async def test_a_store_that_fails_is_asked_again(world, monkeypatch):
    """The job is done all the same."""
    monkeypatch.setattr(Worker, "retry_seconds", 0)
    await world.create("a")
    job_id = await begin(world)
    real = world.store.record_upgrade_results
    failures: list[str] = []

    async def fail_once(job_id, results):
        if not failures:
            failures.append(job_id)
            raise Overloaded("no room on the disk")
        await real(job_id, results)

    monkeypatch.setattr(world.store, "record_upgrade_results", fail_once)
    await world.upgrading.start()
    await world.store.upgrade_over.wait()
    assert failures
    assert await world.store.bulk_upgrade_counts(job_id) == {InstanceOutcome.UPGRADED: 1}
    assert (await world.history("a")).count("statebacked.upgrade") == 1


async def test_every_portion_is_looked_at_in_a_round(world):
    """Those that are not ready do not hide those behind them."""
    world = world.restarted(ToyRuntime(), residents_max=1_000)
    count = 2 * BULK_UPGRADE_PORTION + 1
    await asyncio.gather(*(world.create(f"n{n}") for n in range(count)))
    world.runtime.upgrade_error = Overloaded("busy")
    job_id = await begin(world)
    await world.upgrading.work()
    assert await world.store.bulk_upgrade_counts(job_id) == {InstanceOutcome.WAITING: count}
    world.runtime.upgrade_error = None
    world.upgrading.look()
    await world.upgrading.start()
    await world.store.upgrade_over.wait()
    assert await world.store.bulk_upgrade_counts(job_id) == {InstanceOutcome.UPGRADED: count}
    await world.upgrading.stop()


async def test_a_job_without_instances_is_done_at_once(world):
    """There is nothing to wait for."""
    job_id = await begin(world)
    assert await world.upgrading.work() is None
    assert (await world.store.bulk_upgrade(job_id)).status is JobStatus.DONE


async def test_stopping_leaves_the_rest_for_the_next_start(world):
    """An upgrade under way is finished or not; it is counted once either way."""
    for name in ("a", "b"):
        await world.create(name)
    job_id = await begin(world)
    world.runtime.upgrade_gate.clear()
    await world.upgrading.start()
    await world.runtime.upgrading.wait()
    await world.upgrading.stop()
    await world.upgrading.stop()
    world.runtime.upgrade_gate.set()
    await world.instances.drain(1)
    other = world.restarted(ToyRuntime())
    await other.upgrading.work()
    assert await other.store.bulk_upgrade_counts(job_id) == {InstanceOutcome.UPGRADED: 2}
    for name in ("a", "b"):
        assert (await other.history(name)).count("statebacked.upgrade") == 1


async def second_machine(world):
    """With two versions, a way from one to the other, and an instance of the first."""
    name = MachineName("other")
    await world.store.create_machine(ORGANIZATION, name, (), THEN)
    machine = await world.store.machine(ORGANIZATION, name)
    for version in ("ver_1", "ver_2"):
        model = await world.store.version(VersionId(version))
        other = replace(
            model, id=VersionId(f"other_{version}"), machine_id=machine.id, machine_name=name
        )
        await world.store.create_version(other, b"code", make_current=version == "ver_1")
    migration = await world.add_migration("ver_1", "ver_2")
    moved = replace(
        migration,
        id="mig_other",
        machine_id=machine.id,
        from_version=VersionId("other_ver_1"),
        to_version=VersionId("other_ver_2"),
    )
    await world.store.create_migration(moved, b"code")
    await world.instances.create(CALLER, name, InstanceName("a"), b"{}", None)
    return name


async def test_no_job_waits_for_another(world):
    """Whose new version takes its time."""
    await world.create("a")
    other = await second_machine(world)
    slow_job = await begin(world)
    world.runtime.gated = VersionId("ver_2")
    world.runtime.upgrade_gate.clear()
    await world.upgrading.start()
    await world.runtime.upgrading.wait()
    text, target = SelectionText(VersionId("other_ver_1")), VersionId("other_ver_2")
    quick_job = await world.bulk_upgrades.begin(CALLER, other, target, text)
    await asyncio.wait_for(world.store.upgrade_over.wait(), 10)
    assert (await world.store.bulk_upgrade(quick_job)).status is JobStatus.DONE
    assert (await world.store.bulk_upgrade(slow_job)).status is JobStatus.RUNNING
    world.store.upgrade_over.clear()
    world.runtime.upgrade_gate.set()
    await asyncio.wait_for(world.store.upgrade_over.wait(), 10)
    assert (await world.store.bulk_upgrade(slow_job)).status is JobStatus.DONE


async def test_more_jobs_than_are_worked_on_at_once_take_turns(world, monkeypatch):
    """And none is forgotten."""
    monkeypatch.setattr("statekeep.workers.bulk_upgrades.BULK_UPGRADE_JOBS_AT_ONCE", 1)
    monkeypatch.setattr("statekeep.application.bulk_upgrading.BULK_UPGRADE_PORTION", 1)
    for name in ("a", "b", "c"):
        await world.create(name)
    other = await second_machine(world)
    long_job = await begin(world)
    text, target = SelectionText(VersionId("other_ver_1")), VersionId("other_ver_2")
    short_job = await world.bulk_upgrades.begin(CALLER, other, target, text)
    assert await world.upgrading.work() is None
    targets = [target for _, target, _ in world.runtime.upgrades]
    assert targets == ["ver_2", "other_ver_2", "ver_2", "ver_2"]
    for job in (long_job, short_job):
        assert (await world.store.bulk_upgrade(job)).status is JobStatus.DONE


async def test_a_job_may_be_paused_while_a_portion_is_under_way(world):
    """It is finished, and nothing more is begun."""
    await world.create("a")
    job_id = await begin(world)
    world.runtime.upgrade_gate.clear()
    await world.upgrading.start()
    await world.runtime.upgrading.wait()
    await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "paused")
    await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "running")
    await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "paused")
    world.runtime.upgrade_gate.set()
    await until(lambda: not world.upgrading._under_way)
    assert await world.store.bulk_upgrade_counts(job_id) == {InstanceOutcome.UPGRADED: 1}
    assert len(world.runtime.upgrades) == 1
    await world.bulk_upgrades.set_status(CALLER, MACHINE, job_id, "running")
    await asyncio.wait_for(world.store.upgrade_over.wait(), 10)
