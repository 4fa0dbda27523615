"""The example machine: from TypeScript in this package to a version that runs, through the HTTP API."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from statekeep.cli.api import client_for
from statekeep.cli.building import build_machine
from statekeep.cli.connection import Target
from statekeep.cli.end_user import end_user_token, kept_key
from statekeep.cli.options import CodeOptions
from statekeep.cli.output import CommandFailed

if TYPE_CHECKING:
    from statekeep.client import Client

MACHINE: Final = "turnstile"
SOURCE: Final = Path(__file__).parents[1] / "examples" / "turnstile" / "turnstile.ts"


class Deployment(NamedTuple):
    """What a first visitor needs: a token of an end user, made with a key whose secret is in `key_file`."""

    key_id: str
    key_file: Path
    token: str


def deploy(url: str, organization_id: str, session: str, data_dir: Path) -> Deployment:
    """Publish the example, unless it is current already, and have a key for it. Raises CommandFailed."""
    key_file = data_dir.resolve() / "demo-key.json"
    target = Target(url=url, token=session, organization=organization_id, is_near=True)
    try:
        # The server looks at it anyway, a moment later.
        code = build_machine(CodeOptions(deno=SOURCE), skip_validation=True)
        with client_for(target) as api:
            _publish(api, code)
            key = kept_key(api, key_file, "demo")
    except (CommandFailed, OSError) as error:
        raise CommandFailed(f"the example could not be deployed: {error}") from error
    return Deployment(key.id, key_file, end_user_token(key))


def _publish(api: Client, code: bytes) -> None:
    from statekeep.client.errors import AlreadyExistsError

    try:
        api.machines.create(MACHINE)
        current = None
    except AlreadyExistsError:
        current = api.machines.get(MACHINE).current_version
    client_info = f"example-{hashlib.sha256(code).hexdigest()[:16]}"
    if current is None or current.client_info != client_info:
        api.machine_versions.create(MACHINE, code, client_info=client_info, make_current=True)
