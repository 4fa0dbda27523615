"""Names and what they may be made of (SPEC 1)."""

import pytest

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.names import parse_email, parse_instance_name, parse_machine_name


@pytest.mark.parametrize("name", ["a", "A-_9", "x" * 128])
def test_machine_names(name):
    """Letters, digits, underscore and hyphen, up to 128."""
    assert parse_machine_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 129, "a.b", "a b", "a/b", "é", "a\n", "٣"])
def test_bad_machine_names(name):
    """Anything else is refused, and the parameter is named."""
    with pytest.raises(InvalidParameter) as caught:
        parse_machine_name(name, parameter="machine")
    assert caught.value.parameter == "machine"


@pytest.mark.parametrize("name", ["auth0|5f", "a@b.c", "a:b", "~", "a+b", "..."])
def test_instance_names(name):
    """People name instances after user ids."""
    assert parse_instance_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", 'a"b', "a\\b", "a%b", "x" * 129])
def test_bad_instance_names(name):
    """Paths, quotes and what JSON would have to escape are refused: frames to hosts rely on it."""
    with pytest.raises(InvalidParameter):
        parse_instance_name(name)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@example.com", "ada@example.com"),
        (" Ada.L+x@Example.COM\n", "ada.l+x@example.com"),
        ("admin@localhost", "admin@localhost"),
        ("o'neil!#$%&*/=?^_`{|}~-@a-b.c", "o'neil!#$%&*/=?^_`{|}~-@a-b.c"),
    ],
)
def test_email_addresses(text, address):
    """In small letters, without what stands around them."""
    assert parse_email(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "a@b@c.d",
        "a b@c.d",
        "ada@exa mple.com",
        "ada@example.com\r\nbcc: eve@example.com",
        "Ada <ada@example.com>",
        '"a"@b.c',
        "a,b@c.d",
        "zoë@example.com",
        "ada@bücher.example",
        "x" * 65 + "@example.com",
        "x@" + "y" * 253,
        "a\0@b.c",
        "a\x7f@b.c",
    ],
)
def test_bad_email_addresses(text):
    """What could be read as two, or end a line of a mail's head, is refused."""
    with pytest.raises(InvalidParameter) as caught:
        parse_email(text)
    assert caught.value.parameter == "email"
