"""What an author and their users do with a running server: deploy JavaScript, create instances, send events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.forgery import key_token
from tests.support.server import RunningServer

ANSWER_SECONDS_MAX = 60
CONNECTIONS_MAX = 256

OPEN_TO_ALL = """
import { assign, createMachine, fromCallback, fromPromise, raise, sendTo, spawnChild, stopChild } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
"""
"""What most machines of tests begin with."""


class Deployment:
    """A client of a server for one end user. May be used from many threads at once."""

    def __init__(self, server: RunningServer, http: httpx.Client, token: str | None) -> None:
        self._admin = {"authorization": f"Bearer {server.token}"}
        self._http = http
        self.token = token or self._new_token()
        self._user = {"authorization": f"Bearer {self.token}"}

    def _new_token(self) -> str:
        key = self._expect("POST", "/keys", {"name": "tests", "use": "production"})
        return key_token(key["id"], key["key"], act={"sub": "a user"})

    def deploy(self, machine: str, code: str) -> str:
        """A new machine whose current version is `code`; returns the version's id."""
        self._expect("POST", "/machines", {"slug": machine})
        return self.new_version(machine, code)

    def new_version(self, machine: str, code: str) -> str:
        """Make `code` the machine's current version."""
        begun = self._expect("POST", f"/machines/{machine}/v")
        uploaded = self._http.post(
            begun["codeUploadUrl"],
            data={"content-type": "application/javascript"},
            files={"file": ("machine.js", code.encode(), "application/javascript")},
        )
        assert uploaded.is_success, uploaded.text
        path = f"/machines/{machine}/v/{begun['machineVersionId']}"
        version_id: str = self._expect("PUT", path, {"makeCurrent": True})["machineVersionId"]
        return version_id

    def migrate(self, machine: str, start: str, target: str, code: str) -> str:
        """A migration from version to version; returns its id."""
        body = {"fromMachineVersionId": start, "toMachineVersionId": target}
        begun = self._expect("POST", f"/machines/{machine}/migrations", body)
        uploaded = self._http.post(
            begun["codeUploadUrl"],
            data={"content-type": "application/javascript"},
            files={"file": ("migration.js", code.encode(), "application/javascript")},
        )
        assert uploaded.is_success, uploaded.text
        path = f"/machines/{machine}/migrations/{begun['machineVersionMigrationId']}"
        migration_id: str = self._expect("PUT", path)["machineVersionMigrationId"]
        return migration_id

    def desire(self, machine: str, instance: str, version_id: str) -> None:
        """Let an instance be carried over to a version before its next event."""
        body = {"targetMachineVersionId": version_id}
        self._expect("PUT", f"/machines/{machine}/i/{instance}/v", body)

    def new_version_of(self, machine: str, code: str) -> dict[str, Any]:
        """Publish a version that is not made current; returns the whole answer."""
        begun = self._expect("POST", f"/machines/{machine}/v")
        uploaded = self._http.post(
            begun["codeUploadUrl"],
            data={"content-type": "application/javascript"},
            files={"file": ("machine.js", code.encode(), "application/javascript")},
        )
        assert uploaded.is_success, uploaded.text
        path = f"/machines/{machine}/v/{begun['machineVersionId']}"
        published: dict[str, Any] = self._expect("PUT", path, {})
        return published

    def dry_run(self, machine: str, **request: Any) -> Any:
        """The report of a dry run that is over when it is answered."""
        report = self._expect("POST", f"/machines/{machine}/migrations/dry-run", request)
        assert report["state"] != "running"
        return report

    def begin_upgrade(self, machine: str, **request: Any) -> str:
        """A bulk upgrade; returns its id."""
        job_id: str = self._expect("POST", f"/machines/{machine}/upgrades", request)["id"]
        return job_id

    def upgrade(self, machine: str, job_id: str) -> Any:
        """How far a bulk upgrade is."""
        return self._expect("GET", f"/machines/{machine}/upgrades/{job_id}")

    def upgraded(self, machine: str, job_id: str) -> Any:
        """The same once it is not running any more."""
        while (progress := self.upgrade(machine, job_id))["status"] == "running":
            time.sleep(0.05)
        return progress

    def set_upgrade(self, machine: str, job_id: str, status: str) -> None:
        """Pause a bulk upgrade, let it go on or cancel it."""
        self._expect("PUT", f"/machines/{machine}/upgrades/{job_id}", {"status": status})

    def results(self, machine: str, job_id: str, outcome: str) -> list[Any]:
        """All results of a bulk upgrade with that outcome."""
        path = f"/machines/{machine}/upgrades/{job_id}/results?outcome={outcome}"
        results: list[Any] = []
        cursor = ""
        while True:
            page = self._expect("GET", path + cursor)
            results += page["results"]
            if "cursor" not in page:
                return results
            cursor = f"&cursor={page['cursor']}"

    def stub(self, machine: str, start: str, target: str) -> str:
        """A migration as its author begins with it."""
        path = f"/machines/{machine}/migrations/stub?from={start}&to={target}"
        answer = self._http.get(path, headers=self._admin)
        assert answer.is_success, answer.text
        assert answer.headers["content-type"].startswith("application/typescript")
        return answer.text

    def blast_radius(self, machine: str, version: str) -> Any:
        """Of all instances."""
        return self._expect("GET", f"/machines/{machine}/v/{version}/blast-radius")

    def admin(self, machine: str, instance: str) -> Any:
        """The whole of an instance."""
        return self._expect("GET", f"/machines/{machine}/i/{instance}/admin")

    def create(self, machine: str, instance: str, **more: Any) -> Any:
        """A new instance; returns its state. `more`: `context`, `machineVersionId`."""
        answer = self._http.post(
            f"/machines/{machine}", json={"slug": instance, **more}, headers=self._user
        )
        assert answer.is_success, answer.text
        return answer.json()

    def send(
        self, machine: str, instance: str, event: dict[str, Any], *, key: str | None = None
    ) -> httpx.Response:
        """The answer to an event, whatever it is. Raises httpx.TransportError where there is none."""
        headers = self._user if key is None else {**self._user, "idempotency-key": key}
        return self._http.post(
            f"/machines/{machine}/i/{instance}/events", json={"event": event}, headers=headers
        )

    def sent(self, machine: str, instance: str, event: dict[str, Any]) -> Any:
        """The state after an event that has to be accepted."""
        answer = self.send(machine, instance, event)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def read(self, machine: str, instance: str) -> Any:
        """The state of an instance."""
        answer = self._http.get(f"/machines/{machine}/i/{instance}", headers=self._user)
        assert answer.is_success, answer.text
        return answer.json()

    def journal(self, machine: str, instance: str) -> list[dict[str, Any]]:
        """Every recorded transition, oldest first. Nothing of the instance moves or is loaded for it."""
        transitions: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self._expect("GET", f"/machines/{machine}/i/{instance}/events{cursor}")
            transitions += page["transitions"]
            if "cursor" not in page:
                return transitions[::-1]
            cursor = f"?cursor={page['cursor']}"

    def _expect(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, path, json=body, headers=self._admin)
        assert answer.is_success, answer.text
        return json.loads(answer.content) if answer.content else None


@contextmanager
def deployment(server: RunningServer, token: str | None = None) -> Iterator[Deployment]:
    """A client with this token of an end user, or else with a key of its own."""
    limits = httpx.Limits(max_connections=CONNECTIONS_MAX)
    with httpx.Client(base_url=server.url, timeout=ANSWER_SECONDS_MAX, limits=limits) as http:
        yield Deployment(server, http, token)
