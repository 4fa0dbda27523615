"""What has expired is removed."""

from __future__ import annotations

from statekeep.domain.names import VersionId
from statekeep.ports.store import Upload
from statekeep.workers.housekeeping import Housekeeping
from tests.support.builders import a_session, a_user
from tests.support.people import People

CODE = VersionId("ver_x")


async def test_everything_that_expires_is_swept():
    """At its end, and not before."""
    people = People()
    ada = a_user()
    session = a_session(ada)
    people.clock.time_ms = (session.expires_at.timestamp() - 1) * 1000
    await people.store.create_user(ada)
    await people.store.create_session(session)
    expiry = session.expires_at
    await people.store.save_upload(CODE, Upload(b"code", False), expires_at=expiry)
    housekeeping = Housekeeping(people.store, people.clock)
    await housekeeping.sweep()
    assert await people.store.session(session.id) == session
    assert await people.store.upload(CODE) is not None
    people.clock.advance(seconds=1.001)
    await housekeeping.sweep()
    assert await people.store.session(session.id) is None
    assert await people.store.upload(CODE) is None
