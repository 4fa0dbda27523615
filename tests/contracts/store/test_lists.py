"""What lists of instances and of transitions promise."""

from __future__ import annotations

import asyncio

import pytest

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceInfo, InstanceStatus
from statekeep.domain.limits import PAGE_SIZE
from statekeep.domain.names import InstanceName
from statekeep.ports.store import Transition
from tests.support.builders import (
    NOW,
    a_commit,
    a_key,
    an_entry,
    create_instance,
    create_instances,
    lay_ground,
)


async def pages_of(read):
    """Every page of a list, by following cursors."""
    pages = [await read(None)]
    while pages[-1].cursor is not None:
        pages.append(await read(pages[-1].cursor))
    return [list(page.items) for page in pages]


async def test_instances_come_newest_first(store, ground):
    """With what lists show of each."""
    first, _ = await create_instances(store, ground, ["one", "two"])
    await store.set_status(first, InstanceStatus.PAUSED)
    page = await store.list_instances(ground.machine.id, cursor=None)
    version = ground.machine.current_version
    assert list(page.items) == [
        InstanceInfo(InstanceName("two"), NOW, InstanceStatus.RUNNING, version),
        InstanceInfo(InstanceName("one"), NOW, InstanceStatus.PAUSED, version),
    ]
    assert page.cursor is None


@pytest.mark.parametrize("count", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE])
async def test_pages_are_full_but_for_the_last(store, ground, count):
    """A page that ends the list has no cursor, so that nobody asks for an empty one."""
    names = [f"i{number}" for number in range(count)]
    await create_instances(store, ground, names)
    pages = await pages_of(lambda c: store.list_instances(ground.machine.id, cursor=c))
    assert [info.name for page in pages for info in page] == names[::-1]
    assert all(len(page) == PAGE_SIZE for page in pages[:-1])
    assert len(pages) == max(1, -(-count // PAGE_SIZE))


async def test_instances_that_come_and_go_meanwhile_move_no_other(store, ground):
    """Whatever exists throughout appears exactly once."""
    names = [f"i{number}" for number in range(250)]
    ids = dict(zip(names, await create_instances(store, ground, names), strict=True))
    page = await store.list_instances(ground.machine.id, cursor=None)
    seen = [info.name for info in page.items]
    # The one that the next page begins with, one that was seen, and one in the midst of what follows.
    for gone in ("i149", "i200", "i100"):
        await store.delete_instance(ids[gone])
    await create_instances(store, ground, [f"new{number}" for number in range(150)])
    while page.cursor is not None:
        page = await store.list_instances(ground.machine.id, cursor=page.cursor)
        seen += [info.name for info in page.items]
    expected = [name for name in reversed(names) if name not in {"i149", "i100"}]
    assert seen == expected


async def test_a_list_stays_in_its_machine(store, ground, instance_id):
    """Other machines' instances are not in it."""
    other = await lay_ground(store, machine="other")
    await create_instance(store, other, "theirs")
    page = await store.list_instances(ground.machine.id, cursor=None)
    assert [info.name for info in page.items] == ["one"]
    assert (await store.list_instances(10**9, cursor=None)).items == []


async def test_transitions_come_newest_first(store, ground, instance_id):
    """With the event and the snapshot as they were written."""
    await store.commit(a_commit(instance_id, 1, entries=2))
    page = await store.list_transitions(instance_id, cursor=None)
    entries = [an_entry(revision) for revision in (3, 2, 1)]
    expected = [Transition(e.revision, e.ts, e.event, e.snapshot) for e in entries]
    assert list(page.items) == expected
    assert page.cursor is None


async def test_housekeeping_is_no_transition(store, instance_id):
    """Not counted in pages either."""
    for base in range(1, 250):
        origin = Origin.HOUSEKEEPING if base % 2 else Origin.CLIENT
        entry = an_entry(base + 1, origin=origin)
        await store.commit(a_commit(instance_id, base)._replace(entries=(entry,)))
    pages = await pages_of(lambda c: store.list_transitions(instance_id, cursor=c))
    assert [len(page) for page in pages] == [PAGE_SIZE, 25]
    revisions = [transition.revision for page in pages for transition in page]
    assert revisions == list(range(249, 0, -2))


async def test_transitions_that_are_added_meanwhile_move_no_page(store, ground):
    """Nor do those of other instances between them."""
    ids = await create_instances(store, ground, ["one", "two"])
    for base in range(1, 220):
        await asyncio.gather(*(store.commit(a_commit(number, base)) for number in ids))
    first = await store.list_transitions(ids[0], cursor=None)
    await store.commit(a_commit(ids[0], 220, entries=50))
    pages = await pages_of(lambda c: store.list_transitions(ids[0], cursor=c or first.cursor))
    seen = [transition.revision for page in [first.items, *pages] for transition in page]
    assert seen == list(range(220, 0, -1))


async def test_an_instance_that_does_not_exist_has_no_transitions(store):
    """It is no error here: whether it exists was asked before."""
    page = await store.list_transitions(store.new_instance_id(), cursor=None)
    assert (list(page.items), page.cursor) == ([], None)


@pytest.fixture
async def lists(store, ground):
    """Every list there is, of two machines and organizations, with more than a page in each of the first."""
    other = await lay_ground(store, organization="rival")
    ids = await create_instances(store, ground, [f"i{number}" for number in range(150)])
    (theirs,) = await create_instances(store, other, ["theirs"])
    await store.commit(a_commit(ids[0], 1, entries=150))
    owner = ground.machine.organization_id
    for number in range(150):
        await store.create_key(a_key(owner, f"k{number}"), b"")
    return {
        "instances": lambda c: store.list_instances(ground.machine.id, cursor=c),
        "transitions": lambda c: store.list_transitions(ids[0], cursor=c),
        "keys": lambda c: store.list_keys(owner, cursor=c),
    }, {
        "instances": lambda c: store.list_instances(other.machine.id, cursor=c),
        "transitions": lambda c: store.list_transitions(theirs, cursor=c),
        "other transitions": lambda c: store.list_transitions(ids[1], cursor=c),
        "keys": lambda c: store.list_keys(other.machine.organization_id, cursor=c),
        "machines": lambda c: store.list_machines(owner, cursor=c),
        "versions": lambda c: store.list_versions(ground.machine.id, cursor=c),
    }


async def test_a_cursor_of_another_list_is_refused(lists):
    """It would show a page of what nobody asked for, or of what the caller must not see."""
    ours, theirs = lists
    cursors = {name: (await read(None)).cursor for name, read in ours.items()}
    assert all(cursors.values())
    for read in theirs.values():
        for cursor in cursors.values():
            with pytest.raises(InvalidParameter) as refusal:
                await read(cursor)
            assert refusal.value.parameter == "cursor"


@pytest.mark.parametrize(
    "cursor", ["", "x", "0", "=" * 16, "A" * 15, "A" * 17, "\u00e9" * 16, "A" * 10_000]
)
async def test_a_malformed_cursor_is_refused(lists, cursor):
    """By every list."""
    ours, theirs = lists
    for read in [*ours.values(), *theirs.values()]:
        with pytest.raises(InvalidParameter) as refusal:
            await read(cursor)
        assert refusal.value.parameter == "cursor"


async def test_cursors_fit_into_a_query_string(lists):
    """As they are, without escapes."""
    ours, _ = lists
    for read in ours.values():
        cursor = (await read(None)).cursor
        assert cursor.isascii()
        assert cursor.replace("-", "").replace("_", "").isalnum()
