from __future__ import annotations

import re
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from statekeep.domain import access, instance, names, token_exchange
from statekeep.domain.errors import InvalidParameter
from statekeep.wire import fields


def test_words_are_those_of_the_domain() -> None:
    """Wire knows nothing of the domain, so what both spell out has to be kept alike."""
    assert set(get_args(fields.Scope)) == access.SCOPES
    assert set(get_args(fields.SigningAlgorithm)) == token_exchange.SIGNING_ALGORITHMS
    assert set(get_args(fields.KeyUse)) == set(access.SCOPES_BY_USE)
    assert set(get_args(fields.Role)) == {role.value for role in access.Role}
    assert set(get_args(fields.InstanceStatus)) == {
        status.value for status in instance.InstanceStatus
    }


@given(st.from_regex(fields.MACHINE_NAME_PATTERN.replace("$", r"\Z")))
def test_every_name_that_is_described_is_taken_for_machines(name: str) -> None:
    """The description promises no more than the domain allows."""
    names.parse_machine_name(name)


@given(st.from_regex(fields.INSTANCE_NAME_PATTERN.replace("$", r"\Z")))
def test_every_name_that_is_described_is_taken_for_instances(name: str) -> None:
    """The description promises no more than the domain allows."""
    names.parse_instance_name(name)


@given(st.from_regex(fields.INSTANCE_NAME_PATTERN.replace("$", r"\Z")))
def test_every_name_that_is_described_is_taken_for_services(name: str) -> None:
    """Their pattern is that of instances."""
    names.parse_service_name(name)


@given(st.text(max_size=5))
def test_every_name_that_is_taken_is_described(name: str) -> None:
    """And no less."""
    for parse, pattern in (
        (names.parse_machine_name, fields.MACHINE_NAME_PATTERN),
        (names.parse_instance_name, fields.INSTANCE_NAME_PATTERN),
    ):
        try:
            parse(name)
        except InvalidParameter:
            continue
        assert re.search(pattern, name)
