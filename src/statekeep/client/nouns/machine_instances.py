"""Instances of machines."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from statekeep.client.errors import ConflictError, NotFoundError
from statekeep.client.models import AdministrativeState, Instance, State, Transition, Update
from statekeep.client.noun import Noun, Shell, iteration, listing, operation
from statekeep.client.nouns.machines import MACHINE
from statekeep.client.nouns.proofs import proof_of
from statekeep.client.pages import Listing
from statekeep.client.steps import Emits, Request, Steps, ask, tell
from statekeep.client.subscription import Follower, Subscription

INSTANCE: Final = f"{MACHINE}/i/{{instance}}"
_EVENTS: Final = f"{INSTANCE}/events"
IDEMPOTENCY_KEY: Final = "idempotency-key"

Context: TypeAlias = Mapping[str, Any]
Event: TypeAlias = str | Mapping[str, Any]
"""The name of an event, or an object with its name as `type`."""


class MachineInstances(Noun[Shell]):
    """Instances. Each has its own state, decides who may read and write it, and takes one event at a time."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self.dangerously: DangerousInstances[Shell] = DangerousInstances(shell)
        self.admin: InstanceAdministration[Shell] = InstanceAdministration(shell)

    @listing
    def list(self, machine_name: str, *, cursor: str | None = None) -> Listing[Instance]:
        """Instances of a machine, newest first."""
        request = Request("GET", f"{MACHINE}/i", {"machine": machine_name})
        return Listing(request, "instances", Instance, cursor)

    @listing
    def list_transitions(
        self, machine_name: str, machine_instance_name: str, *, cursor: str | None = None
    ) -> Listing[Transition]:
        """What an instance has done, newest first, as far as it is kept."""
        request = Request("GET", _EVENTS, _names(machine_name, machine_instance_name))
        return Listing(request, "transitions", Transition, cursor)

    @operation
    def create(
        self,
        machine_name: str,
        machine_instance_name: str,
        *,
        context: Context | None = None,
        machine_version_id: str | None = None,
    ) -> Steps[State]:
        """A new instance, in its initial state. Raises AlreadyExistsError, and RejectedByMachineAuthorizerError where `allowWrite` says no.

        Keys of `context` replace those of the machine's own; an XState 5 machine whose context is a function of `input` gets it as
        input. Without `machine_version_id` it is of the machine's current version.

        Where the connection is lost, nobody knows whether it exists now, and ConnectionFailedError is raised: `get_or_create` does not mind.
        """
        return _create(machine_name, machine_instance_name, context, machine_version_id)

    @operation
    def get(self, machine_name: str, machine_instance_name: str) -> Steps[State]:
        """The state as it is. Raises NotFoundError, and RejectedByMachineAuthorizerError where `allowRead` says no."""
        return _get(machine_name, machine_instance_name)

    @operation
    def get_or_create(
        self,
        machine_name: str,
        machine_instance_name: str,
        *,
        context: Context | Callable[[], Context] | None = None,
        machine_version_id: str | None = None,
    ) -> Steps[State]:
        """The state as it is, of an instance that is created where there is none. A function is asked for the context only then."""
        try:
            return (yield from _get(machine_name, machine_instance_name))
        except NotFoundError:
            given = context() if callable(context) else context
        try:
            return (
                yield from _create(
                    machine_name,
                    machine_instance_name,
                    given,
                    machine_version_id,
                    is_repeatable=True,
                )
            )
        except ConflictError:
            # Somebody else was faster, or we were, and the answer was lost.
            return (yield from _get(machine_name, machine_instance_name))

    @operation
    def send_event(
        self,
        machine_name: str,
        machine_instance_name: str,
        event: Event,
        *,
        idempotency_key: str | None = None,
    ) -> Steps[State]:
        """Deliver an event once, and return the state once the instance has settled or the server's settle timeout has passed.

        Raises RejectedByMachineAuthorizerError where `allowWrite` says no, InvalidStateError where the instance is paused, and
        MachineError where its code throws before the transition is taken. Nothing changed then.

        The event is sent with an idempotency key, so that it is delivered once however often it has to be sent. Give one of your
        own where *you* may send the same event again, in another process perhaps: within 24 hours it gets the first answer.
        """
        request = Request(
            "POST",
            _EVENTS,
            _names(machine_name, machine_instance_name),
            body={"event": event},
            headers={IDEMPOTENCY_KEY: idempotency_key or secrets.token_urlsafe(16)},
            is_repeatable=True,
        )
        return ask(request, State)

    @iteration
    def subscribe(
        self,
        machine_name: str,
        machine_instance_name: str,
        *,
        since: int | None = None,
        only_newest: bool = False,
    ) -> Emits[Update]:
        """Follow an instance: the state as it is, and then every state that follows, in order and without a gap, for ever.

        A lost connection is made anew, and goes on after the last update that came. `since` is the `revision` of an update that was
        seen before: whatever came after it is told first, as far as the machine keeps its transitions (HistoryGoneError where it does
        not); 0 is the whole history. With `only_newest` a reader that takes its time misses states in between.

        Raises RejectedByMachineAuthorizerError once `allowRead` says no to a state, NotFoundError once the instance is deleted, and
        NotConnectedError where no first connection comes about. Each iterator has a connection of its own, which ends with it: close
        it (`contextlib.closing`, `contextlib.aclosing`) where you stop early.
        """
        subscription = Subscription(
            machine_name, machine_instance_name, since=since, only_newest=only_newest
        )
        return Follower(subscription).updates()


