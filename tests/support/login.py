"""Somebody who logs in with the command line, and confirms it in a browser."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.command_line import CommandLine
from tests.support.server import RunningServer
from tests.support.visitor import Visitor


async def _let_in(server: RunningServer, sign_in_link: str, page: str, code: str) -> None:
    """What a person does in a browser: sign in, look whether the code is the same, confirm it."""
    visitor = Visitor(None, server.url)
    await visitor.open(sign_in_link)
    await visitor.press("Sign in")
    shown = await visitor.open(page)
    assert code in shown.text
    await visitor.press("Let it in")
    await visitor.close()


def logged_in(
    home: Path, server: RunningServer, operator: CommandLine, email: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """How `login` ended that this person has confirmed."""
    link = operator("sign-in-link", email).out.strip()
    with subprocess.Popen(
        [sys.executable, "-m", "statekeep", "login", "--api-url", server.url, *options],
        env={**os.environ, "HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline() + process.stderr.readline()
        found = re.search(r"Open (\S+)\s+and confirm that it shows the code (\S+)\.", said)
        assert found is not None, said
        asyncio.run(_let_in(server, link, found[1], found[2]))
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
