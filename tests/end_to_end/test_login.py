"""Signing in with the command line, and what only people can do there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.login import logged_in
from tests.support.server import RunningServer, server_process

OWNER = "admin@localhost"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("server") / "data"
    return folder


@pytest.fixture(scope="module")
def server(data_dir) -> Iterator[RunningServer]:
    with server_process(data_dir) as running:
        yield running


@pytest.fixture(scope="module")
def operator(data_dir, tmp_path_factory) -> CommandLine:
    """Somebody on the server's machine."""
    return CommandLine(tmp_path_factory.mktemp("operator"), STATEKEEP_DATA_DIR=str(data_dir))


@pytest.fixture(scope="module")
def owner(server, operator, tmp_path_factory) -> CommandLine:
    """The first admin, who has logged in."""
    home = tmp_path_factory.mktemp("owner")
    done = logged_in(home, server, operator, OWNER)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"Logged in to {server.url} as {OWNER}" in done.stderr
    return CommandLine(home)


def test_a_login_is_kept(owner, server):
    """For commands without any option, and for nobody else to read."""
    [organization] = owner.expect("orgs", "list")
    assert organization["id"] == server.organization_id
    who = owner.expect("whoami")
    assert (who["email"], who["defaultOrg"]) == (OWNER, None)
    assert who["userId"].startswith("usr_")
    [profile] = owner.expect("profiles", "list")
    assert (profile["apiUrl"], profile["email"], profile["inUse"]) == (server.url, OWNER, True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", profile["endsAt"])
    credentials = owner.home / ".smply" / "credentials"
    assert credentials.stat().st_mode & 0o777 == 0o600
    assert "device" in [session["kind"] for session in owner.expect("sessions", "list")]


def test_a_login_is_not_lost_to_another_server(owner):
    """Without the name of a profile of its own."""
    outcome = owner("login", "--api-url", "https://other.example.com")
    assert outcome.code == 2
    assert "--profile NAME" in outcome.err


def test_a_token_can_be_kept_without_a_browser(owner, server):
    """From stdin; one that is none of a person is refused."""
    token = json.loads((owner.home / ".smply" / "credentials").read_text())["access_token"]
    login = ("login", "-u", server.url, "--profile", "second", "--token", "-")
    kept = owner(*login, stdin=token + "\n")
    assert kept.code == 0, kept.err
    assert "profiles use second" in kept.err
    assert owner.expect("whoami", "--profile", "second")["email"] == OWNER
    assert owner("profiles", "use", "second").code == 0
    assert owner("profiles", "delete", "second").code == 0
    assert owner(*login, stdin="nonsense\n").code == 1
    assert [profile["name"] for profile in owner.expect("profiles", "list")] == ["default"]


def test_usage_is_counted(owner, server):
    """And shown on a page, whose bare address scripts want."""
    assert owner.expect("usage")["machines"] == 0
    assert owner("billing").out.startswith(f"{server.url}/account/usage")


def test_a_colleague_is_invited_joins_and_leaves(owner, server, operator, tmp_path_factory):
    """By a link, since there is no mail server."""
    revoked = owner("invitations", "send", "-e", "eve@example.com")
    assert revoked.out.startswith(f"{server.url}/invitation?code=sbinv_")
    [pending] = owner.expect("invitations", "list")
    assert owner("invitations", "revoke", "-i", pending["id"]).code == 0
    assert owner.expect("invitations", "list") == []
    sent = owner("invitations", "send", "--email", "bob@example.com", "--role", "read")

    home = tmp_path_factory.mktemp("bob")
    done = logged_in(home, server, operator, "bob@example.com", "--profile", "work")
    assert done.returncode == 0, done.stderr
    assert "(profile work)" in done.stderr
    bob = CommandLine(home, SMPLY_PROFILE="work")
    accepted = bob.expect("invitations", "accept", "-i", sent.out.strip())
    assert accepted == {
        "organization": {"id": server.organization_id, "name": "default"},
        "role": "read",
    }
    assert bob("invitations", "accept", "-i", sent.out.strip()).code == 1
    member = {item["email"]: item for item in owner.expect("members", "list")}["bob@example.com"]
    assert member["role"] == "read"
    assert bob("machines", "create", "-m", "bobs").code == 1
    assert owner("members", "set-role", "--user", member["id"], "--role", "write").code == 0
    assert bob("machines", "create", "-m", "bobs").code == 0
    assert owner("members", "remove", "--user", member["id"], stdin="n\n").code == 1
    assert owner("members", "remove", "--user", member["id"], "--yes").code == 0
    assert bob("machines", "list").code == 1

    [session] = [item for item in bob.expect("sessions", "list") if item["kind"] == "device"]
    assert bob("sessions", "end", "--session", session["id"]).code == 0
    gone = bob("whoami")
    assert gone.code == 1
    assert "sign in again with statekeep login --profile work" in gone.err
    assert gone.err.count("sign in") == 1
    out = bob("logout")
    assert (out.code, out.err) == (0, "The session was over already\nLogged out\n")
    assert bob("whoami").code == 1


def test_a_logout_ends_the_session(server, operator, tmp_path_factory):
    """On the server too: its token is worth nothing."""
    home = tmp_path_factory.mktemp("carl")
    assert logged_in(home, server, operator, OWNER).returncode == 0
    carl = CommandLine(home)
    token = json.loads((home / ".smply" / "credentials").read_text())["access_token"]
    assert carl("whoami").code == 0
    assert carl("logout").err == "Logged out\n"
    assert "nobody is signed in" in carl("whoami").err
    assert carl("whoami", "-t", token, "-u", server.url).code == 1


def test_a_token_can_be_printed_and_not_kept(server, operator, tmp_path):
    """Alone on stdout, for scripts."""
    done = logged_in(tmp_path, server, operator, OWNER, "--no-store")
    token = done.stdout.strip()
    assert not (tmp_path / ".smply").exists()
    somebody = CommandLine(tmp_path, SMPLY_TOKEN=token, SMPLY_API_URL=server.url)
    assert somebody.expect("whoami")["email"] == OWNER
