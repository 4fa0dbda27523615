"""The bundler's process: where it is lost, ended early, or asked for much at once."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from statekeep.bundling import BuildFailed, Bundler, BundlerUnavailable, Dialect
from statekeep.bundling import process as process_module

NODE = Dialect.NODE


def child_of(pid: int, program: bytes) -> int:
    """The latest process of that program that another one has started, whichever of its threads did."""
    children = [
        int(child)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return max(
        child for child in children if program in Path(f"/proc/{child}/cmdline").read_bytes()
    )


def bundler_pid() -> int:
    return child_of(os.getpid(), b"bundler.js")


class Stuck:
    """A build that cannot end: what it reads never does."""

    def __init__(self, project, bundler: Bundler) -> None:
        self.entry = project.write("stuck.ts", 'import "./pipe.ts";')
        self.pipe = project.folder / "pipe.ts"
        os.mkfifo(self.pipe)
        self.build = asyncio.ensure_future(bundler.bundle(self.entry, NODE))

    async def reached(self) -> int:
        """The other end of what it reads, once it does."""
        return await asyncio.to_thread(os.open, self.pipe, os.O_WRONLY)


async def test_a_bundler_that_was_killed_is_replaced(project, bundler):
    """Whoever waited for it is told, and the next one does not notice."""
    entry = project.write("machine.ts", "export default 1;")
    stuck = Stuck(project, bundler)
    writing = await stuck.reached()

    os.kill(bundler_pid(), signal.SIGKILL)

    with pytest.raises(BundlerUnavailable, match="ended unexpectedly"):
        await stuck.build
    os.close(writing)
    assert b"default" in (await bundler.bundle(entry, NODE)).code


async def test_a_bundler_that_has_lost_esbuild_is_replaced(project, bundler):
    entry = project.write("machine.ts", "export default 1;")
    await bundler.bundle(entry, NODE)

    os.kill(child_of(bundler_pid(), b"--service"), signal.SIGKILL)

    with pytest.raises(BundlerUnavailable, match="ended unexpectedly"):
        await bundler.bundle(entry, NODE)
    assert b"default" in (await bundler.bundle(entry, NODE)).code


async def test_closing_ends_what_is_under_way(project):
    """And leaves no process behind."""
    async with Bundler() as bundler:
        stuck = Stuck(project, bundler)
        writing = await stuck.reached()
        pid = bundler_pid()

    with pytest.raises(BundlerUnavailable):
        await stuck.build
    os.close(writing)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_entries_do_not_wait_for_each_other(project, bundler):
    """One that is stuck holds up itself only, and can be given up."""
    entry = project.write("machine.ts", "export default 1;")
    stuck = Stuck(project, bundler)
    writing = await stuck.reached()

    assert b"default" in (await bundler.bundle(entry, NODE)).code

    stuck.build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck.build
    os.close(writing)
    assert b"default" in (await bundler.bundle(entry, NODE)).code


async def test_many_builds_of_one_entry_at_once_agree(project, bundler):
    entry = project.write("machine.ts", "export default 1;")

    bundles = await asyncio.gather(*(bundler.bundle(entry, NODE) for _ in range(20)))

    assert len(set(bundles)) == 1


async def test_an_entry_that_was_forgotten_is_built_anew(project, bundler):
    """And one that was never built can be forgotten."""
    entry = project.write("machine.ts", "export default 1;")
    bundler.forget(entry, NODE)
    first = await bundler.bundle(entry, NODE)

    bundler.forget(entry, NODE)
    entry.unlink()
    bundler.forget(entry, NODE)
    project.write("machine.ts", "export default 1;")

    assert await bundler.bundle(entry, NODE) == first


async def test_code_that_is_too_large_is_refused(project, bundler):
    """Before it is uploaded, with what makes it large."""
    project.write("node_modules/huge/index.js", f"module.exports = {'x' * 11_000_000!r};")
    entry = project.write("machine.ts", 'import huge from "huge"; export default huge;')

    with pytest.raises(BuildFailed, match=r"The bundle has 10\.5 MiB.*(?s:.*)huge/index\.js \(107"):
        await bundler.bundle(entry, NODE)


async def test_without_its_javascript_it_says_what_to_do(project, tmp_path, monkeypatch):
    entry = project.write("machine.ts", "export default 1;")
    monkeypatch.setattr(process_module, "DIST", tmp_path)

    async with Bundler() as bundler:
        with pytest.raises(BundlerUnavailable, match="Install it again"):
            await bundler.bundle(entry, NODE)


async def test_an_end_in_good_order_is_told_to_nobody(project, caplog):
    """The event loop reaps the process: nobody may have done so before, or it says that it does not know it."""
    entry = project.write("machine.ts", "export default 1;")
    # It was told in one case of ten.
    for _ in range(15):
        async with Bundler() as bundler:
            await bundler.bundle(entry, NODE)
    assert caplog.text == ""
