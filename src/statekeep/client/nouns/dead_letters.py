"""Dead letters: delayed events and messages that were given up."""

from __future__ import annotations

from typing import Final

from statekeep.client.models import DeadLetter, RetriedDeadLetters
from statekeep.client.noun import Noun, Shell, listing, operation
from statekeep.client.nouns.machines import MACHINE
from statekeep.client.pages import Listing
from statekeep.client.steps import Request, Steps, ask, tell

_LETTERS: Final = f"{MACHINE}/dead-letters"
_LETTER: Final = f"{_LETTERS}/{{letter}}"


class DeadLetters(Noun[Shell]):
    """Dead letters of machines."""

    @listing
    def list(
        self,
        machine_name: str,
        *,
        machine_instance_name: str | None = None,
        cursor: str | None = None,
    ) -> Listing[DeadLetter]:
        """Dead letters of a machine, or of one of its instances, the last to die first."""
        query = {"instance": machine_instance_name}
        request = Request("GET", _LETTERS, {"machine": machine_name}, query)
        return Listing(request, "deadLetters", DeadLetter, cursor)

    @operation
    def retry(self, machine_name: str, dead_letter_id: str) -> Steps[None]:
        """Deliver one now, with all its tries before it."""
        return tell(
            Request("POST", f"{_LETTER}/retry", {"machine": machine_name, "letter": dead_letter_id})
        )

    @operation
    def retry_all(
        self, machine_name: str, *, machine_instance_name: str | None = None
    ) -> Steps[int]:
        """Deliver all of a machine, or of one of its instances, and return how many. Those that die meanwhile again are left."""
        retried, cursor = 0, None
        while True:
            body = {"instance": machine_instance_name, "cursor": cursor}
            request = Request("POST", f"{_LETTERS}/retry", {"machine": machine_name}, body=body)
            answer = yield from ask(request, RetriedDeadLetters)
            retried, cursor = retried + answer.retried, answer.cursor
            if cursor is None:
                return retried

    @operation
    def discard(self, machine_name: str, dead_letter_id: str) -> Steps[None]:
        """Forget one."""
        return tell(Request("DELETE", _LETTER, {"machine": machine_name, "letter": dead_letter_id}))
