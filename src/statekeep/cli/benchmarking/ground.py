"""What a benchmark has on a server for as long as it lasts: a machine and a key of its own, so that nobody's are touched."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from statekeep.cli.api import client_for
from statekeep.cli.connection import Target
from statekeep.cli.output import warn
from statekeep.client import sign_token
from statekeep.client.errors import ApiError, NotFoundError

if TYPE_CHECKING:
    from statekeep.client import Client

SOURCE: Final = Path(__file__).parents[2] / "examples" / "bench" / "toggle.js"
_USER: Final = "bench"
"""Whom the machine allows everything, and nobody else anything."""
_SCOPES: Final = (
    "events.write",
    "instances.admin",
    "instances.read",
    "instances.write",
    "machine-versions.write",
    "machines.admin",
    "machines.write",
    "state.read",
)
_TOKEN_VALID_FOR: Final = timedelta(days=1)


class Ground:
    """The machine on a server, and a client and a token of the one who may use it."""

    def __init__(self, machine: str, token: str, api: Client) -> None:
        self.machine = machine
        self.token = token
        self._api = api

    def publish(self) -> None:
        """Make the machine."""
        self._api.machines.create(self.machine)
        self._api.machine_versions.create(
            self.machine, SOURCE.read_text(), client_info="statekeep bench", make_current=True
        )

    def count(self, instance: str) -> int:
        """How many events an instance has had."""
        state = self._api.machine_instances.get(self.machine, instance)
        count: int = state.public_context["count"]
        return count

    def clear(self) -> None:
        """Delete the machine, and one by one, as fast as the server lets us, what it still has. Whatever keeps that from being is told."""
        try:
            with suppress(NotFoundError):
                for instance in [*self._api.machine_instances.list(self.machine)]:
                    self._api.machine_instances.dangerously.delete(
                        self.machine, instance.slug, danger_data_will_be_deleted_forever=True
                    )
                self._api.machines.dangerously.delete(
                    self.machine, danger_data_will_be_deleted_forever=True
                )
        except ApiError as error:
            self.warn_of_rest(str(error))

    def warn_of_rest(self, why: str) -> None:
        """Somebody has to delete the machine by hand."""
        warn(
            f"machine {self.machine} is left on the server ({why}): delete its instances, and then it"
        )


@contextmanager
def ground_on(target: Target) -> Iterator[Ground]:
    """A machine's name that nobody has, and a key that is deleted when the context ends. Raises CommandFailed as all commands do."""
    name = f"statekeep-bench-{secrets.token_hex(4)}"
    with client_for(target) as api:
        key = api.keys.create(name, scopes=_SCOPES)
        try:
            token = sign_token(key.id, key.key, {"sub": _USER}, expires=_TOKEN_VALID_FOR)
            with client_for(replace(target, token=token, organization=None)) as own:
                yield Ground(name, token, own)
        finally:
            api.keys.delete(key.id)
