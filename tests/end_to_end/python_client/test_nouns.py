"""What the Python client does with a server, through both of its shells."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from statekeep.client import InstanceQuery, errors, sign_token
from tests.support.client_shells import Caller, calling
from tests.support.server import RunningServer

COUNTER = """
import { assign, createMachine } from "npm:xstate@5";
export const allowRead = ({ authContext }) => authContext.sub !== "stranger";
export const allowWrite = () => true;
export const httpApiMapper = {
  add: {
    handler: ({ body, query }) => ({ machineInstanceName: query.of, event: { type: "add", by: body.by }, authContext: { sub: "web" } }),
    responseMapper: ({ context }) => ({ statusCode: 418, headers: { "x-count": String(context.public.count) }, body: "tea" }),
  },
};
export default createMachine({
  initial: "counting",
  context: ({ input }) => ({ public: { count: input.count ?? 0 }, owner: "ada" }),
  states: {
    counting: {
      initial: "low",
      states: { low: { on: { raise: "high" } }, high: {} },
      on: { add: { actions: "add" }, fail: { actions: "fail" } },
    },
  },
}, {
  actions: {
    add: assign({ public: ({ context, event }) => ({ count: context.public.count + event.by }) }),
    fail: assign({ public: () => { throw new Error("no"); } }),
  },
});
"""
MIGRATION = """
export const upgradeState = (path) => path;
export const upgradeContext = (oldPaths, newPaths, context) => context;
"""
CERTAIN = {"danger_data_will_be_deleted_forever": True}


@pytest.fixture
async def counter(admin: Caller) -> str:
    """A machine of this test's own, with a version."""
    name = f"counter-{uuid4().hex}"
    await admin.call("machines.create", name, indexes=["owner"])
    published = await admin.call(
        "machine_versions.create",
        name,
        COUNTER,
        client_info="v1",
        make_current=True,
        index_selectors={"owner": "$.owner"},
    )
    assert published.blast_radius.is_complete
    return name


async def test_machines(admin: Caller, counter: str) -> None:
    """Made, listed, looked at, kept as long as is said, and deleted."""
    machine = await admin.call("machines.get", counter)
    assert (machine.slug, machine.indexes) == (counter, ["owner"])
    assert machine.current_version.client_info == "v1"
    assert machine.created_at.tzinfo is not None
    assert counter in [each.slug for each in await admin.collect("machines.list")]
    with pytest.raises(errors.AlreadyExistsError):
        await admin.call("machines.create", counter)
    retention = await admin.call("machines.set_retention", counter, journal_max_age="30d")
    assert retention.retention.journal.max_age == "30d"
    assert retention == await admin.call("machines.get_retention", counter)
    await admin.call("machines.dangerously.delete", counter, **CERTAIN)
    with pytest.raises(errors.NotFoundError):
        await admin.call("machines.get", counter)


async def test_deleting_has_to_be_meant(admin: Caller, counter: str) -> None:
    """The server says so, and which field it misses."""
    with pytest.raises(errors.InvalidParameterError) as caught:
        await admin.call(
            "machines.dangerously.delete", counter, danger_data_will_be_deleted_forever=False
        )
    assert caught.value.parameter == "dangerDataWillBeDeletedForever"


async def test_instances(admin: Caller, counter: str) -> None:
    """Created where there is none, sent events, listed with their past, paused, and deleted."""
    created = await admin.call(
        "machine_instances.get_or_create", counter, "one", context=lambda: {"count": 5}
    )
    assert created.public_context == {"count": 5}
    again = await admin.call("machine_instances.get_or_create", counter, "one")
    assert again == created
    await admin.call("machine_instances.send_event", counter, "one", {"type": "add", "by": 2})
    state = await admin.call("machine_instances.send_event", counter, "one", "raise")
    assert state.public_context == {"count": 7}
    assert state.states == ["counting", "counting.high"]
    assert state.matches("counting.high")
    assert not state.matches("high")
    assert state.ts > created.ts
    transitions = await admin.collect("machine_instances.list_transitions", counter, "one")
    assert [each.event["type"] for each in transitions[:2]] == ["raise", "add"]
    whole = await admin.call("machine_instances.admin.get", counter, "one")
    assert whole.context == {"public": {"count": 7}, "owner": "ada"}
    (instance,) = await admin.collect("machine_instances.list", counter)
    assert (instance.slug, instance.status) == ("one", "running")
    await admin.call("machine_instances.dangerously.set_status", counter, "one", "paused")
    with pytest.raises(errors.InvalidStateError):
        await admin.call("machine_instances.send_event", counter, "one", "raise")
    await admin.call("machine_instances.dangerously.delete", counter, "one", **CERTAIN)
    assert await admin.collect("machine_instances.list", counter) == []


