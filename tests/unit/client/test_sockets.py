"""Sockets, for those who open one."""

from __future__ import annotations

import subprocess
import sys


def test_who_opens_no_socket_does_not_wait_for_the_import():
    """It takes about as long as that of all the rest."""
    script = "import sys, statekeep.client; print('websockets' in sys.modules)"
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
