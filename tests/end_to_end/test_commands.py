"""Every command that talks to a server, against one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Timer
from typing import IO, Any

import pytest

from statekeep.domain.limits import CODE_GZIPPED_BYTES_MAX
from tests.support.command_line import CommandLine
from tests.support.ledger import await_that
from tests.support.server import RunningServer, server_process

TOGGLER = """
import { assign, createMachine, raise } from "npm:xstate@5";

interface Context { public: { room: string; switched: number } }

export const allowRead = ({ authContext }: { authContext: { sub?: string } }) => authContext.sub === "ada";
export const allowWrite = ({ authContext }: { authContext: { sub?: string } }) => authContext.sub === "ada";

export default createMachine({
  initial: "off",
  context: { public: { room: "", switched: 0 } } as Context,
  states: {
    off: { on: { toggle: { target: "on", actions: "count" } } },
    on: { on: { toggle: "off" } },
  },
  on: {
    wind: { actions: raise({ type: "ring" }, { delay: 1 }) },
    ring: { actions: "fail" },
  },
}, {
  actions: {
    fail: assign(() => { throw new Error("broken"); }),
    count: assign({
      public: ({ context }: { context: Context }) => {
        console.log(`switched ${context.public.room}`);
        return { ...context.public, switched: context.public.switched + 1 };
      },
    }),
  },
});
"""
RENAMED = TOGGLER.replace("off:", "dark:").replace('"off"', '"dark"')
MIGRATION = """
export const upgradeState = (path: string[]) => path.map((key) => key === "off" ? "dark" : key);
export const upgradeContext = (_old: string[][], _new: string[][], context: unknown) => context;
"""
ADA = json.dumps({"sub": "ada"})
WATCHING_SECONDS_MAX = 60
"""For all that is waited for of a command without an end; it takes far less."""
SELECTORS = json.dumps({"room": "$.public.room"})


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server") / "data"
    with server_process(folder, "--delivery-retry-after", "10ms") as running:
        yield running


@pytest.fixture(scope="module")
def smply(server, tmp_path_factory) -> CommandLine:
    """Somebody who has a token and needs nothing else."""
    home = tmp_path_factory.mktemp("home")
    return CommandLine(
        home,
        SMPLY_TOKEN=server.token,
        SMPLY_API_URL=server.url,
        SMPLY_ORG=server.organization_id,
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A folder with the author's files."""
    folder: Path = tmp_path_factory.mktemp("sources")
    (folder / "toggler.ts").write_text(TOGGLER)
    (folder / "renamed.ts").write_text(RENAMED)
    (folder / "migration.ts").write_text(MIGRATION)
    return folder


@pytest.fixture(scope="module")
def version(smply, sources) -> str:
    """The current version of machine `toggler`, which has an index."""
    made = smply.expect(
        *("machines", "create", "-m", "toggler", "--node", str(sources / "toggler.ts")),
        *("--index-selectors", SELECTORS),
    )
    assert made["name"] == "toggler"
    version_id: str = made["currentVersion"]["machineVersionId"]
    return version_id


@pytest.fixture
def kitchen(smply, version, request) -> Iterator[str]:
    """An instance of its own for each test."""
    name = re.sub(r"\W", "-", request.node.name)[:100]
    context = json.dumps({"public": {"room": name, "switched": 0}})
    state = smply.expect(
        *("instances", "create", "-m", "toggler", "-i", name, "-a", ADA, "-c", context)
    )
    assert state["state"] == "off"
    yield name
    smply("instances", "delete", "-m", "toggler", "-i", name, "--yes")


def send(smply, instance, event):
    """The state after an event of Ada's."""
    return smply.expect(
        *("instances", "send-event", "-m", "toggler", "-i", instance, "-a", ADA, "--event", event)
    )


