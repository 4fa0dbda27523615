"""Values of the domain as answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from statekeep.application.blast_radius import BlastRadius
from statekeep.application.instances import AdministrativeState
from statekeep.application.logs import LogPage
from statekeep.application.retention import RetentionInEffect
from statekeep.domain.access import SCOPES
from statekeep.domain.dead_letter import DeadLetter
from statekeep.domain.durations import format_duration
from statekeep.domain.instance import InstanceInfo, InstanceView
from statekeep.domain.log import LogEntry
from statekeep.domain.machine import Key, Machine, Membership, VersionInfo
from statekeep.domain.migration import Migration
from statekeep.domain.retention import JournalBounds
from statekeep.domain.token_exchange import IdentityProvider, TokenProvider
from statekeep.ports.clock import datetime_of
from statekeep.ports.pages import Page
from statekeep.ports.store import Transition
from statekeep.wire import answers
from statekeep.wire.codecs import encode, timestamp, timestamp_of_milliseconds

Item = TypeVar("Item")
Shown = TypeVar("Shown")

_UNLIMITED: Final = 2**53 - 1
"""JavaScript's largest safe integer: clients read a number here, and there is no limit."""


class _View(Struct):
    state: Raw
    tags: list[str]
    done: bool


class _Snapshot(Struct):
    value: Raw
    context: Raw


def _reader(shape: type[Shown]) -> Callable[[bytes], Shown]:
    """Of JSON that machines made: half a character in a text, which JavaScript writes and no UTF-8 has, is shown as a question mark."""
    decode = msgspec.json.Decoder(shape).decode

    def read(text: bytes) -> Shown:
        try:
            return decode(text)
        except msgspec.DecodeError:
            whole = json.dumps(json.loads(text), ensure_ascii=False)
            return decode(whole.encode(errors="replace"))

    return read


_read_view = _reader(_View)
_read_snapshot = _reader(_Snapshot)


def state_json(view: InstanceView) -> bytes:
    """The JSON of `answers.State`. The view is an object already, encoded where it was made."""
    return b'{"ts":' + encode(view.ts) + b"," + view.view[1:]


def shown(page: Page[Item], show: Callable[[Item], Shown]) -> list[Shown]:
    """The items of a page as answers."""
    return [show(item) for item in page.items]


def next_cursor(page: Page[Any]) -> str | UnsetType:
    """Absent on the last page."""
    return UNSET if page.cursor is None else page.cursor


def version(info: VersionInfo) -> answers.VersionInfo:
    """The published types want a `clientInfo` always."""
    return answers.VersionInfo(info.id, timestamp(info.created_at), info.client_info or "")


def machine_item(machine: Machine) -> answers.MachineItem:
    """A machine in a list."""
    return answers.MachineItem(
        machine.name, timestamp(machine.created_at), _version_if_any(machine.current_version)
    )


def machine_details(machine: Machine) -> answers.MachineDetails:
    """One machine."""
    return answers.MachineDetails(
        machine.name,
        timestamp(machine.created_at),
        list(machine.indexes),
        _version_if_any(machine.current_version),
    )


def instance_item(instance: InstanceInfo) -> answers.InstanceItem:
    """An instance in a list."""
    return answers.InstanceItem(
        instance.name,
        timestamp(instance.created_at),
        instance.status.value,
        version(instance.version),
        _version_if_any(instance.desired_version),
    )


def administrative_state(state: AdministrativeState) -> answers.AdministrativeState:
    """The whole of an instance."""
    view = _read_view(state.view.view)
    return answers.AdministrativeState(
        state=view.state,
        context=_read_snapshot(state.snapshot).context,
        status=state.status.value,
        tags=view.tags,
        done=view.done,
        machine_version=version(state.version),
        created_at=timestamp(state.created_at),
        desired_machine_version=_version_if_any(state.desired_version),
    )


def transition_item(transition: Transition) -> answers.TransitionItem:
    """One recorded step."""
    return answers.TransitionItem(
        timestamp(datetime_of(transition.ts)),
        _read_snapshot(transition.snapshot).value,
        Raw(transition.event),
    )


def migration_item(migration: Migration) -> answers.MigrationItem:
    """A migration in a list."""
    return answers.MigrationItem(
        migration.id,
        migration.from_version,
        migration.to_version,
        timestamp(migration.created_at),
    )


