"""Runs what a document shows, in the order in which a reader meets it, beside a server of the document's own.

`sh`, `js`, `ts` and `python` are run, and `json`, `yaml` and `toml` have to be what they say. Blocks share a folder, and those of the
shell their variables and functions: `TOKEN` and `ORG` are the first admin's, `URL` and `SERVER` the server's address. What `PLACES` has stands for
what this machine has.

- A module with a default export is a machine: it is published, and has to work.
- All JavaScript between two blocks of the shell is one program, and all Python likewise. JavaScript finds `token`, `orgId`, `url`,
  `StateBackedClient` (State Backed's own) and a `client` of the first admin.
- JSON right after a command has to look like its answer: the same keys, whatever the values.

A comment on the line above the block says what differs. Readers do not see it:

- `<!-- not run: REASON -->`
- `<!-- file: NAME -->` is not run but written into the folder.
- `<!-- machine: NAME -->` publishes the machine under this name.
- `<!-- until: TEXT -->` runs a command, or a program in Python, that does not end, until it has printed the text.

A comment that begins with `<!-- hidden LANGUAGE` (or `<!-- hidden LANGUAGE machine: NAME`) is a block too: what the reader has done
before.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from textwrap import dedent
from threading import Timer
from typing import Any, Final, NamedTuple

import deno
import httpx
import pytest
import yaml
from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

import statekeep
from tests.support.deno import deno_environment
from tests.support.deployed import Deployment
from tests.support.server import RunningServer, free_port, server_process

EXAMPLES: Final = Path(statekeep.__file__).parent / "examples"
TOOLS: Final = ("curl", "jq", "openssl")
"""What readers are taken to have, beyond what Statekeep brings along."""

RUN_SECONDS_MAX: Final = 120
DIRECTIVE: Final = re.compile(r"<!-- (?P<name>not run|file|machine|until): (?P<value>.+) -->\s*\Z")
HIDDEN: Final = re.compile(
    r"^<!-- hidden (?P<language>\w+)(?: (?P<name>file|machine): (?P<value>\S+))?\n(?P<source>.*?)^-->",
    re.MULTILINE | re.DOTALL,
)
CLIENT_CONFIG: Final = Path(__file__).parents[1] / "end_to_end" / "official_client" / "deno.json"

PLACES: Final = {
    "http://127.0.0.1:8080": "{url}",
    "/var/lib/statekeep": "{folder}/{data}",
    "/backups": "{folder}/backups",
    "/safe": "{folder}/safe",
}
"""What stands in documents, and where it is beside the document's own server."""

STRICT: Final = """
set -aeuo pipefail
curl() { command curl --no-progress-meter --fail-with-body "$@"; }
"""

GLOBALS: Final = """
import { StateBackedClient } from "@statebacked/client";
const [token, orgId, url] = ["TOKEN", "ORG", "URL"].map((name) => Deno.env.get(name));
const client = new StateBackedClient({ token }, { apiHost: url, orgId });
Object.assign(globalThis, { StateBackedClient, token, orgId, url, apiHost: url, client });
"""
"""A module of its own: programs may declare the same names."""


class Snippet(NamedTuple):
    """A block of a document: its language, its source, and what the comment above it says."""

    language: str
    source: str
    directive: str
    value: str

    @property
    def is_program(self) -> bool:
        """Whether it is a part of a program, and does not stand for itself."""
        if self.directive:
            return False
        return self.language == "python" or (self.is_javascript and not self.is_machine)

    @property
    def is_javascript(self) -> bool:
        return self.language in {"js", "ts"}

    @property
    def is_machine(self) -> bool:
        return (
            self.is_javascript
            and re.search(r"^export default\b", self.source, re.MULTILINE) is not None
        )


Block = tuple[Region, Snippet]


class SnippetParser:
    """Sybil's parser of the blocks that are run; the parts of a program are one example, where its last part stands."""

    def __init__(self) -> None:
        self._lexer = FencedCodeBlockLexer(language=r"\w+")

    def __call__(self, document: Document) -> Iterable[Region]:
        blocks = [*self._shown(document), *_hidden(document)]
        blocks.sort(key=lambda block: block[0].start)
        snippets = [snippet for _, snippet in blocks]
        programs: dict[str, str] = {}
        for position, (region, snippet) in enumerate(blocks):
            if snippet.language == "text" or snippet.directive == "not run":
                continue
            if snippet.is_program:
                whole = programs.pop(snippet.language, "") + snippet.source
                if _goes_on(snippets[position + 1 :], snippet.language):
                    programs[snippet.language] = whole
                    continue
                snippet = snippet._replace(source=whole)
            yield Region(region.start, region.end, snippet, _run)

    def _shown(self, document: Document) -> Iterator[Block]:
        for region in self._lexer(document):
            directive = DIRECTIVE.search(document.text[: region.start])
            name, value = ("", "") if directive is None else directive.group("name", "value")
            source = str(region.lexemes["source"])
            yield region, Snippet(region.lexemes["language"], source, name, value)


def _hidden(document: Document) -> Iterator[Block]:
    for match in HIDDEN.finditer(document.text):
        parts = match.group("language", "source", "name", "value")
        yield Region(match.start(), match.end()), Snippet(*(part or "" for part in parts))


