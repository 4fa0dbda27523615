from __future__ import annotations

from tests.support.builders import *  # noqa: F403
