"""Names and what they may be made of (SPEC 1)."""

import pytest

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.names import parse_instance_name, parse_machine_name


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
