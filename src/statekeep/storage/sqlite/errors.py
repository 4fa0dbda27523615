"""What SQLite says, in the words of the port."""

from __future__ import annotations

import apsw

from statekeep.domain.errors import AlreadyExists, NotFound, Overloaded

_TAKEN = {apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY}
# A name that was looked up for a row and not found is a NULL there.
_GONE = {apsw.SQLITE_CONSTRAINT_FOREIGNKEY, apsw.SQLITE_CONSTRAINT_NOTNULL}


def in_words_of_port(error: Exception) -> Exception:
    """The error that a caller of the store gets for what a statement raised."""
    if isinstance(error, apsw.ConstraintError):
        reason = error.extendedresult  # type: ignore[attr-defined]  # documented, and not in the stubs
        if reason in _TAKEN:
            return AlreadyExists("there is one with this name or id")
        if reason in _GONE:
            return NotFound("what this belongs to is gone")
    if isinstance(error, apsw.FullError):
        return Overloaded("the server's disk is full", retry_after_seconds=30)
    if isinstance(error, apsw.BusyError):
        return Overloaded("another program is writing into the database")
    return error
