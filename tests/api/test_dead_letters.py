"""Dead letters over HTTP."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from statekeep.domain.instance import InstanceKey
from statekeep.domain.limits import DELIVERY_TRIES_MAX
from statekeep.domain.message import MessageKind
from statekeep.domain.names import InstanceName, MachineName, OrganizationId
from statekeep.wire import answers
from tests.support.api import Api

PATH = "/machines/door/dead-letters"


@pytest.fixture
async def door(api: Api) -> Api:
    await api.new_machine()
    for name in ("front", "back"):
        await api.expect(200, "POST", "/machines/door", {"slug": name})
    return api


async def kill(api: Api, instance: str, event: dict[str, Any]) -> None:
    """Have the instance set a timer or send a message, and give that up."""
    path = f"/machines/door/i/{instance}/events"
    await api.expect(200, "POST", path, {"event": event})
    (organization,) = (await api.expect(200, "GET", "/orgs"))["orgs"]
    key = InstanceKey(
        OrganizationId(organization["id"]), MachineName("door"), InstanceName(instance)
    )
    claimed = await api.store.claim(key)
    assert claimed is not None
    for _ in range(DELIVERY_TRIES_MAX):
        await api.services.instances.put_off_timer(
            claimed.id, claimed.timers[-1].seq, due_at=0.0, failure="it threw"
        )


def a_timer(name: str = "ding") -> dict[str, Any]:
    return {"type": "SET", "id": name, "delay": 60_000, "event": name}


async def listed(api: Api, query: str = "") -> list[Any]:
    items: list[Any] = (await api.expect(200, "GET", PATH + query))["deadLetters"]
    return items


async def test_everything_about_them_is_shown(door: Api) -> None:
    """What it is, whose, to whom, and why it was given up."""
    await kill(door, "front", a_timer())
    await kill(door, "back", {"type": "TELL", "to": "front", "events": [{"type": "HI"}]})
    message, timer = await listed(door)
    assert timer == {
        "id": timer["id"],
        "instance": "front",
        "kind": "timer",
        "event": {"type": "ding"},
        "dueAt": timer["dueAt"],
        "tries": 5,
        "failure": "it threw",
    }
    assert (message["kind"], message["event"]) == ("event", {"type": "HI"})
    assert message["to"] == {"machineName": "toy", "machineInstanceName": "front"}
    assert await listed(door, "?instance=back") == [message]


def test_all_kinds_are_described() -> None:
    """The types of the API know every kind that there is."""
    kinds = get_args(get_type_hints(answers.DeadLetterItem)["kind"])
    assert set(kinds) == {"timer", *(kind.value for kind in MessageKind)}


async def test_they_come_in_pages(door: Api) -> None:
    """As all lists do."""
    for number in range(103):
        await kill(door, "front", a_timer(f"t{number}"))
    page = await door.expect(200, "GET", PATH)
    rest = await door.expect(200, "GET", f"{PATH}?cursor={page['cursor']}")
    events = [letter["event"]["type"] for letter in page["deadLetters"] + rest["deadLetters"]]
    assert events == [f"t{number}" for number in range(102, -1, -1)]
    assert "cursor" not in rest


async def test_one_is_retried_and_another_discarded(door: Api) -> None:
    """Once: then it is none any more."""
    await kill(door, "front", a_timer())
    await kill(door, "back", a_timer())
    discarded, retried = await listed(door)
    await door.expect(204, "POST", f"{PATH}/{retried['id']}/retry")
    await door.expect(204, "DELETE", f"{PATH}/{discarded['id']}")
    assert await listed(door) == []
    await door.expect(404, "POST", f"{PATH}/{retried['id']}/retry")
    await door.expect(404, "DELETE", f"{PATH}/{discarded['id']}")
    await door.expect(404, "DELETE", f"{PATH}/retry")


async def test_many_are_retried(door: Api) -> None:
    """All, or those of an instance."""
    for instance in ("front", "back", "front"):
        await kill(door, instance, a_timer())
    answer = await door.expect(200, "POST", f"{PATH}/retry", {"instance": "front"})
    assert answer == {"retried": 2}
    assert await door.expect(200, "POST", f"{PATH}/retry") == {"retried": 1}
    assert await door.expect(200, "POST", f"{PATH}/retry") == {"retried": 0}
    await door.expect(404, "POST", f"{PATH}/retry", {"instance": "nobody"})


async def test_others_have_none(door: Api) -> None:
    """Machines and instances that are not there are not found; nor are letters of other organizations."""
    await kill(door, "front", a_timer())
    [letter] = await listed(door)
    eve = await door.new_member("eve")
    await door.expect(201, "POST", "/machines", {"slug": "door"}, eve)
    assert await door.expect(200, "GET", PATH, None, eve) == {"deadLetters": []}
    await door.expect(404, "DELETE", f"{PATH}/{letter['id']}", None, eve)
    await door.expect(404, "POST", f"{PATH}/{letter['id']}/retry", None, eve)
    for path in ("/machines/none/dead-letters", f"{PATH}?instance=none"):
        await door.expect(404, "GET", path)
    answer = await door.expect(400, "GET", f"{PATH}?instance=%2F")
    assert answer["parameter"] == "instance"
    assert await listed(door) == [letter]
