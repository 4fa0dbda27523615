"""A page in a real browser: what it follows, from another origin and over a crash of the server."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.support.chromium import browser
from tests.support.deno import ROOT, run_deno
from tests.support.deployed import Deployment
from tests.support.server import RunningServer, server_process

OFFICIAL = Path(__file__).parent / "official_client"
__all__ = ["browser"]

PAGE = """<!doctype html>
<script type="module">
import { StateBackedClient } from "./client.js";
%s
const errors = [], states = [], updates = [];

window.followed = { errors, states, updates };
window.follow = (apiHost, token) => {
  window.client = new StateBackedClient({ token }, { apiHost, WebSocket: PatientSocket });
  client.machineInstances.subscribe(
    "board", "one", ({ publicContext }) => updates.push(publicContext.text), (error) => errors.push(`${error}`),
  );
  const stream = new EventSource(`${apiHost}/machines/board/i/one/stream?token=${token}`);
  stream.onmessage = ({ data }) => states.push(JSON.parse(data).publicContext.text);
  stream.addEventListener("end", ({ data }) => errors.push(data));
};
window.write = (text) =>
  client.machineInstances.sendEvent("board", "one", { event: { type: "write", text } });
window.refusals = (apiHost, token) => Promise.all([
  fetch(`${apiHost}/healthz`).catch((error) => error.name),
  new Promise((told) => {
    const stream = new EventSource(`${apiHost}/machines/board/i/one/stream?token=${token}`);
    stream.onerror = () => told(stream.readyState === EventSource.CLOSED);
  }),
  new Promise((told) => {
    const socket = new WebSocket(`${apiHost.replace("http", "ws")}/rt?token=${token}`);
    socket.onopen = () => told("open");
    socket.onclose = ({ code }) => told(code);
  }),
]);
</script>
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page with the official client, and with the socket that docs/realtime.md recommends, on a port of its own."""
    folder = tmp_path_factory.mktemp("site")
    # Beside the configuration, as Deno finds packages by the importing file.
    entry = 'export { StateBackedClient } from "npm:@statebacked/client@0.1.37";'
    (folder / "entry.js").write_text(entry)
    run_deno(
        *("bundle", "--quiet", "--no-lock", "--no-config", "--platform", "browser"),
        *("--output", str(folder / "client.js"), str(folder / "entry.js")),
    )
    advice = (ROOT / "docs" / "realtime.md").read_text()
    patient_socket = re.search(r"^class PatientSocket .*?^}$", advice, re.DOTALL | re.MULTILINE)
    assert patient_socket is not None
    (folder / "index.html").write_text(PAGE % patient_socket[0])
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """The page, loaded."""
    page = browser.new_page()
    page.goto(site)
    page.wait_for_function("'followed' in window && 'refusals' in window")
    yield page
    page.close()


def board(server: RunningServer) -> str:
    """Put up a board, and return a token of somebody who may read and write it."""
    with httpx.Client(base_url=server.url) as http:
        deployment = Deployment(server, http, None)
        deployment.deploy("board", (OFFICIAL / "board.js").read_text())
        deployment.create("board", "one")
        return deployment.token


def wait_for_text(page: Page, text: str) -> None:
    """Until both ways of following have told it."""
    newest = "[followed.updates, followed.states].every((told) => told.at(-1) === text)"
    page.wait_for_function(f"(text) => followed.errors.length || {newest}", arg=text)
    assert page.evaluate("followed.errors") == []


def test_a_page_follows_over_a_crash(page: Page, tmp_path: Path) -> None:
    """With the client's socket and with EventSource, from another origin; EventSource misses nothing."""
    data_dir = tmp_path / "data"
    with server_process(data_dir) as server:
        token = board(server)
        page.evaluate("([url, token]) => follow(url, token)", [server.url, token])
        wait_for_text(page, "")
        page.evaluate("write('before')")
        wait_for_text(page, "before")
        server.process.kill()
        server.process.wait()
    port = int(server.url.rpartition(":")[2])
    with server_process(data_dir, port=port):
        for text in ("between", "after"):
            page.evaluate("(text) => write(text)", text)
        wait_for_text(page, "after")
    assert page.evaluate("followed.states") == ["", "before", "between", "after"]


def test_pages_of_other_origins_can_be_kept_out(page: Page, tmp_path: Path) -> None:
    """Their requests fail, streams do not come back, and sockets do not open."""
    origins = ("--cors-origins", "https://app.example.com")
    with server_process(tmp_path / "data", *origins) as server:
        token = board(server)
        refusals = page.evaluate("([url, token]) => refusals(url, token)", [server.url, token])
    assert refusals == ["TypeError", True, 1006]
