"""What the list of dead letters promises."""

from __future__ import annotations

from statekeep.domain.dead_letter import DeadLetter
from statekeep.domain.limits import PAGE_SIZE
from statekeep.domain.names import InstanceName
from statekeep.domain.timer import TimerChanges
from tests.support.builders import a_commit, a_timer, create_instances, lay_ground


async def set_timers(store, instance_id, count):
    timers = tuple(a_timer(seq) for seq in range(count))
    commit = a_commit(instance_id, 1)._replace(timers=TimerChanges(timers, ()), next_timer_seq=99)
    await store.commit(commit)


def dead(seq):
    return a_timer(seq)._replace(tries=5, is_dead=True, failure=f"failure {seq}")


async def listed(store, machine_id, **options):
    page = await store.list_dead_letters(machine_id, cursor=None, **options)
    return [(letter.instance_id, letter.timer.seq) for letter in page.items]


async def test_the_last_to_die_comes_first(store, ground):
    """Of all instances of the machine, or of one of them; complete, and of no other machine."""
    other = await lay_ground(store, machine="other")
    one, two = await create_instances(store, ground, ["one", "two"])
    (three,) = await create_instances(store, other, ["one"])
    for instance_id in (one, two, three):
        await set_timers(store, instance_id, 3)
    for instance_id, seq in ((one, 2), (two, 0), (three, 1), (one, 0)):
        await store.update_timer(instance_id, dead(seq))
    machine = ground.machine.id
    assert await listed(store, machine) == [(one, 0), (two, 0), (one, 2)]
    assert await listed(store, machine, instance_id=one) == [(one, 0), (one, 2)]
    assert await listed(store, machine, instance_id=three) == []
    assert await listed(store, other.machine.id) == [(three, 1)]
    page = await store.list_dead_letters(machine, cursor=None, instance_id=two)
    assert page.items == [DeadLetter(two, InstanceName("two"), dead(0))]


async def test_a_commit_can_bury(store, ground, instance_id):
    """What dies together with what comes of it is listed like any other."""
    await set_timers(store, instance_id, 2)
    await store.update_timer(instance_id, dead(0))
    buried = TimerChanges((dead(9),), (1,))
    await store.commit(a_commit(instance_id, 2)._replace(timers=buried, next_timer_seq=99))
    assert [seq for _, seq in await listed(store, ground.machine.id)] == [9, 0]


async def test_what_lives_again_is_not_listed(store, ground, instance_id):
    """Nor what was removed; and what dies again has died last."""
    await set_timers(store, instance_id, 4)
    for seq in range(4):
        await store.update_timer(instance_id, dead(seq))
    await store.update_timer(instance_id, dead(0)._replace(is_dead=False, tries=0))
    await store.remove_timer(instance_id, 1)
    machine = ground.machine.id
    assert await listed(store, machine) == [(instance_id, 3), (instance_id, 2)]
    await store.update_timer(instance_id, dead(0))
    await store.update_timer(instance_id, dead(2))
    assert [seq for _, seq in await listed(store, machine)] == [0, 3, 2]


async def test_pages_stay_right_while_letters_come_and_go(store, ground, instance_id):
    """What dies meanwhile is on no later page, and what lives again is missed by nobody."""
    count = PAGE_SIZE + 20
    await set_timers(store, instance_id, count + 1)
    for seq in range(count):
        await store.update_timer(instance_id, dead(seq))
    machine = ground.machine.id
    page = await store.list_dead_letters(machine, cursor=None)
    for letter in page.items:
        await store.update_timer(instance_id, letter.timer._replace(is_dead=False))
    await store.update_timer(instance_id, dead(count))
    rest = await store.list_dead_letters(machine, cursor=page.cursor)
    assert [letter.timer.seq for letter in rest.items] == list(range(19, -1, -1))
    assert rest.cursor is None


async def test_they_go_with_their_instance(store, ground, instance_id):
    """Like everything else of it."""
    await set_timers(store, instance_id, 1)
    await store.update_timer(instance_id, dead(0))
    await store.delete_instance(instance_id)
    assert await listed(store, ground.machine.id) == []


async def test_a_letter_keeps_its_hops(store, instance_id):
    """Those that it is given when it is brought back."""
    await set_timers(store, instance_id, 1)
    await store.update_timer(instance_id, a_timer(0)._replace(hops=7))
    assert (await store.claim_by_id(instance_id)).timers == (a_timer(0)._replace(hops=7),)