async def test_an_idempotency_key_is_for_one_event(admin: Caller, counter: str) -> None:
    """Sent again it changes nothing; another event under it is refused. Without one every event counts."""
    await admin.call("machine_instances.create", counter, "one")
    add = ("machine_instances.send_event", counter, "one", {"type": "add", "by": 1})
    for _ in range(2):
        state = await admin.call(*add, idempotency_key="mine")
        assert state.public_context == {"count": 1}
    with pytest.raises(errors.IdempotencyMismatchError):
        await admin.call(*add[:3], "raise", idempotency_key="mine")
    for count in (2, 3):
        assert (await admin.call(*add)).public_context == {"count": count}


async def test_what_goes_wrong_has_its_class(
    server: RunningServer, shell: str, admin: Caller, counter: str
) -> None:
    """Of the machine, of its authoriser, of scopes, of names."""
    await admin.call("machine_instances.create", counter, "one")
    with pytest.raises(errors.MachineError):
        await admin.call("machine_instances.send_event", counter, "one", "fail")
    with pytest.raises(errors.NotFoundError):
        await admin.call("machine_instances.get", counter, "a/b?c#d%2F")
    key = await admin.call("keys.create", "strangers", use="production")
    token = sign_token(key.id, key.key, {"sub": "stranger"})
    async with calling(shell, token, api_url=server.url) as stranger:
        with pytest.raises(errors.RejectedByMachineAuthorizerError):
            await stranger.call("machine_instances.get", counter, "one")
        with pytest.raises(errors.MissingScopeError):
            await stranger.call("machine_instances.admin.get", counter, "one")


async def test_versions_and_migrations(admin: Caller, counter: str) -> None:
    """Code in three steps or one, gzipped or not; a migration tried out, and applied to one instance or all."""
    (first,) = await admin.collect("machine_versions.list", counter)
    begun = await admin.call("machine_versions.provisionally_create", counter)
    await admin.call(
        "machine_versions.upload",
        begun.code_upload_url,
        begun.code_upload_fields,
        gzip.compress(COUNTER.encode()),
    )
    second = await admin.call(
        "machine_versions.finalize", counter, begun.machine_version_id, client_info="v2"
    )
    versions = {
        "from_machine_version_id": first.id,
        "to_machine_version_id": second.machine_version_id,
    }
    for name in ("one", "two"):
        await admin.call("machine_instances.create", counter, name)
    wish = ("machine_instances.admin.update_desired_version", counter, "one")
    with pytest.raises(errors.NoMigrationPathError):
        await admin.call(*wish, second.machine_version_id)
    stub = await admin.call("machine_version_migrations.get_stub", counter, **versions)
    assert "upgradeState" in stub
    report = await admin.call(
        "machine_version_migrations.dry_run", counter, codes=[MIGRATION], **versions
    )
    assert (report.state, report.fit, report.failed) == ("done", 2, 0)
    run = (counter, report.id)
    assert await admin.call("machine_version_migrations.get_dry_run", *run) == report
    await admin.call("machine_version_migrations.end_dry_run", *run)
    migration = await admin.call(
        "machine_version_migrations.create", counter, MIGRATION, **versions
    )
    (listed,) = await admin.collect("machine_version_migrations.list", counter)
    assert listed.id == migration.machine_version_migration_id
    radius = await admin.call(
        "machine_versions.get_blast_radius", counter, second.machine_version_id
    )
    assert (radius.checked, radius.instances) == (2, 0)
    await admin.call(*wish, second.machine_version_id)
    await admin.call("machine_instances.send_event", counter, "one", "raise")
    whole = await admin.call("machine_instances.admin.get", counter, "one")
    assert whole.machine_version.id == second.machine_version_id


