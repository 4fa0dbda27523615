"""About the server itself. `app.py` serves these: none of them needs a caller."""

from __future__ import annotations

from typing import Final

from statekeep.api.http.route import Route
from statekeep.domain.errors import Overloaded
from statekeep.wire import answers

ROUTES: Final = (
    Route(
        method="GET",
        path="/healthz",
        summary="Ask whether the server takes requests",
        tag="Server",
        description="503 while it starts and while it ends.",
        is_public=True,
        answer=answers.Health,
        errors=(Overloaded,),
    ),
)
