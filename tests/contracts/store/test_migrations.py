"""What the store promises about migrations, and about the versions that instances have, had and are to have."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from statekeep.domain.errors import AlreadyExists, NotFound
from statekeep.domain.event import Origin
from statekeep.domain.limits import PAGE_SIZE
from statekeep.domain.machine import VersionInfo
from statekeep.domain.names import InstanceId, MigrationId, VersionId
from statekeep.domain.timer import TimerChanges
from statekeep.ports.store import ConflictingRevision, Upload, VersionSpan
from tests.support.builders import (
    CODE,
    NOW,
    a_commit,
    a_migration,
    a_timer,
    a_version,
    an_entry,
    create_instance,
    lay_ground,
)

MIGRATION = b"export const upgradeState = (path) => path;"


@pytest.fixture
async def second(store, ground):
    """Another version of the machine."""
    version = a_version(ground.machine, "second")
    await store.create_version(version, CODE, make_current=False)
    return version


@pytest.fixture
async def third(store, ground):
    """Yet another."""
    version = a_version(ground.machine, "third")
    await store.create_version(version, CODE, make_current=False)
    return version


def info(version):
    """What lists show of it."""
    return VersionInfo(version.id, version.created_at, version.client_info)


def upgrade_of(instance_id, base_revision, version):
    """The commit that carries an instance over."""
    entry = an_entry(base_revision + 1, origin=Origin.UPGRADE)
    return a_commit(instance_id, base_revision)._replace(entries=(entry,), upgraded_to=version.id)


class TestMigrations:
    async def test_a_migration_is_found_by_its_id(self, store, ground, second):
        """With its code, and no longer as an upload."""
        migration = a_migration(ground.version, second)
        await store.save_upload(migration.id, Upload(b"gz", True), expires_at=NOW)
        assert await store.upload(migration.id) == Upload(b"gz", True)
        await store.create_migration(migration, MIGRATION)
        assert await store.migration(migration.id) == migration
        assert await store.migration_code(migration.id) == MIGRATION
        assert await store.upload(migration.id) is None

    async def test_there_is_no_other(self, store):
        """None instead."""
        assert await store.migration(MigrationId("mig_none")) is None
        assert await store.migration_code(MigrationId("mig_none")) is None

    async def test_an_id_is_taken_once(self, store, ground, second):
        """The first keeps its code."""
        migration = a_migration(ground.version, second)
        await store.create_migration(migration, MIGRATION)
        with pytest.raises(AlreadyExists):
            await store.create_migration(migration, b"other")
        assert await store.migration_code(migration.id) == MIGRATION

    async def test_machine_and_versions_have_to_exist(self, store, ground, second):
        """Nothing is published without them."""
        migration = a_migration(ground.version, second)
        for missing in (
            replace(migration, machine_id=4711),
            replace(migration, from_version=VersionId("ver_none")),
            replace(migration, to_version=VersionId("ver_none")),
        ):
            with pytest.raises(NotFound):
                await store.create_migration(missing, MIGRATION)
        assert await store.migration(migration.id) is None

    async def test_they_are_listed_by_machine(self, store, ground, second):
        """Newest first, all at once or by pages, each exactly once."""
        other = await lay_ground(store, machine="other")
        await store.create_migration(a_migration(other.version, other.version, "other"), MIGRATION)
        made = [a_migration(ground.version, second, f"{number}") for number in range(PAGE_SIZE + 5)]
        for migration in made:
            await store.create_migration(migration, MIGRATION)
        assert await store.migrations(ground.machine.id) == made[::-1]
        first = await store.list_migrations(ground.machine.id, cursor=None)
        rest = await store.list_migrations(ground.machine.id, cursor=first.cursor)
        assert [*first.items, *rest.items] == made[::-1]
        assert rest.cursor is None

    async def test_they_go_with_their_machine(self, store, ground, second):
        """And their code too."""
        migration = a_migration(ground.version, second)
        await store.create_migration(migration, MIGRATION)
        await store.delete_machine(ground.machine.id)
        assert await store.migration(migration.id) is None
        assert await store.migration_code(migration.id) is None
        assert await store.migrations(ground.machine.id) == []


class TestDesiredVersion:
    async def test_it_is_kept_and_shown(self, store, ground, second, instance_id):
        """In a claim and in lists, and nothing else of the instance changes."""
        before = await store.claim_by_id(instance_id)
        await store.set_desired_version(instance_id, second.id)
        after = await store.claim_by_id(instance_id)
        assert after == before._replace(desired_version=info(second))
        (listed,) = (await store.list_instances(ground.machine.id, cursor=None)).items
        assert (listed.version, listed.desired_version) == (info(ground.version), info(second))

    async def test_the_version_that_it_has_is_none_to_wish_for(
        self, store, ground, second, instance_id
    ):
        """Setting that takes the wish back."""
        await store.set_desired_version(instance_id, second.id)
        await store.set_desired_version(instance_id, ground.version.id)
        assert (await store.claim_by_id(instance_id)).desired_version is None

    async def test_nobody_is_no_error(self, store, second):
        """The instance may just have been deleted."""
        await store.set_desired_version(InstanceId(99), second.id)


class TestUpgrades:
    async def test_an_upgrade_is_one_commit(self, store, ground, second, instance_id):
        """Version, wish, journal, timers and revision change together."""
        timers = TimerChanges((a_timer(0), a_timer(1)), ())
        await store.commit(a_commit(instance_id, 1)._replace(timers=timers, next_timer_seq=2))
        await store.set_desired_version(instance_id, second.id)
        moved = TimerChanges((a_timer(2, due_at=5.0),), (0,))
        commit = upgrade_of(instance_id, 2, second)
        await store.commit(commit._replace(timers=moved, next_timer_seq=3))
        claimed = await store.claim_by_id(instance_id)
        assert (claimed.version, claimed.desired_version) == (second, None)
        assert (claimed.revision, claimed.snapshot) == (3, b'{"value":3}')
        assert claimed.timers == (a_timer(1), a_timer(2, due_at=5.0))
        (listed,) = (await store.list_instances(ground.machine.id, cursor=None)).items
        assert (listed.version, listed.desired_version) == (info(second), None)
        newest = (await store.list_transitions(instance_id, cursor=None)).items[0]
        assert (newest.revision, newest.event) == (3, b'{"type":"E3"}')

    async def test_it_is_fenced_like_any_other(self, store, ground, second, instance_id):
        """Nothing of an upgrade from another revision is written."""
        await store.set_desired_version(instance_id, second.id)
        before = await store.claim_by_id(instance_id)
        with pytest.raises(ConflictingRevision):
            await store.commit(upgrade_of(instance_id, 7, second))
        assert await store.claim_by_id(instance_id) == before
        assert await store.version_spans(instance_id) == [VersionSpan(1, ground.version)]

    async def test_a_version_that_is_none_changes_nothing(self, store, ground, instance_id):
        """The instance stays where it was, and its neighbours are written."""
        other = await create_instance(store, ground, "two")
        nowhere = replace(ground.version, id=VersionId("ver_none"))
        results = await asyncio.gather(
            store.commit(upgrade_of(instance_id, 1, nowhere)),
            store.commit(a_commit(other, 1)),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [NotFound, type(None)]
        assert (await store.claim_by_id(instance_id)).revision == 1
        assert (await store.claim_by_id(other)).revision == 2

    async def test_another_wish_stays(self, store, second, third, instance_id):
        """Somebody wished for a third version while the second was under way."""
        await store.set_desired_version(instance_id, third.id)
        await store.commit(upgrade_of(instance_id, 1, second))
        claimed = await store.claim_by_id(instance_id)
        assert (claimed.version, claimed.desired_version) == (second, info(third))

    async def test_whose_states_were_whose_is_known(
        self, store, ground, second, third, instance_id
    ):
        """From which revision on which version made them, however many commits one batch holds."""
        commits = [
            a_commit(instance_id, 1),
            upgrade_of(instance_id, 2, second),
            a_commit(instance_id, 3, entries=2),
            upgrade_of(instance_id, 5, third),
            upgrade_of(instance_id, 6, second),
        ]
        for written in [store.commit(commit) for commit in commits]:
            await written
        assert await store.version_spans(instance_id) == [
            VersionSpan(1, ground.version),
            VersionSpan(3, second),
            VersionSpan(6, third),
            VersionSpan(7, second),
        ]

    async def test_an_instance_that_is_gone_has_no_versions(self, store, second, instance_id):
        """Nor has its successor those of the one before."""
        await store.commit(upgrade_of(instance_id, 1, second))
        await store.delete_instance(instance_id)
        assert await store.version_spans(instance_id) == []
