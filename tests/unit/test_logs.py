"""Log lines, as the other end of stderr sees them."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from statekeep.logs import configure_logging

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
SECRET = "sbsec_abcDEF-123_456"


@pytest.fixture(autouse=True)
def restored_logging():
    """Logging belongs to the process: as it was, for the tests that follow."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def lines(capsys):
    """The lines of stderr since the last call; nothing ever goes to stdout."""

    def lines() -> list[str]:
        output = capsys.readouterr()
        assert output.out == ""
        return str(output.err).splitlines()

    return lines


def test_off_a_terminal_lines_are_json(lines):
    """Ours and those of libraries alike."""
    configure_logging("info", "auto")
    structlog.get_logger("ours").info("started", port=8080)
    logging.getLogger("theirs").warning("slow by %d ms", 7)
    ours, theirs = map(json.loads, lines())
    assert ours.pop("timestamp") < theirs.pop("timestamp")
    assert ours == {"event": "started", "port": 8080, "level": "info", "logger": "ours"}
    assert theirs == {"event": "slow by 7 ms", "level": "warning", "logger": "theirs"}


def test_for_people_lines_are_text(lines):
    """Without colours where there is no terminal."""
    configure_logging("info", "console")
    structlog.get_logger("ours").info("started", port=8080)
    (line,) = lines()
    assert "started" in line
    assert "port=8080" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("output", ["json", "console"])
def test_no_secret_gets_out(lines, output):
    """Not as a value, nor inside a message, a URL or a traceback, ours or a library's."""
    configure_logging("debug", output)
    log = structlog.get_logger("ours")
    log.info("asked", authorization=f"Bearer {TOKEN}", nested={"key": [SECRET]})
    logging.getLogger("theirs").info("GET /rt?token=%s&x=1", TOKEN)
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("failed")
        logging.getLogger("theirs").exception("failed")
    text = "\n".join(lines())
    assert TOKEN not in text
    assert "abcDEF" not in text
    assert text.count("[redacted]") >= 5
    assert "&x=1" in text
    assert "ValueError" in text


@pytest.mark.parametrize(
    "line",
    [
        "GET /rt?token=almost.right&x=1",
        "GET /rt?a=b&token=almost.right",
        "subject_token=almost.right&x=1",
        "authorization: Bearer almost.right.but-not-quite",
        "b'bearer almost.right.but-not-quite'",
    ],
)
def test_what_stands_where_a_token_should_is_none_of_anybodys_business(lines, line):
    """A token with a slip of the pen in it has no shape to know it by."""
    configure_logging("debug", "json")
    structlog.get_logger("ours").info(line)
    logging.getLogger("theirs").info(line)
    assert "almost" not in "".join(lines())


@pytest.mark.parametrize("name", ["uvicorn.error", "websockets.server"])
def test_libraries_do_not_tell_urls(lines, name):
    """At no level of ours: there are tokens in those of WebSockets."""
    configure_logging("debug", "json")
    logging.getLogger(name).info('"WebSocket /rt?token=x" [accepted]')
    logging.getLogger(name).debug("> GET /rt?token=x HTTP/1.1")
    assert lines() == []


def test_a_traceback_shows_no_variables(lines):
    """They hold what nobody thought of hiding."""
    configure_logging("info", "console")
    password = "hunter2" + "x"
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert password not in "\n".join(lines())


def test_lines_below_the_level_are_not_made(lines):
    """Whoever logs them."""
    configure_logging("warning", "json")
    structlog.get_logger("ours").info("started")
    logging.getLogger("theirs").info("started")
    assert lines() == []
    structlog.get_logger("ours").warning("slow")
    assert len(lines()) == 1


def test_the_last_configuration_counts(lines):
    """Each line comes once, in the newest shape, and other handlers of the process stay."""
    root = logging.getLogger()
    other = logging.NullHandler()
    root.addHandler(other)
    configure_logging("info", "console")
    configure_logging("info", "json")
    structlog.get_logger("ours").info("started")
    assert [json.loads(line)["event"] for line in lines()] == ["started"]
    assert other in root.handlers
