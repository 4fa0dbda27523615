"""Registries and web servers for modules, on this machine: what Deno fetches without a network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Package(NamedTuple):
    """What is published under a name in one version: `files` by path, beside `package.json` with `manifest`."""

    name: str
    version: str
    files: Mapping[str, str]
    manifest: Mapping[str, object] = {}


class ModuleServer:
    """Serves files by path, packages as npm's registry does, and JSR's. `asked` lists the paths that were asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self._files: dict[str, tuple[str, bytes]] = {}

    def serve(self, path: str, text: str, content_type: str = "application/typescript") -> str:
        """Serve a file, and return its address."""
        self._files[path] = (content_type, text.encode())
        return self.url + path

    def serve_npm(self, *packages: Package) -> None:
        """Publish packages. Their manifests say what they depend on."""
        for package in packages:
            manifest = {"name": package.name, "version": package.version, **package.manifest}
            tarball = _tarball(manifest, package.files)
            path = f"/{package.name}/-/{package.version}.tgz"
            self._files[path] = ("application/octet-stream", tarball)
            digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
            dist = {"tarball": self.url + path, "integrity": f"sha512-{digest}"}
            self._add_version(package, {**manifest, "dist": dist})

    def serve_jsr(self, scope: str, name: str, version: str, source: str) -> None:
        """Publish a package of one file on JSR."""
        path = f"/@{scope}/{name}"
        checksum = hashlib.sha256(source.encode()).hexdigest()
        manifest = {
            "/mod.ts": {"size": len(source.encode()), "checksum": f"sha256-{checksum}"},
        }
        self._serve_json(
            f"{path}/meta.json", {"scope": scope, "name": name, "versions": {version: {}}}
        )
        self._serve_json(
            f"{path}/{version}_meta.json", {"manifest": manifest, "exports": {".": "./mod.ts"}}
        )
        self.serve(f"{path}/{version}/mod.ts", source)

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """The type and content of what is asked for."""
        self.asked.append(path)
        return self._files.get(path)

    def _add_version(self, package: Package, described: Mapping[str, object]) -> None:
        path = f"/{package.name.replace('/', '%2f')}"
        known = json.loads(self._files[path][1])["versions"] if path in self._files else {}
        versions = {**known, package.version: described}
        tags = {"latest": package.version}
        self._serve_json(path, {"name": package.name, "versions": versions, "dist-tags": tags})

    def _serve_json(self, path: str, value: object) -> None:
        self.serve(path, json.dumps(value), "application/json")


@contextmanager
def module_server() -> Iterator[ModuleServer]:
    """A server on a free port, for as long as the context."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = served.answer(self.path)
            self.send_response(404 if found is None else 200)
            content_type, content = found or ("text/plain", b"")
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = ModuleServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _tarball(manifest: Mapping[str, object], files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in {"package.json": json.dumps(manifest), **files}.items():
            content = text.encode()
            info = tarfile.TarInfo(f"package/{path}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()