async def test_bulk_upgrades(admin: Caller, counter: str) -> None:
    """Begun for what an index finds, followed, and listed with what came of each instance."""
    (first,) = await admin.collect("machine_versions.list", counter)
    second = await admin.call("machine_versions.create", counter, COUNTER)
    await admin.call(
        "machine_version_migrations.create",
        counter,
        MIGRATION,
        from_machine_version_id=first.id,
        to_machine_version_id=second.machine_version_id,
    )
    await admin.call("machine_instances.create", counter, "one")
    upgrade = await admin.call(
        "bulk_upgrades.begin",
        counter,
        to_machine_version_id=second.machine_version_id,
        query=InstanceQuery("owner", "eq", "ada"),
    )
    progress = await admin.call("bulk_upgrades.get", counter, upgrade)
    while progress.status == "running":
        progress = await admin.call("bulk_upgrades.get", counter, upgrade)
    assert (progress.status, progress.upgraded) == ("done", 1)
    assert [each.id for each in await admin.collect("bulk_upgrades.list", counter)] == [upgrade]
    (result,) = await admin.collect("bulk_upgrades.list_results", counter, upgrade)
    assert (result.slug, result.outcome) == ("one", "upgraded")
    with pytest.raises(errors.InvalidStateError):
        await admin.call("bulk_upgrades.set_status", counter, upgrade, "paused")


async def test_lists_come_in_pages(admin: Caller, counter: str) -> None:
    """Iterated over as one; page by page where that is wanted."""
    for number in range(5):
        await admin.call("machine_instances.create", counter, f"i{number}")
    found = await admin.collect("indexes.query", counter, "owner", limit=2)
    assert [each.slug for each in found] == [f"i{number}" for number in range(5)]
    assert {each.index_value for each in found} == {"ada"}
    (index,) = await admin.call("indexes.list", counter)
    assert (index.name, index.state, index.selector) == ("owner", "ready", "$.owner")


async def test_keys_and_providers(admin: Caller, server: RunningServer) -> None:
    """Made, listed, and deleted."""
    key = await admin.call("keys.create", "mine", scopes=["state.read"])
    (listed,) = [each for each in await admin.collect("keys.list") if each.id == key.id]
    assert listed.scopes == ["state.read"]
    pair = {"aud": "them", "iss": f"https://{uuid4()}.example"}
    await admin.call(
        "identity_providers.upsert", key=b"s" * 32, algs=["HS256"], mapping={"sub.$": "sub"}, **pair
    )
    assert pair["iss"] in [each.iss for each in await admin.collect("identity_providers.list")]
    await admin.call("identity_providers.delete", **pair)
    await admin.call(
        "token_providers.upsert", service="mine", key_id=key.id, mapping={"sub.$": "sub"}
    )
    assert "mine" in [each.service for each in await admin.collect("token_providers.list")]
    await admin.call("token_providers.delete", "mine")
    with pytest.raises(errors.TokenExchangeError) as caught:
        await admin.call(
            "tokens.exchange", org_id=server.organization_id, service="mine", token="x.y.z"
        )
    assert caught.value.code == "invalid_request"
    await admin.call("keys.delete", key.id)


async def test_organizations_and_the_server(admin: Caller) -> None:
    """Made and listed; a healthy server says so."""
    made = await admin.call("orgs.create", "ours", allow_anonymous_access=False)
    (found,) = [each for each in await admin.collect("orgs.list") if each.id == made]
    assert (found.name, found.role) == ("ours", "admin")
    assert (await admin.call("server.health")).status == "ok"


