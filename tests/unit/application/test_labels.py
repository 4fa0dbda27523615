"""What people call things."""

from __future__ import annotations

import pytest

from statekeep.application.labels import parse_label
from statekeep.domain import limits
from statekeep.domain.errors import InvalidParameter


@pytest.mark.parametrize("text", ["x", "Zoë's laptop", "東京", "x" * limits.LABEL_LENGTH_MAX])
def test_a_label_is_what_people_write(text):
    """In any script; spaces around it are nobody's intention."""
    assert parse_label(f"  {text} ") == text


@pytest.mark.parametrize(
    "text", ["", " \t", "a\nb", "\x1b[31m", "x" * (limits.LABEL_LENGTH_MAX + 1)]
)
def test_other_text_is_refused(text):
    """By the name of the parameter."""
    with pytest.raises(InvalidParameter) as raised:
        parse_label(text, parameter="title")
    assert raised.value.parameter == "title"
