"""The store in SQLite does what the store in memory does, whatever is asked of them and in whatever order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from statekeep.domain.access import Role
from statekeep.domain.commit import Commit, JournalEntry, KeyUse
from statekeep.domain.errors import StatekeepError
from statekeep.domain.event import Origin, Receipt
from statekeep.domain.index import IndexChanges, IndexQuery
from statekeep.domain.instance import InstanceStatus
from statekeep.domain.log import LogSelection
from statekeep.domain.names import (
    IdentityProviderId,
    InstanceId,
    InstanceName,
    MachineName,
    TokenProviderId,
    VersionId,
)
from statekeep.domain.people import LinkUse, SessionKind
from statekeep.domain.retention import JournalBounds, JournalCut, LogBounds, Retention
from statekeep.domain.timer import Timer, TimerChanges
from statekeep.domain.token_exchange import ExchangePath, IdentityProvider
from statekeep.ports.pages import Page
from statekeep.ports.store import ConflictingRevision, Store, Upload
from statekeep.storage.memory.store import MemoryStore
from statekeep.storage.sqlite.store import SqliteStore
from tests.support.builders import (
    NOW,
    Ground,
    a_commit,
    a_key,
    a_log_entry,
    a_session,
    a_token_provider,
    a_user,
    a_version,
    an_identity_provider,
    an_invitation,
    an_organization,
    lay_ground,
)

# Few values of each kind, so that they meet.
NAMES = st.sampled_from(["one", "two", "three"]).map(InstanceName)
KEYS = st.sampled_from(["k1", "k2"])
TIMES = st.sampled_from([1.0, 1.5, 2.0, 3.25])
JSON = st.binary(max_size=20)
MACHINES = st.sampled_from(["toggle", "other"]).map(MachineName)
VERSIONS = st.sampled_from(["v1", "v2"])
PEOPLE = st.sampled_from(["ada", "eve", "admin of acme"])
ORGANIZATIONS = st.sampled_from(["acme", "rival"])
PAIRS = st.sampled_from([("a", "i"), ("a", None), (None, "i"), ("b", "i")])

INDEXES = st.sampled_from(["owner", "size"])
ENTRIES = st.lists(st.tuples(INDEXES, st.sampled_from("abc")), max_size=2, unique=True).map(tuple)

Call = Callable[[Store], Awaitable[Any]]


class Stores(RuleBasedStateMachine):
    """Every call goes to both; results and errors must be the same."""

    instances = Bundle("instances")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.memory = MemoryStore()
        self.sqlite = SqliteStore(self.directory)
        self.run(self.memory.open())
        self.run(self.sqlite.open())
        self.revisions: dict[InstanceId, int] = {}
        self.timers: dict[InstanceId, int] = {}

    def teardown(self) -> None:
        self.run(self.sqlite.close())
        self.runner.close()
        shutil.rmtree(self.directory)

    def run(self, awaitable: Awaitable[Any]) -> Any:
        async def result() -> Any:
            return await awaitable

        return self.runner.run(result())

    def ask(self, call: Call) -> Any:
        """The answer of both."""
        expected = self.run(outcome(self.memory, call))
        assert self.run(outcome(self.sqlite, call)) == expected
        return expected

    @initialize()
    def found(self) -> None:
        self.grounds: list[Ground] = []
        for organization in ("acme", "rival"):
            self.grounds.append(self.ask(partial(lay_ground, organization=organization)))

    # Instances.

    @rule(target=instances, name=NAMES, which=st.integers(0, 1), twice=st.booleans())
    def create(self, name: InstanceName, which: int, twice: bool) -> Any:
        """One alone, or together with another of the same name."""
        ground = self.grounds[which]
        ids = [self.ask(new_instance_id) for _ in range(1 + twice)]
        commits = [ground.creation(instance_id, name) for instance_id in ids]
        results = self.ask(lambda store: all_of(store, commits))
        for instance_id, result in zip(ids, results, strict=True):
            self.revisions[instance_id] = 1 if result is None else 0
        return multiple(*ids)

    @rule(
        instance_id=instances,
        changes=st.lists(
            st.tuples(
                st.lists(st.tuples(JSON, JSON, st.sampled_from(Origin)), min_size=1, max_size=3),
                st.lists(st.text(max_size=3), max_size=2),
                st.lists(TIMES, max_size=2),
                st.lists(st.integers(0, 6), max_size=2),
                st.lists(st.tuples(KEYS, TIMES, st.none() | JSON), max_size=2),
                st.sampled_from([0, 0, 0, 0, 0, -1, 1]),
                st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6)), max_size=1),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def commit(self, instance_id: InstanceId, changes: list[Any]) -> None:
        """Several at once, each on top of the one before, some of them on a wrong revision."""
        revision, seq = self.revisions[instance_id], self.timers.get(instance_id, 0)
        commits = []
        known = dict(self.timers)
        for entries, due, timers_set, timers_removed, keys, error, received in changes:
            journal = tuple(
                JournalEntry(
                    revision + 1 + number, 1e12 + revision + number, origin, event, snapshot
                )
                for number, (event, snapshot, origin) in enumerate(entries)
            )
            timers = tuple(
                Timer(seq + number, "t", at, b"{}", None) for number, at in enumerate(timers_set)
            )
            # Only what was set before can be removed: numbers are handed out once, in order.
            removed = tuple(number for number in timers_removed if number < seq)
            seq += len(timers)
            changed = TimerChanges(timers, removed)
            uses = tuple(KeyUse(key, b"hash", answer, expires) for key, expires, answer in keys)
            base = revision + error
            # Messages that were set before, and are not taken back by their receiver.
            receipts = tuple(
                Receipt(InstanceId(sender), number)
                for sender, number in received
                if number < known.get(InstanceId(sender), 0)
                and (sender != instance_id or number not in removed)
            )
            commits.append(
                Commit(
                    instance_id, base, journal, tuple(due), changed, seq, uses, received=receipts
                )
            )
            revision += len(entries)
        results = self.ask(lambda store: all_of(store, commits))
        written = [c for c, result in zip(commits, results, strict=True) if result is None]
        if written:
            self.revisions[instance_id] = written[-1].entries[-1].revision
        self.timers[instance_id] = seq

    @rule(instance_id=instances, status=st.sampled_from(InstanceStatus))
    def set_status(self, instance_id: InstanceId, status: InstanceStatus) -> None:
        self.ask(lambda store: store.set_status(instance_id, status))

    @rule(instance_id=instances)
    def delete_instance(self, instance_id: InstanceId) -> None:
        self.ask(lambda store: store.delete_instance(instance_id))

    @rule(
        instance_id=instances,
        seq=st.integers(0, 6),
        at=TIMES,
        tries=st.integers(0, 5),
        dead=st.booleans(),
    )
    def update_timer(
        self, instance_id: InstanceId, seq: int, at: float, tries: int, dead: bool
    ) -> None:
        timer = Timer(seq, "other", at, b"other", None, tries, dead)
        self.ask(lambda store: store.update_timer(instance_id, timer))

    @rule(instance_id=instances, key=KEYS, answer=JSON)
    def answer_key(self, instance_id: InstanceId, key: str, answer: bytes) -> None:
        self.ask(lambda store: store.answer_key(instance_id, key, answer))

    @rule(now_ms=TIMES)
    def forget_expired_keys(self, now_ms: float) -> None:
        self.ask(lambda store: store.forget_expired_keys(now_ms=now_ms))

    # Indexes.

    @rule(instance_id=instances, added=ENTRIES, removed=ENTRIES, error=st.sampled_from([0, 0, 1]))
    def reindex(self, instance_id: InstanceId, added: Any, removed: Any, error: int) -> None:
        """On top of a commit that is under way, or on a wrong revision."""
        base = self.revisions[instance_id]
        commit = a_commit(instance_id, base)._replace(indexed=IndexChanges(removed, added))
        revision = base + 1 + error

        async def change(store: Store) -> list[Any]:
            writes = [
                store.commit(commit),
                store.reindex(instance_id, revision, IndexChanges(added, removed)),
            ]
            results = await asyncio.gather(*writes, return_exceptions=True)
            return [result and type(result) for result in results]

        if self.ask(change)[0] is None:
            self.revisions[instance_id] = base + 1

    @rule(which=st.integers(0, 1), index=INDEXES, descending=st.booleans(), limit=st.integers(1, 3))
    def look_at_index(self, which: int, index: str, descending: bool, limit: int) -> None:
        """Every page."""
        machine_id = self.grounds[which].machine.id
        query = IndexQuery(machine_id, index, None, descending, limit)
        self.ask(lambda store: whole(lambda c: store.query_index(query, cursor=c)))

    @rule(step=st.sampled_from(["begin", "advance", "end"]))
    def fill(self, step: str) -> None:
        """The one that is found first, a step further. Generations are numbers of the store's own."""

        async def go_on(store: Store) -> Any:
            fill = await store.next_index_fill(after=0)
            if fill is None:
                return None
            if step == "begin":
                begun = await store.begin_index_fill(fill)
                return begun and begun._replace(generation=0)
            portion = await store.instances_to_index(fill, limit=1)
            if step == "end" or not portion:
                await store.end_index_fill(fill)
            else:
                moved = fill._replace(position=portion[-1].id, done=fill.done + 1)
                assert await store.advance_index_fill(moved)
            left = await store.index_fill(fill.machine_id)
            return portion, left and left._replace(generation=0)

        self.ask(go_on)

    # The catalog.

    @rule(organization=ORGANIZATIONS, machine=MACHINES)
    def create_machine(self, organization: str, machine: MachineName) -> None:
        owner = an_organization(organization).id
        self.ask(lambda store: store.create_machine(owner, machine, ("a",), NOW))

    @rule(organization=ORGANIZATIONS, machine=MACHINES)
    def delete_machine(self, organization: str, machine: MachineName) -> None:
        async def delete(store: Store) -> None:
            found = await store.machine(an_organization(organization).id, machine)
            if found is not None:
                await store.delete_machine(found.id)

        self.ask(delete)

    @rule(which=st.integers(0, 1), name=VERSIONS, code=JSON, make_current=st.booleans())
    def publish(self, which: int, name: str, code: bytes, make_current: bool) -> None:
        """Of a machine that may be gone, with an id that may have been used."""
        version = a_version(self.grounds[which].machine, f"{which}{name}")
        if name == "v2":
            version = replace(version, index_selectors={"size": "$.size"})
        self.ask(lambda store: store.create_version(version, code, make_current=make_current))
        self.ask(lambda store: store.version(version.id))
        self.ask(lambda store: store.version_code(version.id))

    @rule(name=VERSIONS, code=JSON, is_gzipped=st.booleans(), days=st.integers(0, 3))
    def upload(self, name: str, code: bytes, is_gzipped: bool, days: int) -> None:
        upload, expires_at = Upload(code, is_gzipped), NOW + timedelta(days=days)
        version_id = VersionId(f"ver_toggle_0{name}")
        self.ask(lambda store: store.save_upload(version_id, upload, expires_at=expires_at))

    @rule(days=st.integers(0, 3), name=VERSIONS)
    def forget_expired_uploads(self, days: int, name: str) -> None:
        now = NOW + timedelta(days=days)
        self.ask(lambda store: store.forget_expired_uploads(now=now))
        self.ask(lambda store: store.upload(VersionId(f"ver_toggle_0{name}")))

    @rule(organization=ORGANIZATIONS, name=KEYS, delete=st.booleans())
    def change_key(self, organization: str, name: str, delete: bool) -> None:
        owner = an_organization(organization).id
        key = a_key(owner, name)
        if delete:
            self.ask(lambda store: store.delete_key(owner, key.id))
        else:
            self.ask(lambda store: store.create_key(key, name.encode()))
        self.ask(lambda store: store.key(key.id))

    @rule(organization=ORGANIZATIONS, pair=PAIRS, version=VERSIONS, delete=st.booleans())
    def change_identity_provider(
        self, organization: str, pair: tuple[Any, Any], version: str, delete: bool
    ) -> None:
        owner = an_organization(organization).id
        provider = an_identity_provider(owner, *pair, id=f"{owner} {pair} {version}")
        if delete:
            self.ask(lambda store: store.delete_identity_provider(owner, *pair))
        else:
            self.ask(lambda store: store.put_identity_provider(provider))
        self.ask(lambda store: store.identity_provider(owner, *pair))
        self.ask(lambda store: sorted_ids(store.identity_providers_for(owner, ["a"], "i")))

    @rule(organization=ORGANIZATIONS, service=KEYS, version=VERSIONS, delete=st.booleans())
    def change_token_provider(
        self, organization: str, service: str, version: str, delete: bool
    ) -> None:
        owner = an_organization(organization).id
        provider = a_token_provider(
            owner, service, id=f"{owner} {service} {version}", key=f"sbk_{version}"
        )
        if delete:
            self.ask(lambda store: store.delete_token_provider(owner, provider.service))
        else:
            self.ask(lambda store: store.put_token_provider(provider))
        self.ask(lambda store: store.token_provider(owner, provider.service))

    @rule(organization=ORGANIZATIONS, pair=PAIRS, service=KEYS, version=VERSIONS)
    def look_at_exchange(
        self, organization: str, pair: tuple[Any, Any], service: str, version: str
    ) -> None:
        owner = an_organization(organization).id
        path = ExchangePath(
            IdentityProviderId(f"{owner} {pair} {version}"),
            TokenProviderId(f"{owner} {service} {version}"),
        )
        self.ask(lambda store: store.service_of_exchange(owner, path))

    @rule(name=st.sampled_from(["ada", "eve"]))
    def create_user(self, name: str) -> None:
        self.ask(lambda store: store.create_user(a_user(name)))
        self.ask(lambda store: store.user_by_email(a_user(name).email))

    @rule(name=PEOPLE, other=PEOPLE, is_verified=st.booleans(), kind=st.sampled_from(SessionKind))
    def begin_and_end_sessions(
        self, name: str, other: str, is_verified: bool, kind: SessionKind
    ) -> None:
        session = a_session(a_user(name), f"{name} {kind.value}", kind=kind)
        link = LinkUse(other, session.expires_at)
        self.ask(lambda store: store.create_session(session, link=link if is_verified else None))
        self.ask(lambda store: store.session(session.id))
        if is_verified:
            self.ask(lambda store: store.verify_email(a_user(other).id))
        else:
            self.ask(lambda store: store.end_session(a_user(other).id, session.id))
        self.ask(lambda store: store.list_sessions(a_user(name).id, cursor=None))

    @rule(organization=ORGANIZATIONS, name=PEOPLE, other=PEOPLE, role=st.sampled_from(Role))
    def invite(self, organization: str, name: str, other: str, role: Role) -> None:
        owner, user = an_organization(organization).id, a_user(name)
        invitation = an_invitation(owner, user.email, id=f"{owner} {name}", role=role)
        code_hash = invitation.id.encode()
        self.ask(lambda store: store.put_invitation(invitation, code_hash))
        self.ask(lambda store: store.invitation(code_hash))
        self.ask(
            lambda store: store.accept_invitation(
                invitation.id, a_user(other), is_new=role is Role.READ, now=NOW
            )
        )
        self.ask(lambda store: store.list_invitations(owner, cursor=None))
        self.ask(lambda store: store.list_members(owner, cursor=None))

    @rule(
        organization=ORGANIZATIONS,
        name=PEOPLE,
        role=st.none() | st.sampled_from(Role),
    )
    def change_member(self, organization: str, name: str, role: Role | None) -> None:
        owner, user_id = an_organization(organization).id, a_user(name).id
        if role is None:
            self.ask(lambda store: store.remove_member(owner, user_id))
        else:
            self.ask(lambda store: store.set_role(owner, user_id, role))
        self.ask(lambda store: store.role_of(user_id, owner))
        self.ask(lambda store: store.memberships(user_id))

    @rule(is_over=st.booleans())
    def forget_expired_people(self, is_over: bool) -> None:
        now = NOW + timedelta(days=2 if is_over else 0)
        self.ask(lambda store: store.forget_expired_people(now=now))

    # Logs.

    @rule(
        entries=st.lists(
            st.tuples(st.integers(0, 9), ORGANIZATIONS, NAMES, NAMES), min_size=1, max_size=8
        ),
        times=st.sampled_from([1, 1, 60]),
    )
    def append_logs(self, entries: list[Any], times: int) -> None:
        """Of several organizations, in no order, sometimes more than a millisecond has."""
        batch = [
            a_log_entry(ts, organization=organization, text=text)._replace(
                machine_name=machine, instance_name=text
            )
            for ts, organization, machine, text in entries * times
        ]
        self.ask(lambda store: store.append_logs(batch))

    @rule(before_ms=st.integers(0, 12), entries_max=st.sampled_from([0, 3, 100]))
    def forget_old_logs(self, before_ms: int, entries_max: int) -> None:
        size = a_log_entry(0, text="one").size_bytes * entries_max
        self.ask(
            lambda store: store.forget_old_logs(before_ms=before_ms, organization_bytes_max=size)
        )

    @rule(organization=ORGANIZATIONS, machine=NAMES, before_ms=st.integers(0, 12))
    def forget_machine_logs(self, organization: str, machine: str, before_ms: int) -> None:
        owner, name = an_organization(organization).id, MachineName(machine)
        self.ask(lambda store: store.forget_machine_logs(owner, name, before_ms=before_ms))

    @rule(
        organization=ORGANIZATIONS,
        after_ms=st.integers(-1, 12),
        until_ms=st.none() | st.integers(0, 12),
        machine=st.none() | NAMES,
        name=st.none() | NAMES,
        limit=st.integers(1, 101),
    )
    def look_at_logs(
        self,
        organization: str,
        after_ms: int,
        until_ms: int | None,
        machine: MachineName | None,
        name: InstanceName | None,
        limit: int,
    ) -> None:
        owner = an_organization(organization).id
        wanted = LogSelection(after_ms, until_ms, machine, name)
        self.ask(lambda store: store.read_logs(owner, wanted, limit=limit))

    # Looking.

    @rule(until=TIMES, limit=st.integers(1, 3))
    def look_at_timers(self, until: float, limit: int) -> None:
        """Every page."""

        async def look(store: Store) -> list[Any]:
            found: list[Any] = []
            while len(found) % limit == 0:
                after = found[-1] if found else None
                page = await store.timers_due_before(until, after=after, limit=limit)
                if not page:
                    break
                found += page
            return found

        self.ask(look)

    @rule(limit=st.integers(1, 3))
    def look_at_unsettled(self, limit: int) -> None:
        """Every page."""

        async def look(store: Store) -> list[Any]:
            found: list[Any] = []
            while len(found) % limit == 0:
                after = found[-1] if found else None
                page = await store.unsettled_instances(after=after, limit=limit)
                if not page:
                    break
                found += page
            return found

        self.ask(look)

    @rule(which=st.integers(0, 1), instance_id=instances)
    def look_at_dead_letters(self, which: int, instance_id: InstanceId) -> None:
        async def look(store: Store) -> list[Any]:
            machine = self.grounds[which].machine.id
            all_of_them = await whole(lambda c: store.list_dead_letters(machine, cursor=c))
            some = await whole(
                lambda c: store.list_dead_letters(machine, cursor=c, instance_id=instance_id)
            )
            return [all_of_them, some]

        self.ask(look)

    @rule(instance_id=instances, now_ms=TIMES)
    def look_at_instance(self, instance_id: InstanceId, now_ms: float) -> None:
        async def look(store: Store) -> list[Any]:
            keys = [await store.find_key(instance_id, key, now_ms=now_ms) for key in ("k1", "k2")]
            return keys + await whole(lambda c: store.list_transitions(instance_id, cursor=c))

        self.ask(look)

    @rule(instance_id=instances, revision=st.integers(0, 20), age=st.integers(-1, 20))
    def cut_journal(self, instance_id: InstanceId, revision: int, age: int) -> None:
        cut = JournalCut(revision, 1e12 + age if age >= 0 else -1.0)
        self.ask(lambda store: store.cut_journal(instance_id, cut))

    @rule(which=st.integers(0, 1), limit=st.integers(1, 3))
    def look_at_extents(self, which: int, limit: int) -> None:
        """Every page."""
        machine = self.grounds[which].machine.id

        async def look(store: Store) -> list[Any]:
            found: list[Any] = []
            while len(found) % limit == 0:
                after = found[-1].instance_id if found else None
                page = await store.journal_extents(machine, after=after, limit=limit)
                if not page:
                    break
                found += page
            return found

        self.ask(look)

    @rule(
        which=st.integers(0, 1),
        age=st.none() | st.integers(1, 3),
        entries=st.none() | st.just(7),
        logs=st.none() | st.builds(LogBounds, st.none() | st.just(timedelta(days=1))),
    )
    def set_retention(
        self, which: int, age: int | None, entries: int | None, logs: LogBounds | None
    ) -> None:
        machine = self.grounds[which].machine.id
        max_age = None if age is None else timedelta(hours=age)
        bounds = JournalBounds(max_age, entries)
        retention = Retention(None if bounds.is_unbounded else bounds, logs)
        self.ask(lambda store: store.set_retention(machine, retention))
        self.ask(lambda store: store.retention(machine))
        self.ask(lambda store: store.machine_retentions(after=0, limit=10))
        self.ask(lambda store: store.machine_log_ages(after=0, limit=10))

    @rule(instance_id=instances, revision=st.integers(0, 20))
    def look_at_what_followed(self, instance_id: InstanceId, revision: int) -> None:
        async def look(store: Store) -> list[Any]:
            portions = store.transitions_after(instance_id, revision)
            return [transition async for portion in portions for transition in portion]

        self.ask(look)

    @rule(which=st.integers(0, 1), name=NAMES)
    def look_at_name(self, which: int, name: InstanceName) -> None:
        self.ask(lambda store: store.claim(self.grounds[which].key(name)))

    @rule(organization=ORGANIZATIONS)
    def look_at_lists(self, organization: str) -> None:
        owner = an_organization(organization).id
        self.ask(lambda store: whole(lambda c: store.list_keys(owner, cursor=c)))
        self.ask(lambda store: whole(lambda c: store.list_identity_providers(owner, cursor=c)))
        self.ask(lambda store: whole(lambda c: store.list_token_providers(owner, cursor=c)))

        async def look(store: Store) -> list[Any]:
            machines = await whole(lambda c: store.list_machines(owner, cursor=c))
            lists = [machines]
            for machine in machines:
                number = machine.id
                lists.append(await whole(partial(list_by_cursor, store.list_versions, number)))
                lists.append(await whole(partial(list_by_cursor, store.list_instances, number)))
            return lists

        self.ask(look)

    @rule()
    def restart(self) -> None:
        """The numbers that are handed out next may differ, so memory catches up."""
        self.run(self.sqlite.close())
        self.sqlite = SqliteStore(self.directory)
        self.run(self.sqlite.open())
        ids = [store.new_instance_id() for store in (self.memory, self.sqlite)]
        while ids[1] < ids[0]:
            ids[1] = self.sqlite.new_instance_id()

    @invariant()
    def the_same_is_claimed(self) -> None:
        """Whatever happened."""
        for instance_id in self.revisions:
            self.ask(partial(claim, instance_id))


