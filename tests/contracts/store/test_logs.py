"""What the store promises about log entries."""

from __future__ import annotations

import pytest

from statekeep.domain.limits import LOG_ENTRIES_PER_MILLISECOND_MAX
from statekeep.domain.log import LogSelection
from statekeep.domain.names import InstanceName, MachineName, OrganizationId, VersionId
from tests.support.builders import a_log_entry

ACME, RIVAL = OrganizationId("org_acme"), OrganizationId("org_rival")
FROM_THE_START = LogSelection(0)


async def texts(store, wanted=FROM_THE_START, *, organization_id=ACME, limit=10_000):
    """Of the entries that are found."""
    found = await store.read_logs(organization_id, wanted, limit=limit)
    assert [entry.ts_ms for entry in found] == sorted(entry.ts_ms for entry in found)
    return [entry.text for entry in found]


async def stamps(store, *, organization_id=ACME):
    """Timestamps of everything."""
    found = await store.read_logs(organization_id, FROM_THE_START, limit=100_000)
    return [entry.ts_ms for entry in found]


@pytest.mark.parametrize(
    "text", ["", "two\nlines", "nul \0 and after", "\N{GRINNING FACE} é", "x" * 70_000]
)
async def test_an_entry_comes_back_complete(store, text):
    """Whatever was printed."""
    entries = [
        a_log_entry(1, text=text),
        a_log_entry(2, text=text)._replace(instance_name=None, is_error=True),
    ]
    await store.append_logs(entries)
    assert list(await store.read_logs(ACME, FROM_THE_START, limit=9)) == entries


async def test_entries_of_one_millisecond_keep_their_order(store):
    """More of them than one millisecond may have, too."""
    count = 3 * LOG_ENTRIES_PER_MILLISECOND_MAX + 7
    await store.append_logs([a_log_entry(5, text=str(number)) for number in range(count)])
    assert await texts(store) == [str(number) for number in range(count)]


async def test_a_millisecond_has_no_more_entries_than_a_page(store):
    """The others come in the ones after it."""
    await store.append_logs([a_log_entry(5) for _ in range(250)])
    given = await stamps(store)
    assert {ms: given.count(ms) for ms in given} == {5: 100, 6: 100, 7: 50}


async def test_a_later_batch_is_never_in_a_millisecond_that_was_seen(store):
    """Nor before one, however late its entries are."""
    await store.append_logs([a_log_entry(5), a_log_entry(9)])
    await store.append_logs([a_log_entry(3), a_log_entry(9), a_log_entry(20), a_log_entry(4)])
    await store.append_logs([a_log_entry(20), a_log_entry(30)])
    assert await stamps(store) == [5, 9, 10, 10, 20, 20, 21, 30]


async def test_organizations_have_logs_of_their_own(store):
    """With timestamps that do not depend on each other, in one batch."""
    rivals = a_log_entry(5, organization="rival", text="theirs")
    await store.append_logs([a_log_entry(9, text="ours"), rivals])
    await store.append_logs([rivals])
    assert await texts(store) == ["ours"]
    assert await stamps(store, organization_id=RIVAL) == [5, 6]
    assert await stamps(store, organization_id=OrganizationId("org_nobody")) == []


async def test_after_is_exclusive_and_until_is_not(store):
    """To the millisecond."""
    await store.append_logs([a_log_entry(ms, text=str(ms)) for ms in range(1, 7)])
    assert await texts(store, LogSelection(2)) == ["3", "4", "5", "6"]
    assert await texts(store, LogSelection(2, 4)) == ["3", "4"]
    assert await texts(store, LogSelection(4, 4)) == []
    assert await texts(store, LogSelection(-1, 1)) == ["1"]
    assert await texts(store, LogSelection(0), limit=2) == ["1", "2"]


async def test_entries_are_found_by_where_they_come_from(store):
    """Each alone and all together; what belongs to no instance is found by none."""
    entries = []
    for number, (machine, instance, version) in enumerate(
        [("a", "one", "v1"), ("a", "two", "v1"), ("b", "one", "v2"), ("a", None, "v3")]
    ):
        entry = a_log_entry(number, text=str(number))
        name = None if instance is None else InstanceName(instance)
        entries.append(
            entry._replace(
                machine_name=MachineName(machine), instance_name=name, version_id=VersionId(version)
            )
        )
    await store.append_logs(entries)

    async def found(**wanted):
        return "".join(await texts(store, LogSelection(-1, **wanted)))

    assert await found(machine_name="a") == "013"
    assert await found(instance_name="one") == "02"
    assert await found(version_id="v1") == "01"
    assert await found(machine_name="a", instance_name="one") == "0"
    assert await found(machine_name="b", version_id="v1") == ""


async def test_old_entries_are_forgotten(store):
    """All that are before the instant, of all organizations, however many."""
    await store.append_logs([a_log_entry(ms) for ms in range(1_500)])
    await store.append_logs([a_log_entry(ms, organization="rival") for ms in (7, 2_000)])
    assert await store.forget_old_logs(before_ms=1_400, organization_bytes_max=10**9) == 1_401
    assert await store.forget_old_logs(before_ms=1_400, organization_bytes_max=10**9) == 0
    assert await stamps(store) == list(range(1_400, 1_500))
    assert await stamps(store, organization_id=RIVAL) == [2_000]


async def test_an_organization_keeps_no_more_than_its_bytes(store):
    """The oldest go first, and nobody else's."""
    entries = [a_log_entry(ms, text="x" * 1_000) for ms in range(1_000)]
    await store.append_logs(entries)
    await store.append_logs([a_log_entry(1, organization="rival")])
    size = entries[0].size_bytes
    assert await store.forget_old_logs(before_ms=0, organization_bytes_max=300 * size) == 700
    assert (await stamps(store))[0] == 700
    assert await store.forget_old_logs(before_ms=0, organization_bytes_max=300 * size) == 0
    assert await store.forget_old_logs(before_ms=0, organization_bytes_max=size - 1) == 300
    assert await stamps(store, organization_id=RIVAL) == [1]


async def test_entries_of_one_machine_are_forgotten(store):
    """Those before the instant, however many, and no other's; the space they took is free again."""
    ours = [a_log_entry(ms) for ms in range(1_500)]
    others = [entry._replace(machine_name=MachineName("other")) for entry in ours[:20]]
    await store.append_logs([*ours, *others, a_log_entry(7, organization="rival")])
    toggle = MachineName("toggle")
    assert await store.forget_machine_logs(ACME, toggle, before_ms=1_400) == 1_400
    assert await store.forget_machine_logs(ACME, toggle, before_ms=1_400) == 0
    assert await store.forget_machine_logs(ACME, MachineName("none"), before_ms=9_999) == 0
    assert len(await texts(store, LogSelection(-1, machine_name=toggle))) == 100
    assert len(await texts(store, LogSelection(-1, machine_name=MachineName("other")))) == 20
    assert await stamps(store, organization_id=RIVAL) == [7]
    room = 120 * ours[0].size_bytes
    assert await store.forget_old_logs(before_ms=0, organization_bytes_max=room) == 0
    assert await store.forget_old_logs(before_ms=0, organization_bytes_max=room - 1) == 1


async def test_a_timestamp_is_not_given_out_again(store):
    """Not even when everything that had it is gone: somebody may read on from it."""
    await store.append_logs([a_log_entry(50)])
    await store.forget_old_logs(before_ms=0, organization_bytes_max=0)
    assert await stamps(store) == []
    await store.append_logs([a_log_entry(50)])
    assert await stamps(store) == [51]
