"""What hosts say of HTTP mapping is checked like everything else that they say."""

from __future__ import annotations

import msgspec
import pytest

from statekeep.domain.errors import HttpMappingFailed, MachineError, NotFound
from statekeep.domain.http_mapping import BodyKind, HttpRequest
from statekeep.domain.names import InstanceId
from statekeep.runtimes import http_protocol
from statekeep.runtimes.protocol import BadFrame, FailureFrame


def request(body: bytes, kind: BodyKind) -> HttpRequest:
    return HttpRequest("POST", {"x-a": 'é"'}, "a=1", body, kind)


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"", BodyKind.JSON, None),
        (b'{\n"a":1}', BodyKind.JSON, {"json": '{\n"a":1}'}),
        ("ü\n".encode(), BodyKind.TEXT, {"text": "ü\n"}),
        (b"\xff\n", BodyKind.BYTES, {"base64": "/wo="}),
    ],
)
def test_a_request_is_one_line(body: bytes, kind: BodyKind, expected: object) -> None:
    """Whatever is in it."""
    frame = http_protocol.handle('a"b\n', request(body, kind))
    assert b"\n" not in frame
    said = msgspec.json.decode(b"{%b}" % frame)
    assert (said["op"], said["slug"]) == ("handle", 'a"b\n')
    assert said["request"].get("body") == expected
    assert said["request"]["headers"] == {"x-a": 'é"'}


def test_a_state_is_asked_about_as_it_is() -> None:
    """Its snapshot is not looked into."""
    said = msgspec.json.decode(b"{%b}" % http_protocol.respond("s", InstanceId(7), b'{"value":1}'))
    assert (said["op"], said["i"], said["snapshot"]) == ("respond", 7, {"value": 1})


def test_a_handler_cannot_be_an_instance() -> None:
    """It speaks for whoever asked, and machines trust what the server says of instances."""
    json = b'{"name":"n","event":{"type":"go"},"auth":{"stateBackedSender":{},"sub":"ada"}}'
    assert http_protocol.meaning_of(msgspec.Raw(json)).auth == b'{"sub":"ada"}'


@pytest.mark.parametrize(
    "json",
    [
        b"5",
        b"{}",
        b'{"name":"n","event":"go","auth":{}}',
        b'{"name":"n","event":{},"auth":{}}',
        b'{"name":"n","event":{"type":5},"auth":{}}',
        b'{"name":"n","event":{"type":"go"},"auth":[]}',
        b'{"name":"n","event":{"type":"go"},"auth":{},"context":5}',
        b'{"name":5,"event":{"type":"go"},"auth":{}}',
    ],
)
def test_what_means_nothing(json: bytes) -> None:
    """Breaks the protocol."""
    with pytest.raises(BadFrame):
        http_protocol.meaning_of(msgspec.Raw(json))


@pytest.mark.parametrize(
    "json",
    [
        b"null",
        b'{"status":"200","headers":[]}',
        b'{"status":1e30,"headers":[]}',
        b'{"status":200,"headers":{}}',
        b'{"status":200,"headers":[["a"]]}',
        b'{"status":200,"headers":[["a",5]]}',
        b'{"status":200,"headers":[],"base64":"?"}',
    ],
)
def test_what_answers_nothing(json: bytes) -> None:
    """Does too."""
    with pytest.raises(BadFrame):
        http_protocol.answer_of(msgspec.Raw(json))


def test_failures() -> None:
    """Only an author's own words are for strangers."""
    refused = http_protocol.http_error_of(FailureFrame("http-refused", "go away"))
    assert isinstance(refused, HttpMappingFailed)
    assert refused.message == "go away"
    failed = http_protocol.http_error_of(FailureFrame("http-failed", "secret"))
    assert isinstance(failed, HttpMappingFailed)
    assert "secret" not in failed.message
    assert isinstance(http_protocol.http_error_of(FailureFrame("http-unknown", "")), NotFound)
    assert isinstance(http_protocol.http_error_of(FailureFrame("x", "y")), MachineError)
