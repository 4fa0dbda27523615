"""What is wrong with a body, as its sender is told."""

from __future__ import annotations

import re

import pytest

from statekeep.wire import codecs, realtime, requests


@pytest.mark.parametrize(
    ("shape", "body", "message"),
    [
        (requests.CreateMachine, b"{}", "slug is missing"),
        (requests.CreateMachine, b'{"slg": "x"}', 'slug is missing: is "slg" meant to be it?'),
        (requests.CreateMachine, b'{"slug": 1}', "slug has to be a string, not a whole number"),
        (requests.CreateMachine, b'{"slug": null}', "slug has to be a string, not null"),
        (requests.CreateMachine, b"[]", "the body has to be an object, not a list"),
        (
            requests.CreateMachine,
            b'{"slug": "x", "indexes": ["a", 2]}',
            "indexes[1] has to be a string, not a whole number",
        ),
        (
            requests.CreateMachine,
            b'{"slug": "x", "indexes": true}',
            "indexes has to be a list, not true or false",
        ),
        (
            requests.CreateKey,
            b'{"name": "x", "use": "test"}',
            'use cannot be "test": it is one of ci, production',
        ),
        (
            requests.BeginBulkUpgrade,
            b'{"toMachineVersionId": "ver_2", "fromVersion": "ver_1"}',
            'fromVersion is not known here: is "fromMachineVersionId" meant?',
        ),
        (
            requests.BeginBulkUpgrade,
            b'{"toMachineVersionId": "ver_2", "query": {"index": "owner", "val": "ada"}}',
            'query.val is not known here: is "value" meant?',
        ),
        (
            requests.BeginBulkUpgrade,
            b'{"from": "ver_1"}',
            'from is not known here: is "fromMachineVersionId" meant?',
        ),
        (
            requests.PutRetention,
            b'{"journal": {"days": 3}}',
            "journal.days is not known here: there are maxAge, maxEntries",
        ),
    ],
)
def test_what_is_malformed_is_told_in_words_of_json(shape: type, body: bytes, message: str) -> None:
    """Not of Python, and with what to do."""
    with pytest.raises(codecs.Malformed) as caught:
        codecs.decoder_for(shape)(body)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("message", "complaint", "request_id"),
    [
        (
            b'{"type": "subscribe", "requestId": "1"}',
            'type cannot be "subscribe": it is one of subscribe-to-instance, unsubscribe-from-instance, ping',
            "1",
        ),
        (b'{"typ": "ping"}', 'type is missing: is "typ" meant to be it?', None),
        (
            b'{"type": "subscribe-to-instance", "requestId": "1", "machine": "x"}',
            'machineName is missing: is "machine" meant to be it?',
            "1",
        ),
        (b"[]", "the body has to be an object, not a list", None),
        (b"nonsense", "the message is not JSON: .*", None),
    ],
)
def test_so_are_messages_of_a_socket(
    message: bytes, complaint: str, request_id: str | None
) -> None:
    """With the request that they belong to, where it can be read."""
    with pytest.raises(realtime.UnreadableMessage) as caught:
        realtime.read_message(message)
    assert re.fullmatch(complaint.replace("?", r"\?"), caught.value.message)
    assert caught.value.request_id == request_id
