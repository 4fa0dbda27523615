"""An end user for whoever tries things out: a key that is kept for the next time, and tokens made with it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from statekeep.cli.api import as_json
from statekeep.secret_files import replace_secret_file

if TYPE_CHECKING:
    from statekeep.client import Client
    from statekeep.client.models import NewKey

_END_USER: Final = "ada"
_TOKEN_VALID_FOR: Final = timedelta(days=1)


def end_user_token(key: NewKey) -> str:
    """A token of an end user, good for a day, whose auth context is `{"sub": "ada"}`."""
    from statekeep.client import sign_token

    return sign_token(key.id, key.key, {"sub": _END_USER}, expires=_TOKEN_VALID_FOR)


def kept_key(api: Client, key_file: Path, name: str) -> NewKey:
    """The key that an earlier start left in the file, or, where there is none or it was deleted since, a new one, which is left there."""
    return _known_key(api, key_file) or _new_key(api, key_file, name)


def _known_key(api: Client, key_file: Path) -> NewKey | None:
    from statekeep.client.models import NewKey

    try:
        left = json.loads(key_file.read_bytes())
        key = NewKey(id=left["id"], key=left["key"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return key if any(known.id == key.id for known in api.keys.list()) else None


def _new_key(api: Client, key_file: Path, name: str) -> NewKey:
    key = api.keys.create(name, use="production")
    replace_secret_file(key_file, json.dumps(as_json(key), indent=2).encode())
    return key
