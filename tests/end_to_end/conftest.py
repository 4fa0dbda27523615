from __future__ import annotations

from tests.support.server import running_server

__all__ = ["running_server"]
