"""What author code prints, in the server's own log."""

from __future__ import annotations

from structlog.testing import capture_logs

from statekeep.author_output import AuthorLogs, AuthorOutput
from statekeep.domain.machine import Machine
from statekeep.domain.names import MachineName, OrganizationId
from tests.support.builders import NOW, NOW_MS, a_version


def test_each_log_has_each_piece_of_output():
    """With where it comes from; what went wrong is an error."""
    machine = Machine(1, OrganizationId("org_a"), MachineName("toggle"), (), NOW, None)
    version = a_version(machine)
    with capture_logs() as lines:
        logs = AuthorLogs(AuthorOutput(), AuthorOutput())
        logs.write(version, None, is_error=True, ts=NOW_MS, text="bad")
    assert (
        lines
        == [
            {
                "event": "bad",
                "log_level": "error",
                "organization": "org_a",
                "machine": "toggle",
                "version": version.id,
                "instance": None,
                "written_at": "2026-01-01T12:00:00.123+00:00",
            }
        ]
        * 2
    )
