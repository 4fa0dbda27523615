"""The published command line of State Backed, pointed at our server with -u and a stored token.

Left out is what does not ask the API: `login` and `whoami` ask a service that is gone, whatever -u says, and `validate-bundle`, which
creating machines and versions does too unless told otherwise, runs the bundle in Node.js itself.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import deno
import pytest

from tests.support.command_line import CommandLine
from tests.support.deno import deno_environment, run_deno
from tests.support.login import logged_in
from tests.support.server import RunningServer, server_process

SMPLY = "npm:smply@0.1.18"
CONFIGURATION = Path(__file__).parent / "official_smply" / "deno.json"
"""With a lock of packages that it starts with: with the newest that its own package allows it does not."""

MACHINE = """
import { createMachine } from "npm:xstate@4";
export const allowRead = ({ authContext }) => authContext.sub === "ada";
export const allowWrite = ({ authContext }) => authContext.sub === "ada";
export default createMachine({
  predictableActionArguments: true,
  initial: "off",
  context: { public: {} },
  states: {
    off: { on: { toggle: { target: "on", actions: () => console.log("switched") } } },
    on: { on: { toggle: "off" } },
  },
});
"""
RENAMED = MACHINE.replace("off", "dark")
MIGRATION = """
export const upgradeState = (path) => path.map((key) => key === "off" ? "dark" : key);
export const upgradeContext = (_old, _new, context) => context;
"""
ADA = json.dumps({"sub": "ada"})
MAPPING = json.dumps({"sub.$": "$.sub"})


class Smply:
    """Whoever's credentials are in a home folder."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self._url = url

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """What a command prints. It has to end well."""
        return run_deno(*self._words(arguments), source=stdin, variables={"HOME": str(self.home)})

    def first(self, *arguments: str) -> Any:
        """The first JSON object of a command that goes on for ever."""
        with subprocess.Popen(
            [deno.find_deno_bin(), *self._words(arguments)],
            env=deno_environment({"HOME": str(self.home)}),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                lines = [*takewhile(lambda line: line != "}\n", process.stdout), "}"]
            finally:
                process.kill()
        return json.loads("".join(lines))

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """The same for what prints one JSON value."""
        return json.loads(self(*arguments, stdin=stdin))

    def _words(self, arguments: Sequence[str]) -> list[str]:
        run = ["run", "--allow-all", "--quiet", "--config", str(CONFIGURATION)]
        return [*run, SMPLY, "-u", self._url, *arguments]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("server") / "data"
    return folder


@pytest.fixture(scope="module")
def server(data_dir) -> Iterator[RunningServer]:
    with server_process(data_dir) as running:
        yield running


@pytest.fixture(scope="module")
def smply(server, tmp_path_factory) -> Smply:
    """With files as SPEC describes them."""
    home = tmp_path_factory.mktemp("home")
    (home / ".smply").mkdir()
    credentials = {"access_token": server.token, "refresh_token": "x", "expires_at": 4102444800}
    (home / ".smply" / "credentials").write_text(json.dumps(credentials))
    for name, code in {"machine": MACHINE, "renamed": RENAMED, "migration": MIGRATION}.items():
        (home / f"{name}.js").write_text(code)
    return Smply(home, server.url)


@pytest.fixture(scope="module")
def version(smply) -> str:
    """The version of machine `switch` that instances are of."""
    file = str(smply.home / "machine.js")
    made = smply.json(
        *("machines", "create", "--machine", "switch", "--js", file, "--skip-validation")
    )
    version_id: str = made["currentVersion"]["machineVersionId"]
    return version_id


def test_machines(smply, version):
    """Listed, read, made and deleted."""
    assert smply.json("machines", "create", "--machine", "empty") == {"name": "empty"}
    listed = {machine["name"]: machine for machine in smply.json("machines", "list")}
    assert listed["switch"]["currentVersion"]["id"] == version
    assert "empty" in listed
    found = smply.json("machines", "get", "--machine", "switch")
    assert found["machine"]["slug"] == "switch"
    assert smply("machines", "delete", "--machine", "empty", stdin="empty\n").endswith(
        "Deleted machine\n"
    )
    assert "empty" not in [machine["name"] for machine in smply.json("machines", "list")]


def test_bundles_that_it_builds(smply, tmp_path):
    """With an XState of their own inside: it makes no others."""
    project = {"nodeModulesDir": "auto", "imports": {"xstate": "npm:xstate@4.38.3"}}
    (tmp_path / "deno.json").write_text(json.dumps(project))
    entry = tmp_path / "entry.js"
    entry.write_text(MACHINE.replace("npm:xstate@4", "xstate"))
    run_deno("cache", "--quiet", "--config", str(tmp_path / "deno.json"), str(entry))
    smply("machines", "create", "--machine", "built", "--node", str(entry), "--skip-validation")
    which = ("--machine", "built", "--instance", "kitchen", "-a", ADA)
    smply("instances", "create", *which)
    assert smply.json("instances", "send-event", *which, "-e", "toggle")["state"] == "on"


def test_instances(smply, version):
    """From their creation to their end."""
    which = ("--machine", "switch", "--instance", "kitchen")
    state = smply.json("instances", "create", *which, "--auth-context", ADA)
    assert state["state"] == "off"
    sent = smply.json("instances", "send-event", *which, "-a", ADA, "--event", "toggle")
    assert sent["state"] == "on"
    listed = smply.json("instances", "list", "--machine", "switch")
    assert [(item["name"], item["machineVersion"]["id"]) for item in listed] == [
        ("kitchen", version)
    ]
    assert smply.json("instances", "get", *which)["state"] == "on"
    transitions = smply.json("instances", "list-transitions", *which)
    assert [item["state"] for item in transitions] == ["on", "off"]
    paused = smply("instances", "set-status", *which, "--status", "paused", stdin="kitchen\n")
    assert paused.endswith("Set instance status\n")
    assert smply.json("instances", "get", *which)["status"] == "paused"
    assert smply("instances", "set-status", *which, "--status", "running").endswith(
        "Set instance status\n"
    )
    assert smply("instances", "delete", *which, stdin="kitchen\n").endswith("Deleted instance\n")
    assert smply.json("instances", "list", "--machine", "switch") == []


def test_versions_and_migrations(smply, version):
    """An instance is carried over with them."""
    made = smply.json(
        *("machine-versions", "create", "--machine", "switch", "--version-reference", "2.0.0"),
        *("--js", str(smply.home / "renamed.js"), "--skip-validation"),
    )
    newer = made["machineVersionId"]
    listed = smply.json("machine-versions", "list", "--machine", "switch")
    assert [item["id"] for item in listed] == [newer, version]
    migration = smply.json(
        *("migrations", "create", "--machine", "switch", "--from", version, "--to", newer),
        *("--js", str(smply.home / "migration.js")),
    )
    assert migration["machineVersionMigrationId"].startswith("mig_")
    which = ("--machine", "switch", "--instance", "hall")
    smply("instances", "create", *which, "-a", ADA)
    wish = smply("instances", "set-desired-version", *which, "--version", newer)
    assert wish == "Successfully set desired version\n"
    assert smply.json("instances", "send-event", *which, "-a", ADA, "-e", "toggle")["state"] == "on"
    assert smply.json("instances", "get", *which)["machineVersion"]["id"] == newer


def test_logs(smply, version):
    """Read at once and watched."""
    which = ("--machine", "switch", "--instance", "porch")
    smply("instances", "create", *which, "-a", ADA, "--version", version)
    smply("instances", "send-event", *which, "-a", ADA, "--event", "toggle")
    for _ in range(20):
        page = smply.json("logs", "get", "--from", "2020-01-01", *which)
        if page["logs"]:
            break
    assert [entry["log"].strip() for entry in page["logs"]] == ["switched"]
    clean = smply("logs", "get", "--from", "2020-01-01", *which, "--clean")
    assert "\nstdout\n\nswitched\n" in clean
    assert smply.first("logs", "watch", "--from", "2020-01-01", *which) == page["logs"][0]


def test_keys_and_tokens(smply, version):
    """A key is made, its tokens are good, and it is deleted."""
    made = smply("keys", "create", "--name", "smply")
    key = json.loads(made.partition("\n")[2])
    assert key["id"] in [item["id"] for item in smply.json("keys", "list")]
    token = smply("tokens", "generate", "-k", key["id"], "-s", key["key"], "-c", ADA)
    assert token.count(".") == 2
    assert smply("keys", "delete", "--key", key["id"]) == "Successfully deleted key\n"
    assert key["id"] not in [item["id"] for item in smply.json("keys", "list")]


def test_people(smply, server, data_dir, tmp_path):
    """Invited by it; it does not show the link, which ours does, and takes its code."""
    invited = smply("invitations", "send", "--email", "eve@example.com", "--role", "read")
    assert invited == "Invitation sent.\n"
    owner = CommandLine(tmp_path, STATEKEEP_DATA_DIR=str(data_dir))
    assert [item["email"] for item in owner.expect("invitations", "list")] == ["eve@example.com"]
    link = owner("invitations", "send", "--email", "bob@example.com").out.strip()
    # What our login keeps is what it reads.
    assert logged_in(tmp_path, server, owner, "bob@example.com").returncode == 0
    bob = Smply(tmp_path, server.url)
    accepted = bob("invitations", "accept", "--invitation", link.partition("code=")[2])
    assert accepted == "Invitation accepted. You are now a member of the organization.\n"
    assert [item["role"] for item in bob.json("orgs", "list")] == ["write"]


def test_billing(smply, server):
    """A bare address."""
    assert smply("billing").startswith(f"{server.url}/account/usage")


def test_organizations(smply, server):
    """Listed, made, and one of them chosen."""
    made = smply.json("orgs", "create", "--name", "Toys")
    assert {item["id"] for item in smply.json("orgs", "list")} == {
        made["orgId"],
        server.organization_id,
    }
    assert smply("orgs", "default", "set", "--org", server.organization_id)
    assert smply("orgs", "default", "get") == server.organization_id + "\n"
    assert smply.json("machines", "list", "--org", made["orgId"]) == []


def test_providers(smply):
    """Of identities and of tokens."""
    upserted = "Identity provider configuration updated\n"
    secret = "a shared secret of more than 32 bytes, as it should be"
    upsert = ("identity-providers", "upsert", "--audience", "shop", "--algorithm", "HS256")
    assert smply(*upsert, "--key", secret, "--mapping", MAPPING) == upserted
    auth0 = ("identity-providers", "upsert-auth0", "--domain", "shop.us.auth0.com")
    assert smply(*auth0, "--mapping", MAPPING) == upserted
    cognito = ("identity-providers", "upsert-cognito", "--user-pool-id", "p", "--region", "r")
    assert smply(*cognito, "--mapping", MAPPING) == upserted
    supabase = ("identity-providers", "upsert-supabase", "--project", "p", "--secret", secret)
    assert smply(*supabase, "--mapping", MAPPING) == upserted
    assert len(smply.json("identity-providers", "list")) >= 4
    deleted = smply("identity-providers", "delete", "--audience", "shop", stdin="y\n")
    assert deleted.endswith("Identity provider configuration deleted\n")

    key = json.loads(smply("keys", "create", "--name", "exchange").partition("\n")[2])
    provider = ("token-providers", "upsert", "--service", "shop", "--key", key["id"])
    assert smply(*provider, "--mapping", MAPPING) == "Created token provider shop\n"
    assert "shop" in [item["service"] for item in smply.json("token-providers", "list")]
    deleted = smply("token-providers", "delete", "--service", "shop", stdin="shop\n")
    assert deleted.endswith("Deleted token provider shop\n")
