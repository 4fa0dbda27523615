"""What to send a machine first, for somebody who sees it for the first time."""

from __future__ import annotations

from statekeep.domain.errors import StatekeepError
from statekeep.domain.names import MachineName
from statekeep.testing.hosts import Hosts


def first_event(machine: MachineName, code: bytes) -> str | None:
    """The type of an event that a new instance waits for. It takes as long as starting a process for the code.

    None where it waits for none, and where the code cannot be loaded without the network: it is a hint and no check.
    """
    hosts = Hosts()
    try:
        version = hosts.submit(hosts.version(machine, code)).result()
        return hosts.chart(version).first_event
    except StatekeepError:
        return None
    finally:
        hosts.close()
