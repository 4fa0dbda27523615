"""What becomes of requests to endpoints, with an author's code that does as the test says."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from statekeep.application.http_api import HttpApi
from statekeep.domain.errors import (
    HttpMappingFailed,
    HttpMappingTimeout,
    InvalidState,
    MachineError,
    NotFound,
    Overloaded,
    RejectedByMachineAuthorizer,
)
from statekeep.domain.http_mapping import BodyKind, HttpAnswer, HttpRequest
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.names import OrganizationId, VersionId
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import CALLER, KEY, MACHINE, NAME, ORGANIZATION, World, log_of

OK = b'{"ok":true}'


@pytest.fixture
async def world():
    return await World(ToyRuntime()).set_up()


@pytest.fixture
def http_api(world: World) -> HttpApi:
    return HttpApi(
        world.store, world.runtime, world.residents, world.instances, world.recorder, world.clock
    )


async def ask(http_api: HttpApi, slug: str = "hook", key: str | None = None, **said) -> HttpAnswer:
    """The answer to a request whose handler says so."""
    endpoint = await http_api.find(ORGANIZATION, MACHINE, slug)
    body = msgspec.json.encode({"instance": NAME, **said})
    request = HttpRequest("POST", {}, "", body, BodyKind.JSON)
    return await http_api.serve(endpoint, request, idempotency_key=key)


async def test_an_event_is_sent_and_the_response_mapper_answers(world, http_api) -> None:
    """With the state that is durable after it."""
    await world.create()
    world.runtime.http_answer = HttpAnswer(201, (("X-A", "b"),), b"[1]", "application/json")
    answer = await ask(http_api)
    assert (answer.status, answer.body) == (201, b"[1]")
    assert ("x-a", "b") in answer.headers
    assert ("content-type", "application/json") in answer.headers
    assert await world.log() == ["knock"]
    version_id, instance_id, snapshot = world.runtime.responded[0]
    assert (version_id, instance_id) == ("ver_1", world.store._ids[KEY])
    assert msgspec.json.decode(snapshot)["context"]["log"] == ["knock"]


async def test_the_response_mapper_is_that_of_the_instances_version(world, http_api) -> None:
    """While the handler is that of the current one, whose instances are made of it too."""
    await world.create()
    machine = await world.store.machine(ORGANIZATION, MACHINE)
    old = await world.store.version(machine.current_version.id)
    newer = replace(old, id=VersionId("ver_2"))
    await world.store.create_version(newer, b"code", make_current=True)
    await ask(http_api)
    await ask(http_api, instance="two", context={})
    assert [version_id for version_id, *_ in world.runtime.responded] == ["ver_1", "ver_2"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        HttpMappingFailed("it threw"),
        HttpMappingTimeout("too late"),
        MachineError("it died"),
        Overloaded("no host"),
        HttpAnswer(99, (), b"", None),
        HttpAnswer(200, (("x", "a\r\nb: c"),), b"", None),
        HttpAnswer(200, (("x y", "a"),), b"", None),
    ],
)
async def test_without_a_usable_answer_the_event_counts(world, http_api, answer) -> None:
    """The sender is told that it was taken, so that nobody sends it again; the author is told what was wrong."""
    await world.create()
    world.runtime.http_answer = answer
    accepted = await ask(http_api)
    assert (accepted.status, accepted.body) == (200, OK)
    assert ("content-security-policy", "sandbox") in accepted.headers
    assert await world.log() == ["knock"]
    # The host says itself why a mapper failed.
    is_told = answer is not None and not isinstance(answer, HttpMappingFailed)
    assert bool(world.recorder.logs) is is_told


async def test_a_missing_instance_is_created_where_there_is_a_context(world, http_api) -> None:
    """Once; the event follows. Without a context the request fails."""
    with pytest.raises(NotFound):
        await ask(http_api)
    for _ in range(2):
        await ask(http_api, context={"given": 1})
    assert await world.log() == ["knock", "knock"]
    assert msgspec.json.decode(world.runtime.responded[0][2])["context"]["given"] == 1


async def test_many_at_once_create_one(world, http_api) -> None:
    """Whoever comes second finds it."""
    await asyncio.gather(*[ask(http_api, context={}) for _ in range(20)])
    assert await world.log() == ["knock"] * 20


@pytest.mark.parametrize(
    ("slug", "error"),
    [("throw", HttpMappingFailed), ("never", HttpMappingTimeout), ("missing", NotFound)],
)
async def test_a_handler_that_fails_does_nothing(world, http_api, slug, error) -> None:
    """Nothing is created or sent."""
    with pytest.raises(error):
        await ask(http_api, slug, context={})
    with pytest.raises(NotFound):
        await world.log()
    assert bool(world.recorder.logs) is (slug == "never")


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 200, "ü"])
async def test_an_instance_that_has_no_name_is_the_authors_mistake(world, http_api, name) -> None:
    """The sender is told as much, and the author which name it was."""
    with pytest.raises(HttpMappingFailed):
        await ask(http_api, instance=name, context={})
    assert "named an instance" in world.recorder.logs[0]


async def test_the_machine_decides_with_the_handlers_auth_context(world, http_api) -> None:
    """A refused creation sends nothing; a refused event changes nothing."""
    with pytest.raises(RejectedByMachineAuthorizer):
        await ask(http_api, context={"deny": True})
    with pytest.raises(RejectedByMachineAuthorizer):
        await ask(http_api, event="DENY", context={})
    assert await world.log() == []
    assert world.runtime.responded == []


async def test_a_failing_event_fails_the_request(world, http_api) -> None:
    """As it does for callers of the API, but for the author's words."""
    await world.create()
    with pytest.raises(MachineError, match="its log has the reason"):
        await ask(http_api, event="FAIL")
    assert "it threw" in world.recorder.logs[0]
    await world.instances.set_status(CALLER, MACHINE, NAME, InstanceStatus.PAUSED)
    with pytest.raises(InvalidState):
        await ask(http_api)


async def test_a_finished_instance_still_answers(world, http_api) -> None:
    """What comes after its end changes nothing."""
    await world.create()
    await ask(http_api, event="DONE")
    assert (await ask(http_api)).status == 200
    assert await world.log() == ["DONE"]


async def test_strangers_find_nothing(world, http_api) -> None:
    """Another organization's machine, one that is none and one without a version are the same."""
    for organization, machine in ((ORGANIZATION, "none"), (OrganizationId("org_b"), MACHINE)):
        with pytest.raises(NotFound, match="no such endpoint"):
            await http_api.find(organization, machine, "hook")


async def test_an_idempotency_key_counts_for_one_endpoint_and_one_auth_context(
    world, http_api
) -> None:
    """Somebody else's answer is nobody's by guessing a key."""
    await world.create()
    for _ in range(2):
        await ask(http_api, key="k")
    assert await world.log() == ["knock"]
    await ask(http_api, key="k", auth={"sub": "you"})
    await ask(http_api, "other", key="k")
    assert await world.log() == ["knock"] * 3
    assert log_of(await world.send("x", key="k")) == ["knock"] * 3 + ["x"]
