"""Takes a newcomer by the hand: deploys the example into a server that just started, and says what to type."""

from __future__ import annotations

import os
import shlex
import signal
from secrets import token_hex
from threading import Thread
from typing import TYPE_CHECKING

from statekeep.cli.example import MACHINE, SOURCE, Deployment, deploy
from statekeep.cli.output import CommandFailed, complain, say

if TYPE_CHECKING:
    from statekeep.bootstrap import ReadyInfo


class Guide:
    """Deploys the example through the API, as anybody would, and tells what came of it."""

    def __init__(self) -> None:
        self.has_failed = False

    def start(self, info: ReadyInfo) -> None:
        """Called from the server's event loop, which has to stay free to answer: so in a thread."""
        Thread(target=self._run, args=(info,), daemon=True).start()

    def _run(self, info: ReadyInfo) -> None:
        try:
            deployment = deploy(info.url, info.organization_id, info.token, info.data_dir)
            # Only here, where it has been imported already.
            from statekeep.bootstrap import sign_in_link

            show(info, deployment, sign_in_link(info.data_dir, None, info.url))
        except CommandFailed as error:
            self.has_failed = True
            complain(str(error))
            # The way a person would stop it: what is under way finishes, the database is closed.
            os.kill(os.getpid(), signal.SIGTERM)


def show(info: ReadyInfo, deployment: Deployment, account: str) -> None:
    """Where everything is, and two lines to paste into a shell."""
    # A name of its own for each start, so that the lines below can be pasted after every one.
    instance = f"gate-{token_hex(3)}"
    instances = f"{info.url}/machines/{MACHINE}"
    create = curl(deployment.token, instances, f'{{"slug":"{instance}"}}')
    send = curl(
        deployment.token,
        f"{instances}/i/{instance}/events",
        '{"event":{"type":"coin","cents":100}}',
    )
    say(
        f"""
Statekeep is ready.

  URL           {info.url}
  Organization  {info.organization_id}
  Data          {info.data_dir.resolve()}
  Machine       {MACHINE}, from {SOURCE}
  Key           {deployment.key_id}, its secret in {deployment.key_file}
  Account       {account}
                (signs you in, once, within an hour)

Create an instance:

{create}

Send it an event, and again within 20 seconds with {{"event":"push"}}:

{send}

Stop with Ctrl-C.
"""
    )


def curl(token: str, url: str, body: str) -> str:
    """A line for a shell that posts JSON."""
    headers = (f"authorization: Bearer {token}", "content-type: application/json")
    return shlex.join(
        [
            "curl",
            "-sS",
            "-w",
            r"\n",
            url,
            *(part for header in headers for part in ("-H", header)),
            "-d",
            body,
        ]
    )
