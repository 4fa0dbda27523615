"""Blast radii: who is in a state that a version does not have."""

from __future__ import annotations

import pytest

from statekeep.domain.errors import NotFound, Overloaded
from statekeep.domain.names import VersionId
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, MACHINE, World

V2 = VersionId("ver_2")


@pytest.fixture
async def world():
    """A second version that calls its state otherwise."""
    world = await World(ToyRuntime()).set_up()
    await world.add_version("ver_2")
    world.runtime.states["ver_2"] = ["lit"]
    yield world
    await world.instances.drain(1)


async def test_instances_of_other_versions_count(world):
    """Those in states that are there do not."""
    for name in ("a", "b"):
        await world.create(name)
    radius = await world.blast_radii.of(CALLER, MACHINE, V2)
    assert (radius.checked, radius.affected, radius.is_complete) == (2, 2, True)
    assert [tuple(state) for state in radius.unmapped] == [(("on",), "ver_1", 2)]
    assert radius == await world.blast_radii.at_a_glance(V2)
    own = await world.blast_radii.of(CALLER, MACHINE, VersionId("ver_1"))
    assert (own.checked, own.affected, own.unmapped) == (0, 0, [])
    with pytest.raises(NotFound):
        await world.blast_radii.of(CALLER, MACHINE, VersionId("ver_9"))


async def test_all_portions_count(world, monkeypatch):
    """However the instances are divided."""
    monkeypatch.setattr("statekeep.application.blast_radius._PORTION", 2)
    for name in "abcde":
        await world.create(name)
    radius = await world.blast_radii.of(CALLER, MACHINE, V2)
    assert (radius.checked, radius.affected, radius.is_complete) == (5, 5, True)
    assert [tuple(state) for state in radius.unmapped] == [(("on",), "ver_1", 5)]


async def test_no_instance_no_question(world):
    """A host is not started for it."""

    async def describe(version):
        raise AssertionError("nobody is there")

    world.runtime.describe = describe
    assert (await world.blast_radii.at_a_glance(V2)).is_complete


async def test_a_glance_has_its_bound(world, monkeypatch):
    """It says so where it did not see all."""
    monkeypatch.setattr("statekeep.application.blast_radius.BLAST_RADIUS_INSTANCES_MAX", 1)
    monkeypatch.setattr("statekeep.application.blast_radius._PORTION", 1)
    for name in ("a", "b"):
        await world.create(name)
    radius = await world.blast_radii.at_a_glance(V2)
    assert (radius.checked, radius.affected, radius.is_complete) == (1, 1, False)


@pytest.mark.parametrize("error", [Overloaded("busy"), OSError("odd")])
async def test_a_glance_never_fails(world, error):
    """The version is published already."""
    await world.create("a")

    async def describe(version):
        raise error

    world.runtime.describe = describe
    radius = await world.blast_radii.at_a_glance(V2)
    assert (radius.affected, radius.is_complete) == (0, False)


async def test_a_glance_does_not_wait(world, monkeypatch):
    """For a host that takes its time."""
    await world.create("a")
    world.runtime.upgrade_gate.clear()

    async def describe(version):
        await world.runtime.upgrade_gate.wait()
        return b'{"states":[]}'

    world.runtime.describe = describe
    bound = "statekeep.application.blast_radius.BLAST_RADIUS_TIME"
    from datetime import timedelta

    monkeypatch.setattr(bound, timedelta(milliseconds=1))
    assert not (await world.blast_radii.at_a_glance(V2)).is_complete
    world.runtime.upgrade_gate.set()
