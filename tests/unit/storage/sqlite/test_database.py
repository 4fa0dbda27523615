"""What need not be read again."""

from statekeep.storage.sqlite.database import Database


def _unexpected(error):
    raise error


async def test_what_there_is_not_takes_no_place(tmp_path):
    """However many ask for it, what was found stays at hand."""
    database = Database(tmp_path, on_fatal=_unexpected, vfs=None)
    await database.open()
    try:
        assert database.keep("machine", lambda: "found") == "found"
        for number in range(2_000):
            assert database.keep(number, lambda: None) is None
        assert database.keep("machine", lambda: "read again") == "found"
    finally:
        await database.close()