def test_machines_are_made_and_unmade(smply):
    """Without a version first; the name has to be typed again to delete one."""
    assert smply.expect(
        *["machines", "create", "--machine", "empty", "--index", "a", "--index", "b"]
    ) == {"name": "empty"}
    found = smply.expect("machines", "get", "--machine", "empty")
    assert found["machine"]["indexes"] == found["indexes"] == ["a", "b"]
    assert "empty" in [machine["name"] for machine in smply.expect("machines", "list")]
    assert smply("machines", "create", "--machine", "empty").code == 1

    refused = smply("machines", "delete", "--machine", "empty", stdin="empyt\n")
    assert (refused.code, refused.out) == (1, "")
    assert 'Re-enter the machine name ("empty") to confirm deletion:' in refused.err
    assert "Machine name did not match. Aborting." in refused.err
    unasked = smply("machines", "delete", "--machine", "empty", stdin="")
    assert unasked.code == 1
    assert unasked.err.endswith("--yes goes on without the question\n")
    done = smply("machines", "delete", "--machine", "empty", stdin="empty\n")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("Deleted machine\n")
    assert smply("machines", "get", "--machine", "empty").code == 1


def test_a_machine_with_instances_is_not_deleted(smply, kitchen):
    """And that is said in words that tell what to do."""
    outcome = smply("machines", "delete", "-m", "toggler", "--yes")
    assert outcome.code == 1
    assert "Machine has associated instances" in outcome.err


def test_code_that_cannot_be_built_makes_no_machine(smply, tmp_path):
    """The author's line is shown."""
    (tmp_path / "broken.ts").write_text("export default createMachine({;\n")
    outcome = smply("machines", "create", "-m", "broken", "--node", str(tmp_path / "broken.ts"))
    assert outcome.code == 1
    assert "broken.ts:1:" in outcome.err
    assert "createMachine({;" in outcome.err
    assert smply("machines", "get", "-m", "broken").code == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (f"// {os.urandom(CODE_GZIPPED_BYTES_MAX).hex()}", "MiB"),
        ("export default {};", "not an XState machine"),
    ],
    ids=["too-much", "no-machine"],
)
def test_code_that_the_server_refuses_makes_no_machine(smply, tmp_path, code, reason):
    """Where only the server has looked at it. The same command, with other code, is not told that there is one."""
    (tmp_path / "refused.js").write_text(code + "\n")
    create = ("machines", "create", "-m", "refused", "--js", str(tmp_path / "refused.js"), "-s")
    outcome = smply(*create)
    assert outcome.code == 1
    assert reason in outcome.err
    assert smply("machines", "get", "-m", "refused").code == 1
    assert reason in smply(*create).err


def test_a_machine_that_cannot_be_taken_back_is_told(smply, tmp_path):
    """A key may be allowed to make machines and not to delete them."""
    made = smply("keys", "create", "-n", "deployer", "-u", "ci")
    key = json.loads(made.out.partition("\n")[2])
    signing = ("tokens", "generate", "-k", key["id"], "-s", key["key"], "-c", "{}")
    token = smply(*signing).out.strip()
    (tmp_path / "no.js").write_text("export default {};\n")
    create = ("machines", "create", "-m", "left", "--js", str(tmp_path / "no.js"), "-s")
    outcome = smply(*create, "-t", token)
    assert outcome.code == 1
    assert "machine-versions create --machine left" in outcome.err
    assert smply("machines", "delete", "-m", "left", "--yes").code == 0


def test_versions_are_made_from_any_kind_of_file(smply, version, sources, tmp_path):
    """And made current when that is said."""
    (tmp_path / "plain.js").write_text(
        'import { createMachine } from "npm:xstate@5";\n'
        "export default createMachine({});\n"
        "export const allowRead = () => true, allowWrite = () => true;\n"
    )
    for number, (kind, file) in enumerate(
        [("--js", tmp_path / "plain.js"), ("--deno", sources / "toggler.ts")]
    ):
        published = smply.expect(
            *("machine-versions", "create", "-m", "toggler", "-r", f"1.0.{number}"),
            *(kind, str(file)),
        )
        assert published["machineVersionId"].startswith("ver_")
    references = [
        item["clientInfo"] for item in smply.expect("machine-versions", "list", "-m", "toggler")
    ]
    assert references[:2] == ["1.0.1", "1.0.0"]
    assert smply.expect("machines", "get", "-m", "toggler")["currentVersion"]["id"] == version