class DangerousInstances(Noun[Shell]):
    """What can lose data, or keep a machine from what it promises."""

    @operation
    def set_status(
        self,
        machine_name: str,
        machine_instance_name: str,
        status: Literal["running", "paused"],
    ) -> Steps[None]:
        """Pause an instance ("paused"), or let it run again ("running"). Paused, it refuses events; its timers become dead letters after five tries."""
        names = _names(machine_name, machine_instance_name)
        return tell(Request("PUT", f"{INSTANCE}/status", names, body={"status": status}))

    @operation
    def delete(
        self,
        machine_name: str,
        machine_instance_name: str,
        *,
        danger_data_will_be_deleted_forever: bool,
    ) -> Steps[None]:
        """An instance with its state, its history and its timers."""
        body = {
            "dangerDataWillBeDeletedForever": danger_data_will_be_deleted_forever,
            "hmacSha256OfMachineInstanceNameWithMachineNameKey": proof_of(
                machine_name, machine_instance_name
            ),
        }
        names = _names(machine_name, machine_instance_name)
        return tell(Request("DELETE", INSTANCE, names, body=body))


class InstanceAdministration(Noun[Shell]):
    """What operators do with instances, without asking their authorisers."""

    @operation
    def get(self, machine_name: str, machine_instance_name: str) -> Steps[AdministrativeState]:
        """The whole of an instance, its private context included."""
        names = _names(machine_name, machine_instance_name)
        return ask(Request("GET", f"{INSTANCE}/admin", names), AdministrativeState)

    @operation
    def update_desired_version(
        self, machine_name: str, machine_instance_name: str, target_machine_version_id: str
    ) -> Steps[None]:
        """Have an instance carried over to another version before its next event. Its own version takes that back.

        Raises NoMigrationPathError.
        """
        names = _names(machine_name, machine_instance_name)
        body = {"targetMachineVersionId": target_machine_version_id}
        return tell(Request("PUT", f"{INSTANCE}/v", names, body=body))


def _names(machine_name: str, machine_instance_name: str) -> dict[str, str]:
    return {"machine": machine_name, "instance": machine_instance_name}


def _get(machine_name: str, machine_instance_name: str) -> Steps[State]:
    return ask(Request("GET", INSTANCE, _names(machine_name, machine_instance_name)), State)


def _create(
    machine_name: str,
    machine_instance_name: str,
    context: Context | None,
    machine_version_id: str | None,
    *,
    is_repeatable: bool = False,
) -> Steps[State]:
    body = {
        "slug": machine_instance_name,
        "context": None if context is None else dict(context),
        "machineVersionId": machine_version_id,
    }
    request = Request(
        "POST", MACHINE, {"machine": machine_name}, body=body, is_repeatable=is_repeatable
    )
    return ask(request, State)
