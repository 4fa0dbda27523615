"""What a developer may paste once the server runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from statekeep.cli.developing.files import MachineFile
from statekeep.cli.guide import curl
from statekeep.cli.output import say

if TYPE_CHECKING:
    from statekeep.bootstrap import ReadyInfo

_INSTANCE: Final = "first"
_ANY_EVENT: Final = "YOUR_EVENT"
"""Where none is known that the machine waits for."""
CLIENT: Final = "https://esm.sh/@statebacked/client@0.1.37"
"""The official client as browsers can import it."""


def welcome(
    info: ReadyInfo, files: Sequence[MachineFile], token: str, account: str, event: str | None
) -> None:
    """Where everything is, lines for a shell and a module for a browser. `token` is an end user's; of `event`, the type is sent."""
    machine = files[0].machine
    create = curl(token, f"{info.url}/machines/{machine}", f'{{"slug":"{_INSTANCE}"}}')
    send = curl(
        token,
        f"{info.url}/machines/{machine}/i/{_INSTANCE}/events",
        f'{{"event":{json.dumps(event or _ANY_EVENT)}}}',
    )
    machines = ", ".join(f"{file.machine} ({file.path})" for file in files)
    say(
        f"""
Statekeep follows your files.

  URL           {info.url}
  API           {info.url}/docs
  Organization  {info.organization_id}
  Data          {info.data_dir.resolve()}
  Machines      {machines}
  Account       {account}
                (signs you in, once, within an hour)

Create an instance, and send it an event:

{create}

{send}

Or follow it in a browser:

{_page(info.url, machine, token)}

Save a file to deploy it. Stop with Ctrl-C.
"""
    )


def _page(url: str, machine: str, token: str) -> str:
    return f"""<script type="module">
  import {{ StateBackedClient }} from "{CLIENT}";
  const client = new StateBackedClient({{ token: "{token}" }}, {{ apiHost: "{url}" }});
  await client.machineInstances.getOrCreate("{machine}", "{_INSTANCE}", {{}});
  client.machineInstances.subscribe("{machine}", "{_INSTANCE}", ({{ state }}) => console.log(state));
</script>"""