def dead_letter_item(letter: DeadLetter) -> answers.DeadLetterItem:
    """A dead letter. It has failed, so it says why, unless a release before this one gave it up."""
    timer = letter.timer
    message = timer.message
    return answers.DeadLetterItem(
        id=letter.id.text,
        instance=letter.instance_name,
        kind=letter.kind,  # type: ignore[arg-type]  # message.MessageKind and wire's kinds are kept alike by a test
        event=Raw(timer.event),
        due_at=timestamp(datetime_of(timer.due_at)),
        tries=timer.tries,
        failure=timer.failure or "",
        to=UNSET if message is None else answers.InstanceAddress(*message.to),
    )


def retention(found: RetentionInEffect) -> answers.RetentionAnswer:
    """What was chosen for a machine, and what is in effect."""
    journal, logs = found.chosen
    return answers.RetentionAnswer(
        answers.ChosenRetention(
            UNSET if journal is None else _journal_retention(journal),
            UNSET if logs is None else _log_retention(logs.max_age),
        ),
        answers.EffectiveRetention(
            _journal_retention(found.journal), _log_retention(found.logs_max_age)
        ),
    )


def _journal_retention(bounds: JournalBounds) -> answers.JournalRetention:
    return answers.JournalRetention(
        UNSET if bounds.max_age is None else format_duration(bounds.max_age),
        UNSET if bounds.max_entries is None else bounds.max_entries,
    )


def _log_retention(max_age: timedelta | None) -> answers.LogRetention:
    return answers.LogRetention(UNSET if max_age is None else format_duration(max_age))


def blast_radius(radius: BlastRadius) -> answers.BlastRadius:
    """Instances in states that a version does not have."""
    unmapped = [
        answers.UnmappedState([*map(_encodable, state.path)], state.version, state.instances)
        for state in radius.unmapped
    ]
    return answers.BlastRadius(radius.affected, radius.checked, unmapped, radius.is_complete)


def _encodable(key: str) -> str:
    """JavaScript has names with half a character in them; no UTF-8 has."""
    return key.encode(errors="replace").decode()


def key_item(key: Key) -> answers.KeyItem:
    """A key without its secret. A scope of a later release may stand in the store; the types of this one do not know it."""
    return answers.KeyItem(
        key.id,
        key.name,
        sorted(key.scopes & SCOPES),  # type: ignore[arg-type]  # SCOPES and wire's Scope are kept alike by a test
        timestamp(key.created_at),
    )


def identity_provider_item(provider: IdentityProvider) -> answers.IdentityProviderItem:
    """An identity provider without its key. What matches any is left out."""
    return answers.IdentityProviderItem(
        list(provider.algorithms),  # type: ignore[arg-type]  # the domain's algorithms and wire's are kept alike by a test
        provider.mapping,
        provider.audience or UNSET,
        provider.issuer or UNSET,
        provider.jwks_url or UNSET,
    )


def token_provider_item(provider: TokenProvider) -> answers.TokenProviderItem:
    """A token provider."""
    return answers.TokenProviderItem(provider.key_id, provider.service, provider.mapping)


def log_page(page: LogPage) -> answers.LogPage:
    """A page of log entries."""
    entries = [log_entry(entry) for entry in page.entries]
    return answers.LogPage(timestamp_of_milliseconds(page.newest_ms), entries)


def log_entry(entry: LogEntry) -> answers.LogEntry:
    """One piece of output."""
    return answers.LogEntry(
        timestamp=timestamp_of_milliseconds(entry.ts_ms),
        org_id=entry.organization_id,
        machine_name=entry.machine_name,
        instance_name=entry.instance_name or "",
        machine_version_id=entry.version_id,
        output_type="stderr" if entry.is_error else "stdout",
        log=entry.text,
    )


def organization_items(memberships: Sequence[Membership]) -> list[answers.OrganizationItem]:
    """Organizations as their member sees them."""
    limits = answers.OrganizationLimits(_UNLIMITED, _UNLIMITED)
    return [
        answers.OrganizationItem(
            membership.organization.id,
            membership.organization.name,
            membership.role.value,
            timestamp(membership.organization.created_at),
            limits,
        )
        for membership in memberships
    ]


def _version_if_any(info: VersionInfo | None) -> answers.VersionInfo | UnsetType:
    return UNSET if info is None else version(info)
