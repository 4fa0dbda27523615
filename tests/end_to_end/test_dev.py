"""`statekeep dev`, as somebody uses it who writes machines: real files, real saves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import deno
import pytest

from statekeep.cli.developing.welcome import CLIENT
from statekeep.client import Client
from tests.support.deno import deno_environment, run_deno
from tests.support.secrets import require_no_secrets

COMMAND = [sys.executable, "-c", "from statekeep.cli.main import main; main()"]
CLIENT_CONFIG = Path(__file__).parent / "official_client" / "deno.json"
SECONDS_MAX = 60
"""For anything to be said that is waited for; it takes far less."""

SOURCE = """
import { createMachine } from "npm:xstate@5";
import { greeting } from "./greeting.ts";
export const allowRead = () => true, allowWrite = () => true;
export default createMachine({
  initial: "off",
  states: {
    off: { on: { toggle: "on" } },
    on: { entry: () => console.log(greeting), on: { toggle: "off" } },
  },
});
"""
BROKEN = SOURCE.replace('initial: "off"', 'initial: "off" "on"')


class Developing:
    """A running session: what it says, and a client for its server."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.said = ""
        self._folder = folder

    def hear(self, pattern: str) -> re.Match[str]:
        """Wait for a line, past those that were waited for before."""
        assert self.process.stdout is not None
        impatience = Timer(SECONDS_MAX, self.process.kill)
        impatience.start()
        heard = ""
        try:
            for line in self.process.stdout:
                self.said += line
                heard += line
                match = re.search(pattern, line)
                if match:
                    return match
        finally:
            impatience.cancel()
        raise AssertionError(f"nothing like {pattern!r} was said, but:\n{heard}")

    @property
    def credentials(self) -> dict[str, str]:
        """Of the first admin."""
        credentials: dict[str, str] = json.loads(
            (self._folder / ".statekeep/credentials.json").read_text()
        )
        return credentials

    def client(self) -> Client:
        """That of the first admin."""
        admin = self.credentials
        return Client(admin["token"], api_url=admin["apiUrl"], org_id=admin["orgId"])


