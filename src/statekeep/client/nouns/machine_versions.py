"""Versions of machines: code that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from statekeep.client.models import (
    BlastRadius,
    MachineVersion,
    ProvisionalVersion,
    PublishedVersion,
)
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.nouns.machines import MACHINE
from statekeep.client.nouns.uploads import upload
from statekeep.client.pages import Listing
from statekeep.client.steps import Request, Steps, ask

_VERSIONS: Final = f"{MACHINE}/v"


class MachineVersions(Noun[Shell]):
    """Versions. `create` does in one call what `provisionally_create`, `upload` and `finalize` do in three."""

    @listing
    def list(self, machine_name: str, *, cursor: str | None = None) -> Listing[MachineVersion]:
        """Versions of a machine, newest first."""
        request = Request("GET", _VERSIONS, {"machine": machine_name})
        return Listing(request, "versions", MachineVersion, cursor)

    @operation
    def create(
        self,
        machine_name: str,
        code: str | bytes,
        *,
        client_info: str | None = None,
        make_current: bool = False,
        index_selectors: Mapping[str, str] | None = None,
    ) -> Steps[PublishedVersion]:
        """Publish code: one ES module, as text or gzipped. See `finalize` for the rest."""
        begun = yield from _provisionally_create(machine_name)
        yield from upload(begun.code_upload_url, begun.code_upload_fields, code)
        return (
            yield from _finalize(
                machine_name, begun.machine_version_id, client_info, make_current, index_selectors
            )
        )

    @operation
    def provisionally_create(self, machine_name: str) -> Steps[ProvisionalVersion]:
        """Reserve a version: where to upload its code, and the signed id to finalize it with."""
        return _provisionally_create(machine_name)

    @operation
    def upload(
        self, code_upload_url: str, code_upload_fields: Mapping[str, str], code: str | bytes
    ) -> Steps[None]:
        """Send code to where `provisionally_create` said. A second upload replaces the first until it is finalized."""
        return upload(code_upload_url, code_upload_fields, code)

    @operation
    def finalize(
        self,
        machine_name: str,
        signed_machine_version_id: str,
        *,
        client_info: str | None = None,
        make_current: bool = False,
        index_selectors: Mapping[str, str] | None = None,
    ) -> Steps[PublishedVersion]:
        """Load what was uploaded, and make it a version. Raises InvalidParameterError with the reason where it cannot be one.

        `client_info` is any text that tells you what it is. With `make_current` new instances use it unless they name another.
        `index_selectors` lead from names of indexes to JSONPaths into the context; those that are not named stay the current version's.
        """
        return _finalize(
            machine_name, signed_machine_version_id, client_info, make_current, index_selectors
        )

    @operation
    def get_blast_radius(self, machine_name: str, machine_version_id: str) -> Steps[BlastRadius]:
        """How many instances of other versions are in states that this one does not have: all of them are looked at."""
        names = {"machine": machine_name, "version": machine_version_id}
        return ask(Request("GET", f"{_VERSIONS}/{{version}}/blast-radius", names), BlastRadius)


def _provisionally_create(machine_name: str) -> Steps[ProvisionalVersion]:
    # What is reserved and not used costs nothing, so it may be repeated.
    request = Request("POST", _VERSIONS, {"machine": machine_name}, is_repeatable=True)
    return ask(request, ProvisionalVersion)


def _finalize(
    machine_name: str,
    signed_id: str,
    client_info: str | None,
    make_current: bool,
    index_selectors: Mapping[str, str] | None,
) -> Steps[PublishedVersion]:
    names = {"machine": machine_name, "signed": signed_id}
    body = {
        "clientInfo": client_info,
        "makeCurrent": make_current,
        "indexSelectors": None if index_selectors is None else dict(index_selectors),
    }
    return ask(Request("PUT", f"{_VERSIONS}/{{signed}}", names, body=body), PublishedVersion)
