"""The example machine: from TypeScript in this package to a version that runs, through the HTTP API."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import deno
import httpx
from joserfc import jwt
from joserfc.jwk import OctKey

from statekeep.cli.output import CommandFailed
from statekeep.system import SystemClock

MACHINE: Final = "turnstile"
SOURCE: Final = Path(__file__).parents[1] / "examples" / "turnstile" / "turnstile.ts"

_END_USER: Final = "ada"
_TOKEN_VALID_FOR_S: Final = 24 * 60 * 60
_AUDIENCE: Final = "https://api.statebacked.dev/"


class Deployment(NamedTuple):
    """What a first visitor needs: a token of an end user, made with a key whose secret is in `key_file`."""

    key_id: str
    key_file: Path
    token: str


def deploy(url: str, organization_id: str, session: str, data_dir: Path) -> Deployment:
    """Publish the example, unless it is current already, and have a key for it. Raises CommandFailed."""
    headers = {"authorization": f"Bearer {session}", "x-statebacked-org-id": organization_id}
    # The server is ours and near: no proxy from the environment may get between.
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as api:
        try:
            _publish(api, to_javascript(SOURCE))
            key_file = data_dir.resolve() / "demo-key.json"
            key = _known_key(api, key_file) or _new_key(api, key_file)
        except httpx.HTTPStatusError as error:
            raise CommandFailed(
                f"the example could not be deployed: {error.response.text}"
            ) from error
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise CommandFailed(f"the example could not be deployed: {error}") from error
    return Deployment(key["id"], key_file, _end_user_token(key))


def to_javascript(source: Path) -> bytes:
    """The module without its types. Raises CommandFailed.

    Imports stay as they are, so this is for a single file. Unlike `deno bundle` it needs nothing from the network.
    """
    with tempfile.TemporaryDirectory(prefix="statekeep-") as folder:
        target = Path(folder) / "module.js"
        result = subprocess.run(
            [
                *(deno.find_deno_bin(), "transpile", "--no-config", "--no-lock"),
                *("--output", str(target), str(source)),
            ],
            # Nothing of the user's: neither their cache nor their settings decide what is deployed.
            env={"DENO_DIR": folder, "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise CommandFailed(f"{source} is not TypeScript:\n{result.stderr.strip()}")
        return target.read_bytes()


def _publish(api: httpx.Client, code: bytes) -> None:
    made = api.post("/machines", json={"slug": MACHINE})
    if made.status_code != httpx.codes.CONFLICT:
        made.raise_for_status()
    client_info = f"example-{hashlib.sha256(code).hexdigest()[:16]}"
    machine = _json(api.get(f"/machines/{MACHINE}"))["machine"]
    if (machine.get("currentVersion") or {}).get("clientInfo") == client_info:
        return
    provisional = _json(api.post(f"/machines/{MACHINE}/v"))
    _upload(provisional, code)
    signed_id = provisional["machineVersionId"]
    _json(
        api.put(
            f"/machines/{MACHINE}/v/{signed_id}",
            json={"clientInfo": client_info, "makeCurrent": True},
        )
    )


def _upload(provisional: dict[str, Any], code: bytes) -> None:
    content_type = "text/javascript"
    httpx.post(
        provisional["codeUploadUrl"],
        data={**provisional["codeUploadFields"], "content-type": content_type},
        files={"file": ("module.js", code, content_type)},
        trust_env=False,
    ).raise_for_status()


def _known_key(api: httpx.Client, key_file: Path) -> dict[str, str] | None:
    """The key an earlier start left, where it was not deleted since."""
    try:
        key: dict[str, str] = json.loads(key_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    cursor: dict[str, str] = {}
    while True:
        page = _json(api.get("/keys", params=cursor))
        if any(known["id"] == key.get("id") for known in page["keys"]):
            return key
        if "cursor" not in page:
            return None
        cursor = {"cursor": page["cursor"]}


def _new_key(api: httpx.Client, key_file: Path) -> dict[str, str]:
    key: dict[str, str] = _json(api.post("/keys", json={"name": "demo", "use": "production"}))
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(key, file, indent=2)
    return key


def _end_user_token(key: dict[str, str]) -> str:
    """What a back end makes for its users, as `@statebacked/token` does."""
    now = int(SystemClock().now_ms() / 1000)
    claims = {
        "aud": _AUDIENCE,
        "act": {"sub": _END_USER},
        "iat": now,
        "exp": now + _TOKEN_VALID_FOR_S,
    }
    return jwt.encode(
        {"alg": "HS256", "kid": key["id"]}, claims, OctKey.import_key(key["key"].encode())
    )


def _json(response: httpx.Response) -> dict[str, Any]:
    answer: dict[str, Any] = response.raise_for_status().json()
    return answer