def test_a_bundle_is_validated_without_a_server(sources, tmp_path):
    """By what a server would say."""
    nobody = CommandLine(tmp_path)
    good = nobody("machine-versions", "validate-bundle", "--node", str(sources / "toggler.ts"))
    assert (good.code, good.out, good.err) == (0, "", "Valid bundle\n")
    (tmp_path / "bad.js").write_text("export default {};\n")
    bad = nobody("machine-versions", "validate-bundle", "--js", str(tmp_path / "bad.js"))
    assert bad.code == 1
    assert f"the bundle of {tmp_path / 'bad.js'}: The default export is not" in bad.err


def test_instances_live(smply, kitchen, version):
    """Created, sent events, read, listed, and what they did."""
    assert send(smply, kitchen, "toggle")["state"] == "on"
    state = send(smply, kitchen, '{"type": "toggle"}')
    assert state["publicContext"] == {"room": kitchen, "switched": 1}
    found = smply.expect("machine-instances", "get", "-m", "toggler", "-i", kitchen)
    assert (found["state"], found["status"]) == ("off", "running")
    assert found["machineVersion"]["id"] == version
    listed = smply.expect("instances", "list", "--machine", "toggler")
    assert [item["machineVersion"]["id"] for item in listed if item["name"] == kitchen] == [version]
    done = smply.expect("instances", "list-transitions", "-m", "toggler", "-i", kitchen)
    assert [item["state"] for item in done] == ["off", "on", "off"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", done[0]["createdAt"])


def test_events_are_of_whoever_asks(smply, kitchen):
    """The machine's authoriser decides; with a token it is that of a key."""
    bob = json.dumps({"sub": "bob"})
    refused = smply(
        *("instances", "send-event", "-m", "toggler", "-i", kitchen, "-a", bob, "-e", "toggle")
    )
    assert refused.code == 1
    key = smply("keys", "create", "--name", "tests")
    made = json.loads(key.out.partition("\n")[2])
    token = smply("tokens", "generate", "-k", made["id"], "-s", made["key"], "-c", ADA).out.strip()
    state = smply.expect(
        *("instances", "send-event", "-m", "toggler", "-i", kitchen, "-t", token, "-e", "toggle")
    )
    assert state["state"] == "on"
    both = smply(
        *("instances", "send-event", "-m", "toggler", "-i", kitchen, "-e", "toggle"),
        *("-t", token, "-a", ADA),
    )
    assert both.code == 2


def test_instances_are_found_by_an_index(smply, kitchen):
    """All, or those that compare."""
    found = smply.expect(
        *[
            "instances",
            "query",
            "-m",
            "toggler",
            "--index",
            "room",
            "--op",
            "eq",
            "--sort",
            "desc",
            "--value",
        ],
        kitchen,
    )
    assert found == [{"name": kitchen, "indexValue": kitchen}]
    assert (
        smply.expect(
            *["instances", "query", "-m", "toggler", "-i", "room", "-o", "eq", "--value", "-5"]
        )
        == []
    )
    assert len(smply.expect(*["instances", "query", "-m", "toggler", "-i", "room"])) >= 1
    assert smply(*["instances", "query", "-m", "toggler", "-i", "room", "--op", "eq"]).code == 2
    indexes = smply.expect("indexes", "list", "-m", "toggler")
    assert [(index["name"], index["selector"]) for index in indexes] == [("room", "$.public.room")]


def test_instances_are_paused(smply, kitchen):
    """When their name was typed again; to resume asks nothing."""
    pause = ("instances", "set-status", "-m", "toggler", "-i", kitchen, "--status", "paused")
    assert smply(*pause, stdin="no\n").code == 1
    paused = smply(*pause, stdin=f"{kitchen}\n")
    assert paused.code == 0
    assert f'("{kitchen}") to confirm you want to pause it:' in paused.err
    assert smply.expect("instances", "get", "-m", "toggler", "-i", kitchen)["status"] == "paused"
    assert smply(*pause[:-1], "running").code == 0
    assert smply.expect("instances", "get", "-m", "toggler", "-i", kitchen)["status"] == "running"


def test_instances_are_deleted(smply, kitchen):
    """When their name was typed again."""
    delete = ("instances", "delete", "-m", "toggler", "-i", kitchen)
    assert smply(*delete, stdin="\n").code == 1
    assert smply(*delete, stdin=kitchen).err.endswith("Deleted instance\n")
    assert smply("instances", "get", "-m", "toggler", "-i", kitchen).code == 1


@pytest.fixture(scope="module")
def renamed(smply, version, sources) -> str:
    """A version of `toggler` in which a state has another name."""
    published = smply.expect(
        *("machine-versions", "create", "-m", "toggler", "-r", "2.0.0"),
        *("--node", str(sources / "renamed.ts")),
    )
    version_id: str = published["machineVersionId"]
    return version_id


def test_migrations_are_written_tried_made_and_used(
    smply, version, renamed, kitchen, sources, tmp_path
):
    """From the stub to the instance that is carried over."""
    path = ("-m", "toggler", "-f", version, "-t", renamed)
    stub = smply("migrations", "stub", *path)
    assert "upgradeState" in stub.out
    assert smply("migrations", "stub", *path, "--output", str(tmp_path / "stub.ts")).code == 0
    assert (tmp_path / "stub.ts").read_text().rstrip() == stub.out.rstrip()
    kept = ("migrations", "stub", *path, "--output", str(tmp_path / "stub.ts"))
    assert smply(*kept).code == 1
    assert smply(*kept, "--overwrite").code == 0
    radius = smply.expect("machine-versions", "blast-radius", "-m", "toggler", "-v", renamed)
    assert radius["instances"] >= 1
    again = ("machine-versions", "create", "-m", "toggler", "-r", "2.0.1")
    told = smply(*again, "--node", str(sources / "renamed.ts"))
    published = json.loads(told.out)["machineVersionId"]
    assert f" migrations stub --machine toggler --from {version} --to {published}\n" in told.err

    file = ("--node", str(sources / "migration.ts"))
    tried = smply.expect("migrations", "dry-run", *path, *file, "--instance", kitchen)
    assert (tried["state"], tried["fit"], tried["failed"]) == ("done", 1, 0)
    made = smply.expect("migrations", "create", *path, *file)
    assert made["machineVersionMigrationId"].startswith("mig_")
    listed = smply.expect("migrations", "list", "-m", "toggler")
    assert [item["id"] for item in listed] == [made["machineVersionMigrationId"]]

    wish = ("instances", "set-desired-version", "-m", "toggler", "-i", kitchen, "-v", renamed)
    assert smply(*wish).err == "Successfully set desired version\n"
    assert send(smply, kitchen, "toggle")["state"] == "on"
    found = smply.expect("instances", "get", "-m", "toggler", "-i", kitchen)
    assert found["machineVersion"]["id"] == renamed


def test_a_dry_run_ends_with_1_where_something_would_fail(smply, kitchen, version, renamed):
    """With the report all the same."""
    throwing = "export const upgradeState = () => { throw new Error('no'); };"
    file = smply.home / "throwing.js"
    file.write_text(throwing + "export const upgradeContext = (_o, _n, context) => context;")
    path = ("-m", "toggler", "-f", version, "-t", renamed, "-i", kitchen)
    outcome = smply("migrations", "dry-run", *path, "--js", str(file))
    assert outcome.code == 1
    assert outcome.json["failed"] == 1
    assert "1 of 1 instances would stay as they are" in outcome.err
    assert smply("migrations", "dry-run", *path[:2], *path[4:], "--js", str(file)).code == 2


def test_upgrades_run_in_the_background(smply, sources):
    """Started, paused, resumed, watched to their end, cancelled."""
    node = ("--node", str(sources / "toggler.ts"))
    smply.expect("machines", "create", "-m", "crowd", *node)
    for number in range(3):
        smply.expect("instances", "create", "-m", "crowd", "-i", f"i{number}", "-a", ADA)
    newer = ("machine-versions", "create", "-m", "crowd", "-r", "2", *node)
    second = smply.expect(*newer)["machineVersionId"]
    first = smply.expect("machines", "get", "-m", "crowd")["currentVersion"]["id"]
    keep = smply.home / "keep.js"
    keep.write_text(
        "export const upgradeState = (path) => path;"
        "export const upgradeContext = (_o, _n, context) => context;"
    )
    smply.expect("migrations", "create", "-m", "crowd", "-f", first, "-t", second, "-j", str(keep))

    done = smply.expect("upgrades", "start", "-m", "crowd", "-t", second, "-i", "i0", "--wait")
    assert (done["status"], done["upgraded"]) == ("done", 1)
    started = smply.expect("upgrades", "start", "-m", "crowd", "-t", second)
    watched = smply.expect("upgrades", "watch", "-m", "crowd", "--upgrade", started["id"])
    assert (watched["upgraded"], watched["unchanged"]) == (2, 1)
    assert smply.expect("upgrades", "get", "-m", "crowd") == watched
    listed = smply.expect("upgrades", "list", "-m", "crowd")
    assert [item["id"] for item in listed] == [started["id"], done["id"]]
    results = smply.expect("upgrades", "results", "-m", "crowd", "--outcome", "upgraded")
    assert [item["slug"] for item in results] == ["i2", "i1"]
    for command in ("pause", "resume", "cancel"):
        outcome = smply("upgrades", command, "-m", "crowd")
        assert outcome.code == 1, "it is over"
        assert outcome.out == ""


def test_logs_are_read_and_watched(smply, kitchen):
    """As JSON or clean, by a time that begins with a dash."""
    send(smply, kitchen, "toggle")
    which = ("--from", "-10m", "--machine", "toggler", "--instance", kitchen)
    await_that(lambda: smply.expect("logs", "get", *which)["logs"], "there is a log entry")
    page = smply.expect("logs", "get", *which)
    assert page["logs"][0]["log"].startswith(f"switched {kitchen}")
    clean = smply("logs", "get", *which, "--clean").out
    heading, _, rest = clean.partition("\n")
    assert json.loads(heading)["machineName"] == "toggler"
    assert rest == f"\nstdout\n\nswitched {kitchen}\n"
    assert smply.expect("logs", "watch", *which, "--to", "10m") == page["logs"][0]


@contextmanager
def watching(server, *arguments: str) -> Iterator[IO[str]]:
    """What a command prints that has no end: into a pipe, and quietly until Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-m", "statekeep", *arguments],
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            "SMPLY_TOKEN": server.token,
            "SMPLY_API_URL": server.url,
            "SMPLY_ORG": server.organization_id,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        impatience = Timer(WATCHING_SECONDS_MAX, process.kill)
        impatience.start()
        try:
            assert process.stdout is not None
            yield process.stdout
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
        finally:
            impatience.cancel()
            process.kill()
    assert (process.returncode, err) == (130, "")


def test_watching_shows_entries_as_they_come_and_ends_with_ctrl_c(server, smply, kitchen):
    """In a pipe too, and quietly."""
    send(smply, kitchen, "toggle")
    which = ("--from", "-10m", "--machine", "toggler", "--instance", kitchen)
    with watching(server, "logs", "watch", *which, "--clean") as out:
        assert f"switched {kitchen}\n" in iter(out.readline, "")


def test_an_instance_is_watched_as_it_changes(server, smply, kitchen):
    """First as it is, then every state that follows, before there is another."""
    with watching(server, "instances", "watch", "-m", "toggler", "-i", kitchen, "-a", ADA) as out:
        updates = values(out)
        before = next(updates)
        assert (before["machineInstanceName"], before["state"]) == (kitchen, "off")
        for state in ("on", "off"):
            send(smply, kitchen, "toggle")
            update = next(updates)
            assert update["state"] == state
            assert update["revision"] > before["revision"]
            before = update


def test_the_history_of_an_instance_is_watched(server, smply, kitchen):
    """Since a revision that was seen before, or from the beginning."""
    send(smply, kitchen, "toggle")
    which = ("instances", "watch", "-m", "toggler", "-i", kitchen, "-a", ADA)
    with watching(server, *which, "--since", "0") as out:
        first, second = islice(values(out), 2)
    assert (first["state"], second["state"]) == ("off", "on")
    with watching(server, *which, "--since", str(first["revision"])) as out:
        assert next(values(out)) == second
    assert smply(*which, "--since", "-1").code == 2


def test_who_may_not_read_watches_nothing(smply, kitchen):
    """Nor does who does not say who they are."""
    which = ("instances", "watch", "-m", "toggler", "-i", kitchen)
    outcome = smply(*which, "-a", '{"sub": "eve"}')
    assert (outcome.code, outcome.out) == (1, "")
    assert "allowRead" in outcome.err
    assert smply(*which).code == 2


def test_no_proxy_gets_between_a_command_and_the_server_whose_folder_it_names(
    server, kitchen, tmp_path
):
    """Neither for requests nor for what is watched: a proxy on another machine knows no 127.0.0.1 of this one."""
    nobody_listens = "http://127.0.0.1:1"
    smply = CommandLine(tmp_path, http_proxy=nobody_listens, https_proxy=nobody_listens)
    credentials = {"apiUrl": server.url, "orgId": server.organization_id, "token": server.token}
    (tmp_path / "credentials.json").write_text(json.dumps(credentials))
    near = ("--data-dir", str(tmp_path))
    assert smply.expect("machines", "get", "-m", "toggler", *near)["slug"] == "toggler"
    which = ("-m", "toggler", "-i", kitchen, "-a", '{"sub": "eve"}')
    assert "allowRead" in smply("instances", "watch", *which, *near).err


def values(out: IO[str]) -> Iterator[Any]:
    """JSON values that stand one after the other, each as soon as it is complete."""
    text = ""
    for line in iter(out.readline, ""):
        text += line
        if line == "}\n":
            yield json.loads(text)
            text = ""


def test_dead_letters_are_listed_retried_and_discarded(smply, kitchen):
    """One, those of an instance, or all of them."""
    letters = ("-m", "toggler", "-i", kitchen)
    assert smply.expect("dead-letters", "list", *letters) == []
    send(smply, kitchen, "wind")

    def died() -> list[dict[str, object]]:
        found: list[dict[str, object]] = smply.expect("dead-letters", "list", *letters)
        return found

    await_that(lambda: bool(died()), "the timer is given up")
    [letter] = died()
    assert letter["event"] == {"type": "ring"}
    for which in (("--letter", str(letter["id"])), ("--instance", kitchen), ("--all",)):
        assert smply.expect("dead-letters", "retry", "-m", "toggler", *which) == {"retried": 1}
        await_that(lambda: bool(died()), "it is given up again")
    assert smply("dead-letters", "retry", "-m", "toggler").code == 2
    [letter] = died()
    discard = ("dead-letters", "discard", "-m", "toggler", "-l", str(letter["id"]))
    assert smply(*discard, stdin="n\n").code == 1
    assert smply(*discard, stdin="y\n").err.endswith("Discarded dead letter\n")
    assert died() == []
    assert smply(*discard, "--yes").code == 1


def test_retention_is_chosen(smply, version):
    """All of it at once: what is left out is the server's default again."""
    chosen = smply.expect(
        *[
            "retention",
            "set",
            "-m",
            "toggler",
            "--max-age",
            "30d",
            "--max-entries",
            "10",
            "--logs-max-age",
            "2d",
        ]
    )
    assert chosen["retention"] == {
        "journal": {"maxAge": "30d", "maxEntries": 10},
        "logs": {"maxAge": "2d"},
    }
    assert smply.expect("retention", "get", "-m", "toggler") == chosen
    assert smply.expect("retention", "set", "-m", "toggler")["retention"] == {}
    refused = smply("retention", "set", "-m", "toggler", "--max-age", "30days")
    assert (refused.code, refused.out) == (1, "")
    assert (
        'expected a duration such as 30d, 12h or a number of seconds, not "30days"' in refused.err
    )


def test_keys_are_made_listed_and_deleted(smply):
    """The first line is advice, as scripts know it."""
    made = smply("keys", "create", "--scopes", "logs.read,state.read", "--name", "reader")
    advice, _, rest = made.out.partition("\n")
    assert advice.startswith("Store this key safely now.")
    key = json.loads(rest)
    listed = {item["id"]: item for item in smply.expect("keys", "list")}
    assert listed[key["id"]]["scopes"] == ["logs.read", "state.read"]
    assert smply("keys", "delete", "--key", key["id"]).err == "Successfully deleted key\n"
    assert key["id"] not in [item["id"] for item in smply.expect("keys", "list")]
    assert smply("keys", "create", "--scopes", "everything", "--name", "x").code == 2
    ci = json.loads(smply("keys", "create", "-u", "ci", "-n", "ci").out.partition("\n")[2])
    scopes = {item["id"]: item["scopes"] for item in smply.expect("keys", "list")}[ci["id"]]
    assert "machine-versions.write" in scopes


def test_organizations_are_made_and_chosen(smply, server, tmp_path):
    """The choice is kept with the profile, and its bare ID is printed."""
    made = smply.expect("orgs", "create", "--name", "Toys", "--no-anonymous-access")
    names = {item["id"]: item["name"] for item in smply.expect("orgs", "list")}
    assert names[made["orgId"]] == "Toys"
    assert names.keys() == {made["orgId"], server.organization_id}
    offline = CommandLine(tmp_path)
    assert offline("orgs", "default", "get").out == "No default organization set.\n"
    assert offline("orgs", "default", "set").code == 2
    nobody = offline("orgs", "default", "set", "--org", made["orgId"])
    assert nobody.code == 1
    assert "nobody is signed in" in nobody.err
    assert offline("login", "-u", server.url, "--token", "-", stdin=server.token).code == 0
    assert offline("orgs", "default", "set", "--org", made["orgId"]).code == 0
    assert offline("orgs", "default", "get").out == made["orgId"] + "\n"
    assert (tmp_path / ".smply" / "default-org").read_text() == made["orgId"]
    wrong = offline("orgs", "default", "set", "--org", "org_of_others")
    assert wrong.code == 1
    assert "not a member of this organization, org_of_others: statekeep orgs list" in wrong.err
    assert offline("orgs", "default", "get").out == made["orgId"] + "\n"
    assert offline.expect("machines", "list") == []
    assert smply.expect("machines", "list", "-o", made["orgId"]) == []
    offline.home.joinpath(".smply", "default-org").write_text("org_left")
    left = offline("machines", "list")
    assert left.code == 1
    assert 'org_left, which is the default of profile "default": choose one' in left.err
    assert offline.expect("orgs", "list")
    assert offline("whoami").code == 0
    several = CommandLine(tmp_path, SMPLY_TOKEN=server.token, SMPLY_API_URL=server.url)
    assert "name one with --org or SMPLY_ORG" in several("machines", "list").err


def test_identity_and_token_providers_come_and_go(smply):
    """Of every kind that there is a command for."""
    mapping = ("-m", '{"sub.$": "$.sub"}')
    upsert = ("identity-providers", "upsert", "-a", "shop", "-i", "https://id.example.com/")
    secret = "a shared secret of more than 32 bytes, as it should be"
    url = "https://id.example.com/jwks.json"
    assert smply(*upsert, "-l", "HS256", "HS384", "-k", secret, *mapping).code == 0
    assert smply(*upsert, "-l", "RS256", "-j", url, *mapping).code == 0
    assert smply(*upsert, "-l", "RS256", "-j", url, "-k", secret, *mapping).code == 2
    assert smply(*upsert, "-l", "none", "-j", url, *mapping).code == 2
    auth0 = ("identity-providers", "upsert-auth0", "-d", "https://shop.us.auth0.com/x", *mapping)
    assert smply(*auth0).code == 0
    cognito = ("identity-providers", "upsert-cognito", "-u", "us-east-1_A", "-r", "us-east-1")
    assert smply(*cognito, *mapping).code == 0
    supabase = ("identity-providers", "upsert-supabase", "-p", "abc", "-s", secret, *mapping)
    assert smply(*supabase).code == 0
    listed = {item.get("iss"): item for item in smply.expect("identity-providers", "list")}
    assert listed["https://id.example.com/"]["algs"] == ["RS256"]
    assert listed["https://shop.us.auth0.com/"]["aud"] == "https://shop.us.auth0.com/api/v2/"
    assert "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_A" in listed
    assert listed["https://abc.supabase.co/auth/v1"]["aud"] == "authenticated"
    delete = ("identity-providers", "delete", "-a", "shop", "-i", "https://id.example.com/")
    assert smply(*delete, stdin="n\n").code == 1
    deleted = smply(*delete, stdin="y\n")
    assert deleted.err.endswith("Identity provider configuration deleted\n")
    assert smply("identity-providers", "delete", "--yes").code == 2

    key = json.loads(smply("keys", "create", "-n", "exchange").out.partition("\n")[2])
    provider = ("token-providers", "upsert", "-s", "shop", "-k", key["id"], *mapping)
    assert smply(*provider).err == "Created token provider shop\n"
    assert "shop" in [item["service"] for item in smply.expect("token-providers", "list")]
    unprovide = ("token-providers", "delete", "-s", "shop")
    assert smply(*unprovide, stdin="ship\n").code == 1
    assert smply(*unprovide, stdin="shop\n").err.endswith("Deleted token provider shop\n")


def test_a_profile_says_where_the_server_is(server, tmp_path):
    """Credentials of smply, and the URL in a variable."""
    (tmp_path / ".smply").mkdir()
    document = {"access_token": server.token, "refresh_token": "x", "expires_at": 4102444800}
    (tmp_path / ".smply" / "credentials").write_text(json.dumps(document))
    somebody = CommandLine(tmp_path)
    assert somebody("-u", server.url, "orgs", "list").code == 0
    assert somebody("orgs", "list", "-u", server.url).code == 0
    assert somebody("orgs", "list", f"--api-url={server.url}/").code == 0
    listed = somebody.expect("profiles", "list")
    assert [(item["name"], item["inUse"]) for item in listed] == [("default", True)]


def test_a_token_that_is_refused_is_told_with_what_to_do(server, tmp_path):
    """So is a server that is not there, and nobody being signed in."""
    somebody = CommandLine(tmp_path, SMPLY_API_URL=server.url)
    assert "nobody is signed in" in somebody("machines", "list").err
    (tmp_path / ".smply").mkdir(mode=0o700)
    (tmp_path / ".smply" / "credentials").write_text('{"access_token": "x"}')
    refused = somebody("machines", "list")
    assert refused.code == 1
    assert "sign in again with statekeep login" in refused.err
    away = somebody("machines", "list", "-t", "x", "-u", "http://127.0.0.1:9")
    assert "is the server running?" in away.err
