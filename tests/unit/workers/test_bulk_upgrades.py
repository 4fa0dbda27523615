"""The worker behind bulk upgrades: it goes on, whatever fails, and takes jobs in turn."""

from __future__ import annotations

import asyncio

import pytest

from statekeep.application.selections import SelectionText
from statekeep.domain.bulk_upgrade import InstanceOutcome, JobStatus
from statekeep.domain.errors import Overloaded
from statekeep.domain.limits import BULK_UPGRADE_PORTION
from statekeep.domain.names import VersionId
from statekeep.workers.worker import Worker
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, World


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