def _goes_on(following: Iterable[Snippet], language: str) -> bool:
    """Whether a program has another part before the next command."""
    for snippet in following:
        if snippet.language == "sh" and snippet.directive != "file":
            return False
        if snippet.language == language and snippet.is_program:
            return True
    return False


def _run(example: Example) -> None:
    page: Page = example.namespace["page"]
    page.run(example.parsed)


class Page:
    """What the blocks of one document share. The server starts when the first of them needs it."""

    def __init__(self) -> None:
        self._resources = ExitStack()
        self._answer: str | None = None

    def close(self) -> None:
        """End the server and remove the folder."""
        self._resources.close()

    @cached_property
    def _folder(self) -> Path:
        return Path(self._resources.enter_context(tempfile.TemporaryDirectory()))

    @cached_property
    def _project(self) -> Path:
        project = self._folder / "project"
        project.mkdir()
        (project / ".statekeep").symlink_to(self._folder / "data")
        return project

    @cached_property
    def _server(self) -> RunningServer:
        return self._resources.enter_context(server_process(self._folder / "data"))

    @cached_property
    def _deployment(self) -> Deployment:
        http = self._resources.enter_context(httpx.Client(base_url=self._server.url))
        return Deployment(self._server, http, None)

    def run(self, snippet: Snippet) -> None:
        """Do what the block says. Fails with all that was printed."""
        answer, self._answer = self._answer, None
        for tool in TOOLS:
            if snippet.language == "sh" and re.search(rf"\b{tool}\b", snippet.source):
                require(tool)
        if snippet.directive == "file":
            path = self._project / snippet.value
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._here(snippet.source))
        elif snippet.is_machine:
            self._deployment.deploy(snippet.value or f"shown-{token_hex(4)}", snippet.source)
        elif snippet.language == "json":
            _compare(snippet.source, answer)
        elif snippet.directive == "until":
            command = _endless(snippet.language, self._here(snippet.source, data="elsewhere"))
            self._run_until(command, snippet.value)
        else:
            RUNS[snippet.language](self, self._here(snippet.source))

    def _here(self, source: str, data: str = "data") -> str:
        for place, template in PLACES.items():
            if place in source:
                source = source.replace(
                    place, template.format(url=self._server.url, folder=self._folder, data=data)
                )
        return source

    def run_shell(self, source: str) -> None:
        """Run commands with what earlier ones have left in the shell, and keep what they print."""
        variables = self._folder / "variables"
        variables.touch()
        script = f"{STRICT}. {variables}\n{source}\n{{ export -p; declare -f; }} > {variables}"
        self._answer = self._output(["bash", "-c", script])

    def run_javascript(self, source: str) -> None:
        """Run a program that may use State Backed's client."""
        (self._project / "globals.ts").write_text(GLOBALS)
        program = self._project / f"program-{token_hex(4)}.ts"
        program.write_text(f'import "./globals.ts";\n{source}')
        options = ["--quiet", "--no-prompt", "--allow-all", f"--config={CLIENT_CONFIG}"]
        self._output([deno.find_deno_bin(), "run", *options, str(program)])

    def run_python(self, source: str) -> None:
        """Run a program with this interpreter."""
        self._output([sys.executable, "-c", dedent(source)])

    def _output(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self._project,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run_until(self, command: list[str], text: str) -> None:
        process = subprocess.Popen(
            command,
            cwd=self._project,
            env=self._environment() | {"STATEKEEP_DATA_DIR": str(self._folder / "elsewhere")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        limit = Timer(RUN_SECONDS_MAX, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        printed = []
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                printed.append(line)
                if text in line:
                    break
            limit.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        assert any(text in line for line in printed), "".join(printed)

    def _environment(self) -> dict[str, str]:
        environment = deno_environment() | {
            "TOKEN": self._server.token,
            "ORG": self._server.organization_id,
            "URL": self._server.url,
            "SERVER": self._server.url,
            "EXAMPLES": str(EXAMPLES),
            "HOME": str(self._folder),
            "STATEKEEP_PORT": str(free_port()),
            "STATEKEEP_DATA_DIR": str(self._folder / "data"),
        }
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        return environment


def _endless(language: str, source: str) -> list[str]:
    if language == "python":
        return [sys.executable, "-u", "-c", source]
    return ["bash", "-c", STRICT + source]


def _compare(shown: str, answer: str | None) -> None:
    value = json.loads(shown)
    if answer:
        assert shape(_last_value(answer)) == shape(value), answer


def _last_value(printed: str) -> Any:
    decoder, value, rest = json.JSONDecoder(), None, printed.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()
    return value


RUNS: Final[dict[str, Callable[[Page, str], object]]] = {
    "sh": Page.run_shell,
    "js": Page.run_javascript,
    "ts": Page.run_javascript,
    "python": Page.run_python,
    "yaml": lambda _, source: yaml.safe_load(source),
    "toml": lambda _, source: tomllib.loads(source),
}


def require(tool: str) -> None:
    """Skip the test where this machine does not have the tool."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


def shape(value: Any) -> object:
    """What is left of JSON without its values: keys, and what lists hold."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return ...
