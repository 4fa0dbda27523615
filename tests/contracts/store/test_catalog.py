"""What the store promises about organizations, members, keys, machines, versions and uploads."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from statekeep.domain.access import Role
from statekeep.domain.errors import AlreadyExists, InvalidState, NotFound
from statekeep.domain.limits import CODE_BYTES_MAX, PAGE_SIZE
from statekeep.domain.machine import Membership, Usage, VersionInfo
from statekeep.domain.names import KeyId, MachineName, OrganizationId, UserId, VersionId
from statekeep.domain.transfer import ImportId
from statekeep.ports.store import Upload
from tests.support.builders import (
    CODE,
    NOW,
    a_commit,
    a_key,
    a_user,
    a_version,
    an_organization,
    create_instance,
    create_instances,
    found_organization,
    lay_ground,
)


async def all_items(read):
    """Every item of a list."""
    items, page = [], await read(None)
    while page.cursor is not None:
        items += page.items
        page = await read(page.cursor)
    return [*items, *page.items]


class TestPeople:
    async def test_an_organization_has_its_first_member(self, store):
        """As an admin."""
        ada = a_user("ada")
        organization = replace(an_organization(), allow_anonymous_access=True)
        await store.create_user(ada)
        await store.create_organization(organization, ada.id)
        assert await store.organization(organization.id) == organization
        assert await store.memberships(ada.id) == [Membership(organization, Role.ADMIN)]
        assert await store.role_of(ada.id, organization.id) is Role.ADMIN

    async def test_strangers_have_no_role(self, store):
        """Neither members of other organizations nor users that do not exist."""
        organization_id = await found_organization(store, "acme")
        await found_organization(store, "rival")
        assert await store.role_of(a_user("admin of rival").id, organization_id) is None
        assert await store.role_of(UserId("usr_nobody"), organization_id) is None
        assert await store.memberships(UserId("usr_nobody")) == []
        assert await store.organization(OrganizationId("org_none")) is None

    async def test_an_organization_needs_a_user(self, store):
        """Without one nobody could ever enter it."""
        with pytest.raises(NotFound):
            await store.create_organization(an_organization(), UserId("usr_nobody"))
        assert await store.organization(an_organization().id) is None

    async def test_half_a_write_is_undone_among_others(self, store):
        """An organization without its first member is none, also where other writes of the moment succeed."""
        results = await asyncio.gather(
            store.create_user(a_user("ada")),
            store.create_organization(an_organization(), UserId("usr_nobody")),
            store.create_user(a_user("eve")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), NotFound, type(None)]
        assert await store.organization(an_organization().id) is None
        assert await store.user_by_email(a_user("eve").email) is not None

    async def test_an_id_of_an_organization_is_taken_once(self, store):
        """The first keeps it."""
        organization_id = await found_organization(store)
        await store.create_user(a_user("eve"))
        with pytest.raises(AlreadyExists):
            await store.create_organization(an_organization(), a_user("eve").id)
        assert await store.role_of(a_user("eve").id, organization_id) is None

    async def test_memberships_come_oldest_first(self, store):
        """By the age of the organization, not of the membership."""
        ada = a_user("ada")
        await store.create_user(ada)
        for name, days in (("b", 2), ("c", 3), ("a", 1)):
            created_at = NOW + timedelta(days=days)
            await store.create_organization(an_organization(name, created_at=created_at), ada.id)
        names = [membership.organization.name for membership in await store.memberships(ada.id)]
        assert names == ["a", "b", "c"]


class TestUsage:
    async def test_everything_of_the_organization_counts(self, store):
        """And nothing of others, nor what is gone."""
        ground = await lay_ground(store)
        await lay_ground(store, machine="other")
        rivals = await lay_ground(store, organization="rival")
        await create_instance(store, rivals)
        kept, gone = await create_instances(store, ground, ["kept", "gone"])
        await store.commit(a_commit(kept, 1, entries=4))
        await store.delete_instance(gone)
        assert await store.usage(ground.machine.organization_id) == Usage(2, 2, 1, 5)
        assert await store.usage(OrganizationId("org_none")) == Usage(0, 0, 0, 0)

    async def test_what_is_being_imported_does_not_count(self, store):
        """Nobody can see it yet."""
        organization_id = await found_organization(store)
        await store.stage_machine(ImportId("imp_1"), organization_id, MachineName("door"), (), NOW)
        assert await store.usage(organization_id) == Usage(0, 0, 0, 0)


class TestKeys:
    async def test_a_key_is_found_by_its_id_with_its_secret(self, store):
        """In any organization: the token says which key, the key which organization."""
        key = a_key(await found_organization(store))
        await store.create_key(key, b"\0sealed")
        assert await store.key(key.id) == (key, b"\0sealed")
        assert await store.key(KeyId("sbk_none")) is None

    async def test_a_deleted_key_is_gone(self, store):
        """At once. Deleting it again finds nothing."""
        key = a_key(await found_organization(store))
        await store.create_key(key, b"")
        assert await store.delete_key(key.organization_id, key.id) is True
        assert await store.key(key.id) is None
        assert await store.delete_key(key.organization_id, key.id) is False

    async def test_others_cannot_delete_a_key(self, store):
        """It is not theirs to know of."""
        key = a_key(await found_organization(store, "acme"))
        await store.create_key(key, b"")
        rival = await found_organization(store, "rival")
        assert await store.delete_key(rival, key.id) is False
        assert await store.key(key.id) is not None

    async def test_keys_come_newest_first_in_pages(self, store):
        """Those of one organization only."""
        ours, theirs = await found_organization(store, "a"), await found_organization(store, "b")
        for number in range(PAGE_SIZE + 5):
            await store.create_key(a_key(ours, f"k{number}"), b"")
        await store.create_key(a_key(theirs, "theirs"), b"")
        keys = await all_items(lambda c: store.list_keys(ours, cursor=c))
        assert keys == [a_key(ours, f"k{number}") for number in reversed(range(PAGE_SIZE + 5))]

    async def test_a_key_belongs_to_an_organization_that_exists(self, store):
        """And an id is used once."""
        with pytest.raises(NotFound):
            await store.create_key(a_key(OrganizationId("org_none")), b"")
        key = a_key(await found_organization(store))
        await store.create_key(key, b"first")
        with pytest.raises(AlreadyExists):
            await store.create_key(key, b"second")
        assert await store.key(key.id) == (key, b"first")


class TestMachines:
    async def test_a_machine_begins_without_a_version(self, store):
        """With its indexes in order."""
        organization_id = await found_organization(store)
        name = MachineName("toggle")
        await store.create_machine(organization_id, name, ("b", "a"), NOW)
        machine = await store.machine(organization_id, name)
        assert machine == replace(
            machine,
            organization_id=organization_id,
            name=name,
            indexes=("b", "a"),
            created_at=NOW,
            current_version=None,
        )

    async def test_a_name_is_taken_once_in_an_organization(self, store, ground):
        """Another organization may use it as well."""
        with pytest.raises(AlreadyExists):
            await store.create_machine(ground.machine.organization_id, ground.machine.name, (), NOW)
        rival = await lay_ground(store, organization="rival", machine=ground.machine.name)
        assert rival.machine.id != ground.machine.id
        with pytest.raises(NotFound):
            await store.create_machine(OrganizationId("org_none"), MachineName("m"), (), NOW)

    async def test_a_machine_is_found_in_its_organization_only(self, store, ground):
        """To others it does not exist."""
        rival = await found_organization(store, "rival")
        assert await store.machine(rival, ground.machine.name) is None
        assert await store.machine(ground.machine.organization_id, MachineName("no")) is None

    async def test_machines_come_newest_first_in_pages(self, store, ground):
        """With their current versions, those of one organization only."""
        owner = ground.machine.organization_id
        await lay_ground(store, organization="rival")
        for number in range(PAGE_SIZE + 5):
            await store.create_machine(owner, MachineName(f"m{number}"), (), NOW)
        machines = await all_items(lambda c: store.list_machines(owner, cursor=c))
        names = [f"m{number}" for number in reversed(range(PAGE_SIZE + 5))]
        assert [machine.name for machine in machines] == [*names, "toggle"]
        assert machines[-1] == ground.machine

    async def test_a_machine_goes_with_its_versions(self, store, ground):
        """Its name is free again, for a machine with another number."""
        await store.delete_machine(ground.machine.id)
        assert await store.machine(ground.machine.organization_id, ground.machine.name) is None
        assert await store.version(ground.version.id) is None
        assert await store.version_code(ground.version.id) is None
        again = await lay_ground(store)
        assert again.machine.id != ground.machine.id

    async def test_a_machine_with_instances_stays(self, store, ground):
        """Until the last of them is deleted."""
        instance_id = await create_instance(store, ground)
        with pytest.raises(InvalidState):
            await store.delete_machine(ground.machine.id)
        assert await store.claim_by_id(instance_id) is not None
        await store.delete_instance(instance_id)
        await store.delete_machine(ground.machine.id)

    async def test_what_is_read_again_is_as_it_was_written_last(self, store):
        """Nothing that was found before stands in the way of what somebody was told is written: neither that there is none, nor another one."""
        ground = await lay_ground(store)
        name, second = ground.machine.name, a_version(ground.machine, "second")
        organization_id = ground.machine.organization_id

        async def current():
            found = await store.machine(organization_id, name)
            return found and found.current_version and found.current_version.id

        assert await current() == ground.version.id
        assert await store.version(second.id) is None
        await store.create_version(second, CODE, make_current=True)
        assert await store.version(second.id) == second
        assert await current() == second.id
        await store.delete_machine(ground.machine.id)
        assert await store.version(second.id) is None
        assert await store.machine(organization_id, name) is None
        await store.create_machine(organization_id, name, (), NOW)
        assert await current() is None
        assert await store.machine(organization_id, name) is not None


class TestVersions:
    async def test_a_published_version_is_complete(self, store, ground):
        """With its code, apart."""
        version = replace(
            a_version(ground.machine, "second"),
            client_info=None,
            index_selectors={},
            xstate_major=4,
        )
        await store.create_version(version, b"\0code", make_current=False)
        assert await store.version(version.id) == version
        assert await store.version_code(version.id) == b"\0code"
        assert await store.version(ground.version.id) == ground.version
        assert await store.version_code(ground.version.id) == CODE

    async def test_a_version_becomes_current_if_asked(self, store, ground):
        """Otherwise the machine keeps the one it has."""
        owner, name = ground.machine.organization_id, ground.machine.name
        second, third = (a_version(ground.machine, name) for name in ("second", "third"))
        await store.create_version(second, CODE, make_current=False)
        current = (await store.machine(owner, name)).current_version
        assert current == ground.machine.current_version
        await store.create_version(third, CODE, make_current=True)
        current = (await store.machine(owner, name)).current_version
        assert current == VersionInfo(third.id, third.created_at, third.client_info)

    async def test_publishing_takes_the_upload_away(self, store, ground):
        """Of that version only."""
        version = a_version(ground.machine, "second")
        upload = Upload(b"zipped", True)
        await store.save_upload(version.id, upload, expires_at=NOW)
        await store.save_upload(VersionId("ver_other"), upload, expires_at=NOW)
        await store.create_version(version, CODE, make_current=False)
        assert await store.upload(version.id) is None
        assert await store.upload(VersionId("ver_other")) == upload

    async def test_a_version_is_published_once(self, store, ground):
        """The second attempt changes nothing: not the code, not the current version, not the upload."""
        await store.save_upload(ground.version.id, Upload(b"new", False), expires_at=NOW)
        with pytest.raises(AlreadyExists):
            await store.create_version(ground.version, b"other", make_current=True)
        assert await store.version_code(ground.version.id) == CODE
        assert await store.upload(ground.version.id) is not None

    async def test_a_version_needs_its_machine(self, store, ground):
        """It was deleted between the upload and the publication."""
        await store.delete_machine(ground.machine.id)
        with pytest.raises(NotFound):
            await store.create_version(ground.version, CODE, make_current=True)
        assert await store.version(ground.version.id) is None

    async def test_versions_come_newest_first_in_pages(self, store, ground):
        """Those of one machine only."""
        await lay_ground(store, machine="other")
        published = [a_version(ground.machine, f"v{number}") for number in range(PAGE_SIZE + 5)]
        for version in published:
            await store.create_version(version, CODE, make_current=False)
        infos = await all_items(lambda c: store.list_versions(ground.machine.id, cursor=c))
        newest_first = [*reversed(published), ground.version]
        assert infos == [VersionInfo(v.id, v.created_at, v.client_info) for v in newest_first]

    async def test_code_may_be_as_large_as_the_limit(self, store, ground):
        """And need not be text."""
        version = a_version(ground.machine, "large")
        code = (bytes(range(256)) * (CODE_BYTES_MAX // 256 + 1))[:CODE_BYTES_MAX]
        await store.create_version(version, code, make_current=False)
        assert await store.version_code(version.id) == code


class TestUploads:
    async def test_the_last_upload_counts(self, store):
        """With its own way of being packed and its own expiry."""
        version_id = VersionId("ver_1")
        assert await store.upload(version_id) is None
        await store.save_upload(version_id, Upload(b"first", False), expires_at=NOW)
        later = NOW + timedelta(seconds=1)
        await store.save_upload(version_id, Upload(b"second", True), expires_at=later)
        assert await store.upload(version_id) == Upload(b"second", True)
        assert await store.forget_expired_uploads(now=NOW) == 0

    async def test_expired_uploads_are_forgotten(self, store):
        """From the very moment on, and no other."""
        for number in range(3):
            expires_at = NOW + timedelta(microseconds=number)
            version_id = VersionId(f"ver_{number}")
            await store.save_upload(version_id, Upload(b"code", False), expires_at=expires_at)
        assert await store.forget_expired_uploads(now=NOW + timedelta(microseconds=1)) == 2
        assert await store.upload(VersionId("ver_1")) is None
        assert await store.upload(VersionId("ver_2")) is not None
