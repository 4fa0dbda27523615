"""Indexes of a real server on a real disk: filled for existing instances, whatever happens to the process meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from statekeep.domain.commit import Commit, JournalEntry, NewInstance
from statekeep.domain.event import Origin
from statekeep.domain.instance import InstanceKey
from statekeep.domain.names import InstanceName, MachineName, OrganizationId, VersionId
from statekeep.storage.sqlite.store import SqliteStore
from tests.support.builders import NOW, NOW_MS
from tests.support.deployed import OPEN_TO_ALL
from tests.support.server import RunningServer, server_process

INSTANCES = 5_000
LOOKS_MAX = 60_000
CODE = f"""{OPEN_TO_ALL}
export default createMachine({{
  context: {{ owner: "nobody" }},
  initial: "on",
  states: {{ on: {{ on: {{ give: {{ actions: assign({{ owner: ({{ event }}) => event.to }}) }} }} }} }},
}});
"""


@contextmanager
def admin_of(data_dir: Path) -> Iterator[tuple[RunningServer, Admin]]:
    """A server, and its admin."""
    with server_process(data_dir) as server:
        headers = {"authorization": f"Bearer {server.token}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
            yield server, Admin(http)


class Admin:
    """What an admin asks of a server."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def publish(self, selectors: dict[str, str]) -> str:
        """A version of the machine `shelf`, made current; returns its id."""
        begun = self.ask("POST", "/machines/shelf/v")
        files = {"file": ("shelf.js", CODE.encode(), "application/javascript")}
        self.http.post(begun["codeUploadUrl"], files=files).raise_for_status()
        path = f"/machines/shelf/v/{begun['machineVersionId']}"
        body = {"makeCurrent": True, "indexSelectors": selectors}
        version_id: str = self.ask("PUT", path, body)["machineVersionId"]
        return version_id

    def progress(self) -> dict[str, Any]:
        """Of the only index."""
        (index,) = self.ask("GET", "/machines/shelf/indexes")["indexes"]
        found: dict[str, Any] = index
        return found

    def until(self, state: str, *, done_min: int = 0) -> dict[str, Any]:
        """The progress once it has come so far. Bounded: what never happens fails the test."""
        for _ in range(LOOKS_MAX):
            index = self.progress()
            if index["state"] == state and index.get("done", 0) >= done_min:
                return index
            time.sleep(0.001)
        raise AssertionError(f"it never came to {state}: {index}")

    def found(self, **query: Any) -> list[tuple[str, str]]:
        """Every page of a query of the index."""
        matches: list[tuple[str, str]] = []
        while True:
            answer = self.http.get("/machines/shelf/indexes/owner/query", params=query)
            assert answer.is_success, answer.text
            page = answer.json()
            matches += [(one["indexValue"], one["slug"]) for one in page["instances"]]
            if "cursor" not in page:
                return matches
            query["cursor"] = page["cursor"]


async def create_many(data_dir: Path, organization: str, version_id: str) -> None:
    """Instances of the machine, as a server would leave them; each with an owner of its own."""
    store = SqliteStore(data_dir)
    await store.open()
    version = await store.version(VersionId(version_id))
    assert version is not None
    written = []
    for number in range(INSTANCES):
        key = InstanceKey(
            OrganizationId(organization), MachineName("shelf"), InstanceName(f"i{number}")
        )
        snapshot = b'{"value":"on","context":{"owner":"o%05d"}}' % number
        entry = JournalEntry(1, NOW_MS, Origin.CREATION, b'{"type":"xstate.init"}', snapshot)
        new = NewInstance(key, version.machine_id, version.id, NOW)
        written.append(store.commit(Commit(store.new_instance_id(), 0, (entry,), new=new)))
    await asyncio.gather(*written)
    await store.close()


def test_a_fill_survives_the_server(tmp_path: Path) -> None:
    """Killed in the middle of it, the next server goes on; events meanwhile are indexed as well, and nothing is found twice or not at all."""
    data_dir = tmp_path / "data"
    with admin_of(data_dir) as (server, admin):
        admin.ask("POST", "/machines", {"slug": "shelf", "indexes": ["owner"]})
        old = admin.publish({})
    asyncio.run(create_many(data_dir, server.organization_id, old))
    with admin_of(data_dir) as (server, admin):
        assert admin.progress() == {"name": "owner", "state": "ready"}
        admin.publish({"owner": "$.owner"})
        admin.until("filling", done_min=100)
        event = {"event": {"type": "give", "to": "somebody"}}
        admin.ask("POST", f"/machines/shelf/i/i{INSTANCES - 1}/events", event)
        before = admin.until("filling")
        assert before["done"] < INSTANCES
        server.process.kill()
        server.process.wait()
    with admin_of(data_dir) as (server, admin):
        admin.ask("POST", "/machines/shelf/i/i7/events", {"event": {"type": "give", "to": "me"}})
        admin.until("ready")
        expected = [(f"o{number:05}", f"i{number}") for number in range(INSTANCES)]
        expected[7], expected[-1] = ("me", "i7"), ("somebody", f"i{INSTANCES - 1}")
        assert admin.found(limit=1_000) == sorted(expected)
        assert admin.found(limit=999, dir="desc") == sorted(expected, reverse=True)
        assert admin.found(op="eq", value="me") == [("me", "i7")]


def test_an_index_tells_of_what_is_durable(tmp_path: Path) -> None:
    """Killed while events change what is indexed, the next server finds every instance by the owner that it has, and by no other."""
    data_dir = tmp_path / "data"
    names = [f"i{number}" for number in range(20)]
    with admin_of(data_dir) as (server, admin):
        admin.ask("POST", "/machines", {"slug": "shelf", "indexes": ["owner"]})
        admin.publish({"owner": "$.owner"})
        for name in names:
            admin.ask("POST", "/machines/shelf", {"slug": name})
        assert admin.found() == [("nobody", name) for name in names]
        answered = threading.Semaphore(0)
        with ThreadPoolExecutor(len(names)) as senders:
            for name in names:
                senders.submit(give_on, admin, name, answered)
            for _ in range(500):
                assert answered.acquire(timeout=60)
            server.process.kill()
            server.process.wait()
    with admin_of(data_dir) as (_, admin):
        owners = [
            (admin.ask("GET", f"/machines/shelf/i/{name}/admin")["context"]["owner"], name)
            for name in names
        ]
        assert ("nobody", "i0") not in owners
        assert sorted(admin.found(limit=7)) == sorted(owners)


def give_on(admin: Admin, name: str, answered: threading.Semaphore) -> None:
    """Give an instance another owner again and again, until nobody answers."""
    for number in itertools.count():
        event = {"event": {"type": "give", "to": f"o{number}"}}
        try:
            admin.ask("POST", f"/machines/shelf/i/{name}/events", event)
        except httpx.TransportError:
            return
        answered.release()