async def new_instance_id(store: Store) -> InstanceId:
    """As a call among others."""
    return store.new_instance_id()


async def claim(instance_id: InstanceId, store: Store) -> Any:
    """As a call among others."""
    return await store.claim_by_id(instance_id)


async def list_by_cursor(
    read: Callable[..., Awaitable[Page[Any]]], scope: int, cursor: str | None
) -> Page[Any]:
    """One page of a list of one machine."""
    return await read(scope, cursor=cursor)


async def sorted_ids(found: Awaitable[Sequence[IdentityProvider]]) -> list[str]:
    """In an order that both stores have."""
    return sorted(provider.id for provider in await found)


async def all_of(store: Store, commits: list[Commit]) -> list[Any]:
    """Passed at once; what became of each."""
    waiting = [store.commit(commit) for commit in commits]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    return [result and type(result) for result in results]


async def whole(read: Callable[[str | None], Awaitable[Page[Any]]]) -> list[Any]:
    """A list without its pages."""
    page = await read(None)
    items = [*page.items]
    while page.cursor is not None:
        page = await read(page.cursor)
        items += page.items
    return items


async def outcome(store: Store, call: Call) -> Any:
    """The result, or the kind of error."""
    try:
        return await call(store)
    except (StatekeepError, ConflictingRevision) as error:
        return type(error)


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