async def test_people(admin: Caller) -> None:
    """Who asks and where else they are signed in; members, and those who are invited."""
    person = await admin.call("me.get")
    sessions = await admin.collect("sessions.list")
    assert [each.id for each in sessions if each.is_current] == [person.session.id]
    (member,) = [each for each in await admin.collect("members.list") if each.id == person.id]
    assert (member.email, member.role) == (person.email, "admin")
    for leave in (("members.set_role", member.id, "read"), ("members.remove", member.id)):
        with pytest.raises(errors.InvalidStateError):
            await admin.call(*leave)
    sent = await admin.call("invitations.send", "bob@example.com", "read")
    assert not sent.is_mailed
    assert sent.code in sent.url
    assert sent.invitation in await admin.collect("invitations.list")
    with pytest.raises(errors.NotFoundError):
        await admin.call("invitations.accept", sent.code)
    await admin.call("invitations.revoke", sent.invitation.id)
    assert await admin.collect("invitations.list") == []
    usage = await admin.call("billing.get_usage")
    assert usage.machines >= 0
    assert "/account/usage" in await admin.call("billing.get")
    with pytest.raises(errors.NotFoundError):
        await admin.call("sessions.end", "ses_none")


async def test_a_device_begins_to_sign_in(server: RunningServer, shell: str) -> None:
    """It gets a code to show, without being anybody yet."""
    async with calling(shell, None, api_url=server.url) as nobody:
        begun = await nobody.call("device_logins.begin", "tests", device_name="laptop")
        assert begun.user_code in begun.verification_uri_complete
        with pytest.raises(errors.UnauthenticatedError):
            await nobody.call("me.get")


async def test_logs_are_read_to_their_end(admin: Caller, counter: str) -> None:
    """Watched up to an instant, or asked for page by page."""
    await admin.call("machine_instances.create", counter, "one")
    with pytest.raises(errors.MachineError):
        await admin.call("machine_instances.send_event", counter, "one", "fail")
    begin = datetime.now(UTC) - timedelta(minutes=1)
    page = await admin.call("logs.retrieve", begin, machine_name=counter)
    while not page.logs:
        page = await admin.call("logs.retrieve", begin, machine_name=counter)
    assert "no" in page.logs[0].log
    assert page.logs[0].instance_name == "one"
    watched = await admin.collect("logs.watch", begin, to=datetime.now(UTC), machine_name=counter)
    assert watched[: len(page.logs)] == page.logs


async def test_exports_and_imports(admin: Caller, counter: str) -> None:
    """All of a machine, out and in again."""
    await admin.call("machine_instances.create", counter, "one", context={"count": 3})
    pieces = await admin.collect("transfers.export", machine_name=counter)
    with pytest.raises(errors.AlreadyExistsError):
        await admin.call("transfers.import_", b"".join(pieces))
    await admin.call("machine_instances.dangerously.delete", counter, "one", **CERTAIN)
    await admin.call("machines.dangerously.delete", counter, **CERTAIN)
    imported = await admin.call("transfers.import_", pieces)
    assert (imported.machines, imported.instances) == ([counter], 1)
    state = await admin.call("machine_instances.get", counter, "one")
    assert state.public_context == {"count": 3}


async def test_endpoints_of_machines(
    admin: Caller, server: RunningServer, shell: str, counter: str
) -> None:
    """Answer anybody, with whatever status the author likes."""
    await admin.call("machine_instances.create", counter, "one")
    async with calling(shell, None, api_url=server.url) as anybody:
        answer = await anybody.call(
            "http_api.request",
            "post",
            server.organization_id,
            counter,
            "add",
            query={"of": "one"},
            json={"by": 4},
        )
    assert (answer.status, answer.headers["x-count"], answer.body) == (418, "4", b"tea")


async def test_dead_letters(admin: Caller, counter: str) -> None:
    """Of a machine that has none."""
    assert await admin.collect("dead_letters.list", counter) == []
    assert await admin.call("dead_letters.retry_all", counter) == 0
    for operation in ("retry", "discard"):
        with pytest.raises(errors.NotFoundError):
            await admin.call(f"dead_letters.{operation}", counter, "letter")
