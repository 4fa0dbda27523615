"""People who sign in, in a real browser, at a server as it is started, with links as its operator makes them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.support.chromium import browser
from tests.support.server import RunningServer, server_process
from tests.support.smtp import MailSink, mail_sink

__all__ = ["browser"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sign-in") / "data"


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[RunningServer]:
    with server_process(data_dir) as server:
        yield server


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """Somebody in a browser that keeps nothing and runs no scripts."""
    context = browser.new_context(java_script_enabled=False)
    yield context
    context.close()


def sign_in_link(data_dir: Path, *email: str) -> str:
    """What `statekeep sign-in-link` prints."""
    command = [
        sys.executable,
        "-m",
        "statekeep",
        "sign-in-link",
        *email,
        "--data-dir",
        str(data_dir),
    ]
    said: str = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return said.strip()


def sign_in(visitor: BrowserContext, link: str) -> None:
    page = visitor.new_page()
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/account")


def begin(http: httpx.Client) -> dict[str, str]:
    """A command line begins to sign in."""
    form = {"client_id": "statekeep-cli", "device_name": "laptop"}
    begun: dict[str, str] = http.post("/device_authorization", data=form).raise_for_status().json()
    return begun


def poll(http: httpx.Client, begun: dict[str, str]) -> dict[str, str]:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": begun["device_code"],
    }
    answer: dict[str, str] = http.post("/tokens", data=form).json()
    return answer


def test_the_owner_lets_a_command_line_in(
    server: RunningServer, data_dir: Path, visitor: BrowserContext
) -> None:
    """From the operator's link to the first request, and to the end of the session."""
    with httpx.Client(base_url=server.url) as http:
        sign_in(visitor, sign_in_link(data_dir))
        begun = begin(http)
        page = visitor.new_page()
        page.goto(begun["verification_uri_complete"])
        assert page.locator(".code").inner_text() == begun["user_code"]
        page.get_by_role("button", name="Let it in").click()
        page.get_by_text("The device is in.").wait_for()
        token = poll(http, begun)
        # It asks at once, and the server wants five seconds.
        assert token["error"] == "slow_down"
        http.headers["authorization"] = f"Bearer {server.token}"
        assert http.get("/me").json()["email"] == "admin@localhost"
        page.goto(f"{server.url}/account")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto(f"{server.url}/account")
        assert page.url == f"{server.url}/sign-in"


def test_a_colleague_is_invited_without_a_mail_server(
    server: RunningServer, visitor: BrowserContext
) -> None:
    """By a link that the inviter passes on; the newcomer sees the organization's usage then."""
    with httpx.Client(base_url=server.url) as http:
        http.headers["authorization"] = f"Bearer {server.token}"
        body = {"email": "bob@example.com", "role": "read"}
        url = http.post("/org-members", json=body).raise_for_status().json()["url"]
        page = visitor.new_page()
        page.goto(url)
        page.get_by_role("button", name="Join").click()
        page.wait_for_url("**/account")
        assert page.get_by_role("heading", level=1).inner_text() == "bob@example.com"
        page.get_by_role("link", name="Usage").click()
        page.get_by_text("Transitions that they have taken").wait_for()
        members = http.get("/org-members").json()["members"]
    roles = {member["email"]: member["role"] for member in members}
    assert roles == {"admin@localhost": "admin", "bob@example.com": "read"}


def test_another_page_cannot_use_a_session(
    server: RunningServer, data_dir: Path, browser: Browser
) -> None:
    """A form that a page of another port sends by itself, for a browser that is signed in: the same site, and another origin."""
    with httpx.Client(base_url=server.url) as http:
        begun = begin(http)
        context = browser.new_context()
        sign_in(context, sign_in_link(data_dir))
        page = context.new_page()
        trap = f"""<form method="post" action="{server.url}/device">
            <input name="user_code" value="{begun["user_code"]}"><input name="answer" value="allow">
            </form><script>document.forms[0].submit()</script>"""
        page.route(
            "http://127.0.0.1:9/**",
            lambda route: route.fulfill(body=trap, content_type="text/html"),
        )
        with page.expect_response(f"{server.url}/device") as caught:
            page.goto("http://127.0.0.1:9/")
        assert caught.value.status == 403
        assert poll(http, begun)["error"] in {"authorization_pending", "slow_down"}
        context.close()


@contextmanager
def receiving_mail() -> Iterator[MailSink]:
    """A mail server, on a thread of its own."""
    sinks: list[MailSink] = []
    is_up, is_over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        async with mail_sink() as sink:
            sinks.append(sink)
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert is_up.wait(10)
        yield sinks[0]
    finally:
        loops[0].call_soon_threadsafe(is_over.set)
        thread.join()


def test_a_link_comes_by_mail(tmp_path: Path, visitor: BrowserContext) -> None:
    """To the owner, whose address the operator has chosen."""
    with receiving_mail() as sink:
        options = (
            "--owner-email",
            "ada@example.com",
            "--smtp-url",
            f"smtp://127.0.0.1:{sink.port}",
        )
        with server_process(tmp_path / "data", *options) as server:
            page = visitor.new_page()
            page.goto(f"{server.url}/account")
            page.get_by_label("E-mail address").fill("ada@example.com")
            page.get_by_role("button", name="Mail me a link").click()
            page.get_by_text("a link is on its way").wait_for()
            assert sink.has_mail.wait(10)
            (message,) = sink.messages
            (link,) = re.findall(r"^  (http\S+)", message.get_content(), re.MULTILINE)
            sign_in(visitor, link)
