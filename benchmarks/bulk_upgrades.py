"""How long a dry run and a bulk upgrade of many instances take, and what events of others feel of it.

    python benchmarks/bulk_upgrades.py [--instances 10000] [--json]

Instances of an XState 5 machine with a timer each are tried out on and carried over to another version. Meanwhile one client sends event after event, in turn to instances
of another machine and to one that is of the new version already, whose host does the work. Whoever waits for the progress asks five times a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import event_path
import httpx
from rich.console import Console

CLIENTS = 16
IDLE_SECONDS = 4
ASKED_EVERY_SECONDS = 0.2
LAMP = """
import { createMachine, assign } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
export default createMachine({
  id: "%(id)s",
  initial: "%(dark)s",
  context: ({ input }) => ({ ...input, public: { n: 0 }, notes: "%(notes)s" }),
  states: { %(dark)s: { after: { 3600000: "lit" } }, lit: {} },
  on: { note: { actions: assign({ public: ({ context }) => ({ n: context.public.n + 1 }) }) } },
});
"""
NOTES = "x" * 400
MIGRATION = """
export const upgradeState = ([state]) => [state === "off" ? "dark" : state];
export const upgradeContext = (before, after, context) => ({ ...context, upgraded: true });
"""


class Shop:
    """The server's API, for an admin and an end user."""

    def __init__(self, target: event_path.Target, folder: Path) -> None:
        credentials = json.loads((folder / "data" / "credentials.json").read_text())
        admin = {"authorization": f"Bearer {credentials['token']}"}
        user = {"authorization": f"Bearer {target.token}"}
        limits = httpx.Limits(max_connections=2 * CLIENTS)
        self.admin = httpx.Client(base_url=target.url, headers=admin, timeout=600)
        self.user = httpx.Client(base_url=target.url, headers=user, timeout=60, limits=limits)

    def expect(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer."""
        answer = self.admin.request(method, path, json=body)
        answer.raise_for_status()
        return json.loads(answer.content) if answer.content else None

    def publish(self, path: str, body: Any, code: str, publication: Any = None) -> Any:
        """The three steps of versions and migrations."""
        begun = self.expect("POST", path, body)
        file = ("code.js", code.encode(), "application/javascript")
        self.admin.post(begun["codeUploadUrl"], files={"file": file}).raise_for_status()
        signed = begun.get("machineVersionMigrationId") or begun["machineVersionId"]
        return self.expect("PUT", f"{path}/{signed}", publication)

    def create(self, name: str, version: str | None = None) -> None:
        """An instance."""
        body = {"slug": name} | ({} if version is None else {"machineVersionId": version})
        self.user.post("/machines/lamp", json=body).raise_for_status()


class Bystander:
    """Sends events until it is told to stop, and remembers how long each took."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._is_over = threading.Event()
        self.other: list[float] = []
        self.same_host: list[float] = []

    def run(self) -> None:
        """One event after the other."""
        n = 0
        while not self._is_over.is_set():
            n += 1
            self.other.append(self._send(f"/machines/toggle/i/k{n % 1000}/events", "TOGGLE"))
            self.same_host.append(self._send("/machines/lamp/i/live/events", "note"))

    def _send(self, path: str, event: str) -> float:
        begun = time.perf_counter()
        body = {"event": {"type": event}}
        self._shop.user.post(path, json=body).raise_for_status()
        return (time.perf_counter() - begun) * 1000

    def stop(self) -> None:
        """After the event under way."""
        self._is_over.set()


@contextmanager
def watched(shop: Shop, result: dict[str, Any], what: str) -> Iterator[None]:
    """Note how long it takes and what a bystander feels meanwhile."""
    bystander = Bystander(shop)
    thread = threading.Thread(target=bystander.run)
    thread.start()
    begun = time.perf_counter()
    yield
    seconds = time.perf_counter() - begun
    bystander.stop()
    thread.join()
    result[what] = {
        "seconds": round(seconds, 2),
        "other machine": _summary(bystander.other),
        "same host": _summary(bystander.same_host),
    }


def _summary(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"events": len(times), "p50 ms": round(cuts[49], 2), "p99 ms": round(cuts[98], 2)}


def measure(instances: int, folder: Path) -> dict[str, Any]:
    """Everything, on a server of its own."""
    result: dict[str, Any] = {}
    with event_path.statekeep(folder) as target:
        shop = Shop(target, folder)
        shop.expect("POST", "/machines", {"slug": "lamp"})
        versions = "/machines/lamp/v"
        texts = {"notes": NOTES}
        old_code = LAMP % {"id": "lamp", "dark": "off", **texts}
        old = shop.publish(versions, None, old_code, {"makeCurrent": True})["machineVersionId"]
        with ThreadPoolExecutor(CLIENTS) as clients:
            for made in [clients.submit(shop.create, f"l{n}") for n in range(instances)]:
                made.result()
        begun = time.perf_counter()
        published = shop.publish(
            versions, None, LAMP % {"id": "light", "dark": "dark", **texts}, {}
        )
        result["published after s"] = round(time.perf_counter() - begun, 2)
        result["blast radius"] = published["blastRadius"]["instances"]
        new = published["machineVersionId"]
        begun = time.perf_counter()
        shop.expect("GET", f"{versions}/{new}/blast-radius")
        result["whole blast radius s"] = round(time.perf_counter() - begun, 2)
        between = {"fromMachineVersionId": old, "toMachineVersionId": new}
        shop.publish("/machines/lamp/migrations", between, MIGRATION)
        shop.create("live", new)
        with watched(shop, result, "nothing"):
            time.sleep(IDLE_SECONDS)
        with watched(shop, result, "dry run"):
            report = _dry_run(shop, between)
        assert report["fit"] == instances, report
        begun = time.perf_counter()
        _dry_run(shop, between)
        result["dry run alone s"] = round(time.perf_counter() - begun, 2)
        with watched(shop, result, "bulk upgrade"):
            progress = _upgrade(shop, between)
        assert progress["upgraded"] == instances, progress
    return result


def _dry_run(shop: Shop, between: dict[str, str]) -> Any:
    path = "/machines/lamp/migrations/dry-run"
    report = shop.expect("POST", path, between)
    while report["state"] == "running":
        time.sleep(ASKED_EVERY_SECONDS)
        report = shop.expect("GET", f"{path}/{report['id']}")
    return report


def _upgrade(shop: Shop, between: dict[str, str]) -> Any:
    job_id = shop.expect("POST", "/machines/lamp/upgrades", between)["id"]
    while (progress := shop.expect("GET", f"/machines/lamp/upgrades/{job_id}"))["pending"] or (
        progress["status"] == "running"
    ):
        time.sleep(ASKED_EVERY_SECONDS)
    return progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options.instances, Path(folder))
    console = Console()
    if options.json:
        console.print_json(json.dumps(result))
    else:
        console.print(result)


if __name__ == "__main__":
    main()
