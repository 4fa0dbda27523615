"""How a Deno host is started: its command line is the sandbox.

What the command line cannot say, the host program does for itself before it loads author code; docs/host-protocol.md has the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import deno
import msgspec

DIST: Final = Path(__file__).parent / "dist"

PRIVATE_NETWORKS: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "[::]",
    "[::1]",
)
"""What `--deny-net` can deny: IPv4 ranges by the resolved address. Private IPv6 ranges are refused by the host itself."""

_V8_FLAGS: Final = ("--no-allocation-site-pretenuring",)
"""V8 would take what instances in memory are made of for long-lived, and put all of it where only a full collection finds it again: half of
a creation's time went into that."""

_XSTATE_SPECIFIER: Final = re.compile(
    r"""["'`]((?:npm:)?xstate(?:@([^/"'`\s]+))?(?:/([^"'`\s]+))?)["'`]"""
)


class Manifest(msgspec.Struct):
    """What the build put beside the host: `modules` maps subpaths of XState to files."""

    class Copy(msgspec.Struct):
        """One major of XState."""

        version: str
        modules: dict[str, str]

    host: str
    xstate4: Copy
    xstate5: Copy
    denied: list[str] = msgspec.field(name="deniedModules", default_factory=list)

    def copy_for(self, wanted: str | None) -> Copy | None:
        """The copy for a version as it stands in a specifier: none means 4, as State Backed documents."""
        major = re.match(r"[\^~>=v]*(\d+)", wanted or "4")
        number = "5" if wanted in {"latest", "next", "beta"} else major and major[1]
        return {"4": self.xstate4, "5": self.xstate5}.get(number or "")


class DenoLauncher:
    """Makes command lines for hosts.

    `cache_dir` is for compiled code that Deno keeps between starts. `allow_private_network` lifts the ban on loopback, link-local and private
    addresses; without `allow_network` there is no network at all. Raises FileNotFoundError where the package was not built.
    """

    def __init__(
        self,
        *,
        cache_dir: Path,
        heap_mib: int,
        allow_private_network: bool,
        allow_network: bool = True,
    ) -> None:
        self._deno = deno.find_deno_bin()
        manifest = DIST / "manifest.json"
        if not manifest.exists():
            raise FileNotFoundError(
                f"{manifest} is missing: the JavaScript host was not built."
                " Install the package again (`pip install .`), or run `make host` in a checkout."
            )
        self._manifest = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
        self._cache_dir = cache_dir
        self._heap_mib = heap_mib
        self._allow_private_network = allow_private_network
        self._allow_network = allow_network

    def command(self, code: str, socket_path: Path) -> list[str]:
        """Arguments that start a host for this module, which will connect to `socket_path`."""
        return [
            str(self._deno),
            "run",
            "--quiet",
            "--no-prompt",
            "--no-remote",
            "--no-npm",
            "--no-config",
            "--no-lock",
            "--no-check",
            f"--v8-flags={','.join([f'--max-old-space-size={self._heap_mib}', *_V8_FLAGS])}",
            f"--import-map={self._import_map(code)}",
            f"--allow-read={DIST},{socket_path}",
            f"--allow-write={socket_path}",
            *self._network(socket_path),
            str(DIST / self._manifest.host),
            str(socket_path),
        ]

    def environment(self) -> Mapping[str, str]:
        """All that a host sees of the environment, until it hides that too."""
        return {"DENO_DIR": str(self._cache_dir), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}

    def _network(self, socket_path: Path) -> list[str]:
        if not self._allow_network:
            # For Deno a Unix socket is network, too.
            return [f"--allow-net=unix:{socket_path}"]
        if self._allow_private_network:
            return ["--allow-net"]
        return ["--allow-net", f"--deny-net={','.join(PRIVATE_NETWORKS)}"]

    def _import_map(self, code: str) -> str:
        imports: dict[str, str | None] = dict(self._xstate_imports(code))
        # For the host itself: it runs XState 4's children, and tells our copies from an author's own.
        for name, copy in (
            ("xstate4", self._manifest.xstate4),
            ("xstate5", self._manifest.xstate5),
        ):
            imports[name] = (DIST / copy.modules[""]).as_uri()
        # Null is a refusal of the resolver. A module that throws would not do: Deno serves built-ins that it has loaded already past it.
        imports.update(dict.fromkeys(self._manifest.denied, None))
        return f"data:application/json,{quote(json.dumps({'imports': imports}))}"

    def _xstate_imports(self, code: str) -> Iterator[tuple[str, str]]:
        for specifier, version, subpath in set(_XSTATE_SPECIFIER.findall(code)):
            copy = self._manifest.copy_for(version or None)
            file = copy and copy.modules.get(subpath.removesuffix(".js"))
            if file:
                yield specifier, (DIST / file).as_uri()
