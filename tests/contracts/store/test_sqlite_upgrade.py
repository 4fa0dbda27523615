"""What older databases hold is found after they were brought up to date."""

from __future__ import annotations

from statekeep.domain.access import Role
from statekeep.domain.names import OrganizationId
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME, SCHEMA_STEPS, open_writer

BEFORE_DEAD_LETTERS = """
INSERT INTO organizations VALUES (1, 'org_a', 'a', 0, 0);
INSERT INTO machines VALUES (1, 'org_a', 'm', '[]', 0, NULL), (2, 'org_a', 'n', '[]', 0, NULL);
INSERT INTO instances (id, machine_id, name, version, created_at) VALUES (1, 1, 'one', 1, 0), (2, 2, 'two', 1, 0);
INSERT INTO timers (instance_id, seq, send_id, due_at, event, tries, is_dead, failure) VALUES
  (1, 0, 't', 9.0, x'7b7d', 5, 1, 'later'), (1, 1, 't', 3.0, x'7b7d', 5, 1, 'sooner'), (1, 2, 't', 4.0, x'7b7d', 1, 0, NULL),
  (2, 0, 't', 5.0, x'7b7d', 5, 1, 'elsewhere');
"""


async def test_letters_that_were_dead_before_are_listed(open_sqlite, tmp_path):
    """By their machine, those that were due last first; and living timers are not."""
    steps = [step for step in SCHEMA_STEPS if step.number < _step("dead_letters")]
    (tmp_path / "data").mkdir()
    connection = open_writer(tmp_path / "data" / DATABASE_FILE_NAME, steps=steps)
    connection.execute(BEFORE_DEAD_LETTERS).fetchall()
    connection.close()
    store = await open_sqlite()
    found = [
        [letter.timer.failure for letter in (await store.list_dead_letters(n, cursor=None)).items]
        for n in (1, 2)
    ]
    assert found == [["later", "sooner"], ["elsewhere"]]


async def test_the_admin_of_an_older_release_stays(open_sqlite, tmp_path):
    """With an address, and with the organizations."""
    steps = [step for step in SCHEMA_STEPS if step.number < _step("people")]
    (tmp_path / "data").mkdir()
    connection = open_writer(tmp_path / "data" / DATABASE_FILE_NAME, steps=steps)
    connection.execute("""
        INSERT INTO users VALUES (1, 'usr_a', 'admin', 1000000);
        INSERT INTO organizations VALUES (1, 'org_a', 'a', 2000000, 0), (2, 'org_b', 'b', 3000000, 0);
        INSERT INTO members VALUES ('usr_a', 'org_a', 'admin'), ('usr_a', 'org_b', 'read');
    """).fetchall()
    connection.close()
    store = await open_sqlite()
    admin = await store.first_user()
    assert (admin.id, admin.email, admin.is_email_verified) == ("usr_a", "admin@localhost", True)
    assert [membership.role for membership in await store.memberships(admin.id)] == [
        Role.ADMIN,
        Role.READ,
    ]
    (member,) = (await store.list_members(OrganizationId("org_b"), cursor=None)).items
    assert member.joined_at.timestamp() == 3


def _step(title: str) -> int:
    return next(step.number for step in SCHEMA_STEPS if step.title == title)
