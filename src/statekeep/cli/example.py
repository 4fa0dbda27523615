"""The example machine: from TypeScript in this package to a version that runs, through the HTTP API."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from statekeep.cli.api import as_json, client_for
from statekeep.cli.building import build_machine
from statekeep.cli.connection import Target
from statekeep.cli.options import CodeOptions
from statekeep.cli.output import CommandFailed
from statekeep.secret_files import replace_secret_file

if TYPE_CHECKING:
    from statekeep.client import Client
    from statekeep.client.models import NewKey

MACHINE: Final = "turnstile"
SOURCE: Final = Path(__file__).parents[1] / "examples" / "turnstile" / "turnstile.ts"

_END_USER: Final = "ada"
_TOKEN_VALID_FOR: Final = timedelta(days=1)


class Deployment(NamedTuple):
    """What a first visitor needs: a token of an end user, made with a key whose secret is in `key_file`."""

    key_id: str
    key_file: Path
    token: str


def deploy(url: str, organization_id: str, session: str, data_dir: Path) -> Deployment:
    """Publish the example, unless it is current already, and have a key for it. Raises CommandFailed."""
    from statekeep.client import sign_token

    key_file = data_dir.resolve() / "demo-key.json"
    target = Target(url=url, token=session, organization=organization_id, is_near=True)
    try:
        # The server looks at it anyway, a moment later.
        code = build_machine(CodeOptions(deno=SOURCE), skip_validation=True)
        with client_for(target) as api:
            _publish(api, code)
            key = _known_key(api, key_file) or _new_key(api, key_file)
    except (CommandFailed, OSError) as error:
        raise CommandFailed(f"the example could not be deployed: {error}") from error
    token = sign_token(key.id, key.key, {"sub": _END_USER}, expires=_TOKEN_VALID_FOR)
    return Deployment(key.id, key_file, token)


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


def _known_key(api: Client, key_file: Path) -> NewKey | None:
    """The key an earlier start left, where it was not deleted since."""
    from statekeep.client.models import NewKey

    try:
        left = json.loads(key_file.read_bytes())
        key = NewKey(id=left["id"], key=left["key"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return key if any(known.id == key.id for known in api.keys.list()) else None


def _new_key(api: Client, key_file: Path) -> NewKey:
    key = api.keys.create("demo", use="production")
    replace_secret_file(key_file, json.dumps(as_json(key), indent=2).encode())
    return key