@contextmanager
def developing(folder: Path, *arguments: str) -> Iterator[Developing]:
    """A session that has been ready; ended as Ctrl-C does, and expected to end well, unless it has ended before."""
    with subprocess.Popen(
        [*COMMAND, "dev", "--port", "0", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        session = Developing(process, folder)
        try:
            session.hear("Ctrl-C")
            yield session
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.stdout is not None
                session.said += process.stdout.read()
                assert process.wait(SECONDS_MAX) == 0, session.said
    assert "Traceback" not in session.said


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project, with no home and no settings around."""
    for name in [name for name in os.environ if name.startswith(("STATEKEEP_", "SMPLY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    project = tmp_path / "project"
    project.mkdir()
    save(project / "lamp.ts", SOURCE)
    save(project / "greeting.ts", 'export const greeting = "hello";\n')
    return project


def save(path: Path, text: str) -> None:
    """As editors do: another file takes the place of the one that is there."""
    beside = path.with_name(f"{path.name}~")
    beside.write_text(text)
    beside.replace(path)


def test_what_is_saved_is_deployed_and_instances_are_moved_along(folder):
    """An imported file counts as well; new code answers the next event of an instance that was there before."""
    with developing(folder, "lamp.ts") as session, session.client() as api:
        api.machine_instances.create("lamp", "kitchen")
        api.machine_instances.send_event("lamp", "kitchen", "toggle")
        session.hear(r"lamp/kitchen  toggle -> on$")
        session.hear(r"lamp/kitchen  \| hello$")
        save(folder / "greeting.ts", 'export const greeting = "good evening";\n')
        version = session.hear(r"lamp  deployed (\S+) in \d+ ms")[1]
        session.hear(r"lamp  moved 1 instance along")
        assert api.machine_instances.admin.get("lamp", "kitchen").machine_version.id == version
        api.machine_instances.send_event("lamp", "kitchen", "toggle")
        api.machine_instances.send_event("lamp", "kitchen", "toggle")
        session.hear(r"lamp/kitchen  \| good evening$")


def test_instances_that_do_not_fit_are_kept_and_named_until_they_do(folder):
    """By a version with their state again, even where others came in between."""
    with developing(folder, "lamp.ts") as session, session.client() as api:
        for name in ("kitchen", "hall"):
            api.machine_instances.create("lamp", name)
        api.machine_instances.send_event("lamp", "hall", "toggle")
        save(
            folder / "lamp.ts",
            SOURCE.replace("on: { entry", "lit: { entry").replace('"on"', '"lit"'),
        )
        session.hear("deployed")
        kept = session.hear(r"lamp  kept 1 instance on their version \(hall\): (.*)")
        assert "on" in kept[1]
        assert "moved 1 instance along" in session.said
        assert api.machine_instances.get("lamp", "hall").state == "on"
        save(folder / "lamp.ts", SOURCE)
        session.hear("deployed")
        session.hear("moved 2 instances along")


def test_what_cannot_be_built_is_shown_and_changes_nothing(folder):
    """With file, line and a frame; once it can be built again that is said."""
    with developing(folder, "lamp.ts") as session, session.client() as api:
        before = api.machines.get("lamp").current_version
        save(folder / "lamp.ts", BROKEN)
        session.hear("lamp: lamp.ts could not be built")
        session.hear(r"lamp\.ts:6:\d+: ")
        session.hear(r"6 \| +initial: ")
        session.hear(r"\^")
        session.hear("The version before stays current")
        assert api.machines.get("lamp").current_version == before
        save(folder / "lamp.ts", SOURCE)
        session.hear("what is current already")
        assert api.machines.get("lamp").current_version == before


def test_what_throws_as_it_is_loaded_is_shown_with_the_authors_line(folder):
    """The bundle is fine, the machine is none."""
    with developing(folder, "lamp.ts") as session:
        save(
            folder / "greeting.ts",
            '\nthrow new Error("no greeting");\nexport const greeting = "";\n',
        )
        session.hear("refused: no greeting")
        session.hear(r"greeting\.ts:2:\d+")
        session.hear("The version before stays current")


def test_a_file_that_is_missing_is_waited_for(folder):
    """An import may be written before what it imports, in a folder that is not there yet either."""
    with developing(folder, "lamp.ts") as session:
        save(folder / "lamp.ts", SOURCE.replace("./greeting.ts", "./words/greeting.ts"))
        session.hear("could not be built")
        session.hear("The version before stays current")
        (folder / "words").mkdir()
        save(folder / "words/greeting.ts", 'export const greeting = "hi";\n')
        session.hear("deployed")
        save(folder / "words/greeting.ts", 'export const greeting = "hi there";\n')
        session.hear("deployed")


def test_a_session_that_was_ended_elsewhere_is_begun_anew_by_the_next_start(folder):
    """And that is what is said, by commands that have the same file as their only way in, too: they cannot sign in again."""
    with developing(folder, "lamp.ts") as session, session.client() as api:
        ended = session.credentials["token"]
        api.sessions.end_current()
        session.hear("was ended elsewhere: start statekeep dev again")
        assert session.process.wait(SECONDS_MAX) == 1
    with developing(folder, "lamp.ts") as session:
        (folder / "old").mkdir()
        save(folder / "old/credentials.json", json.dumps({**session.credentials, "token": ended}))
        asked = subprocess.run(
            [*COMMAND, "machines", "list", "--data-dir", "old"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode == 1
        assert "does not take the token in old/credentials.json" in asked.stderr
        assert "Restart the server" in asked.stderr


def test_each_file_is_a_machine_of_its_own(folder):
    """What only one of them is made of deploys that one."""
    save(folder / "fan.js", SOURCE.replace("./greeting.ts", "./fan_words.js"))
    save(folder / "fan_words.js", 'export const greeting = "whirr";\n')
    with developing(folder, "lamp.ts", "fan.js") as session, session.client() as api:
        lamp = api.machines.get("lamp").current_version
        save(folder / "fan_words.js", 'export const greeting = "brrr";\n')
        session.hear("fan  deployed")
        assert api.machines.get("lamp").current_version == lamp


def test_a_session_that_was_killed_goes_on_where_it_was(folder):
    """Nothing is deployed anew that has not changed, and instances that were left on another version are carried over."""
    with developing(folder, "lamp.ts") as session, session.client() as api:
        first = api.machines.get("lamp").current_version
        assert first is not None
        save(folder / "greeting.ts", 'export const greeting = "good morning";\n')
        session.hear("deployed")
        second = api.machines.get("lamp").current_version
        # As one that the kill came before.
        api.machine_instances.create("lamp", "kitchen", machine_version_id=first.id)
        os.killpg(session.process.pid, signal.SIGKILL)
        session.process.wait()
    with developing(folder, "lamp.ts") as session, session.client() as api:
        if "moved 1 instance along" not in session.said:
            session.hear("moved 1 instance along")
        assert "deployed" not in session.said
        assert api.machines.get("lamp").current_version == second
        assert api.machine_instances.admin.get("lamp", "kitchen").machine_version == second


def test_what_was_saved_between_two_sessions_is_deployed_by_the_next(folder):
    """With the instances that there are."""
    with developing(folder, "lamp.ts") as session, session.client() as api:
        api.machine_instances.create("lamp", "kitchen")
    save(folder / "greeting.ts", 'export const greeting = "good night";\n')
    with developing(folder, "lamp.ts") as session:
        assert "lamp  deployed" in session.said
        if "moved 1 instance along" not in session.said:
            session.hear("moved 1 instance along")


def test_a_broken_file_can_be_begun_with(folder):
    """It is deployed once it is mended."""
    save(folder / "lamp.ts", BROKEN)
    with developing(folder, "lamp.ts") as session:
        assert session.said.count("could not be built") == 1
        save(folder / "lamp.ts", SOURCE)
        session.hear("lamp  deployed")


def test_what_is_printed_to_be_pasted_works(folder):
    """As it is: the event is one of the machine."""
    with developing(folder, "lamp.ts") as session:
        for line in re.findall(r"^curl .*$", session.said, re.MULTILINE):
            result = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
        assert json.loads(result.stdout)["state"] == "on"


@pytest.mark.parametrize("source", [SOURCE.replace("toggle:", "'*':"), BROKEN])
def test_where_no_event_is_known_the_reader_puts_one_in(folder, source):
    """Because the machine takes any, or because there is none yet."""
    save(folder / "lamp.ts", source)
    with developing(folder, "lamp.ts") as session:
        assert '{"event":"YOUR_EVENT"}' in session.said


def test_no_secret_of_the_session_is_printed(folder):
    """But for the token of the end user and the link to sign in, which are to be pasted."""
    with developing(folder, "lamp.ts", "--log-level", "debug") as session:
        save(folder / "greeting.ts", 'export const greeting = "psst";\n')
        session.hear("deployed")
    after = session.said.partition("Ctrl-C")[2]
    require_no_secrets(after, folder / ".statekeep")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.ts"], 1, "there is no file nowhere.ts"),
        (["lamp.ts", "other/lamp.ts"], 2, "would both be machine lamp"),
        (["my lamp.ts"], 2, "Rename the file"),
        ([], 2, "missing"),
    ],
)
def test_what_cannot_be_a_machine_is_refused_before_a_server_starts(
    folder, arguments, code, message
):
    """With what to do."""
    (folder / "other").mkdir()
    save(folder / "other/lamp.ts", SOURCE)
    save(folder / "my lamp.ts", SOURCE)
    result = subprocess.run(
        [*COMMAND, "dev", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    assert not (folder / ".statekeep").exists()


def test_the_module_for_a_browser_follows_the_instance(folder):
    """With State Backed's own client: the state as it is, and what becomes of it."""
    with developing(folder, "lamp.ts") as session, session.client() as api:
        module = re.search(r'<script type="module">\n(.*?)</script>', session.said, re.DOTALL)
        assert module is not None
        program = folder.parent / "page.js"
        # Browsers fetch the client from the web, tests have it already.
        program.write_text(module[1].replace(CLIENT, "@statebacked/client"))
        with subprocess.Popen(
            [deno.find_deno_bin(), "run", "--allow-all", f"--config={CLIENT_CONFIG}", str(program)],
            env=deno_environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as page:
            assert page.stdout is not None
            impatience = Timer(SECONDS_MAX, page.kill)
            impatience.start()
            assert page.stdout.readline() == "off\n"
            api.machine_instances.send_event("lamp", "first", "toggle")
            assert page.stdout.readline() == "on\n"
            impatience.cancel()
            page.kill()


def test_the_starter_project_works_as_it_is_written(folder):
    """Its types hold, its tests pass, and it is deployed."""
    subprocess.run([*COMMAND, "init", "starter"], cwd=folder, check=True, capture_output=True)
    starter = folder / "starter"
    run_deno("check", str(starter / "toggle.ts"))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=starter,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 passed" in tests.stdout, tests.stdout + tests.stderr
    with developing(starter, "toggle.ts") as session:
        end_user = re.search(r'token: "([^"]+)"', session.said)
        assert end_user is not None
        with Client(end_user[1], api_url=session.credentials["apiUrl"]) as ada:
            ada.machine_instances.create("toggle", "lamp")
            ada.machine_instances.send_event("toggle", "lamp", "toggle")
        session.hear(r"toggle/lamp  \| toggled 1 times")
