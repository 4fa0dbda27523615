"""What an operator can choose, and what happens where the choice makes no sense."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cyclopts import CycloptsError
from hypothesis import given
from hypothesis import strategies as st

from statekeep.cli.main import app, explain
from statekeep.domain.rates import Rate
from statekeep.ports.mail import MailServer
from statekeep.settings import (
    Settings,
    format_rate,
    misspelled_variables,
    parse_origin,
    parse_rate,
)


@pytest.fixture
def parse(monkeypatch):
    """`parse("--port", "1", file=..., STATEKEEP_PORT=...)`: the settings of `serve`, or the error in words."""
    for field in fields(Settings):
        monkeypatch.delenv(f"STATEKEEP_{field.name.upper()}", raising=False)

    def parse(*arguments: str, **environment: str) -> Any:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        try:
            _, bound, _ = app.parse_args(
                ["serve", *arguments], exit_on_error=False, print_error=False
            )
        except CycloptsError as error:
            return explain(error)
        return bound.arguments.get("settings", Settings())

    return parse


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "keep.toml"
        path.write_text(text)
        return str(path)

    return write


def test_without_any_choice_there_are_defaults(parse):
    """Those that help and README tell."""
    settings = parse()
    assert settings == Settings()
    assert (settings.host, settings.port, settings.url) == (
        "127.0.0.1",
        8080,
        "http://127.0.0.1:8080",
    )
    assert settings.data_dir == Path(".statekeep")
    assert settings.settle_timeout == timedelta(seconds=90)
    assert not settings.allow_private_network


def test_the_nearer_source_wins(parse, write):
    """Defaults, file, environment, command line: each over the one before, option by option."""
    path = write("port = 1\nhosts_max = 1\nhost_heap_mib = 1\n")
    settings = parse(
        "--config", path, "--hosts-max", "3", STATEKEEP_HOSTS_MAX="2", STATEKEEP_HOST_HEAP_MIB="2"
    )
    assert (settings.port, settings.host_heap_mib, settings.hosts_max) == (1, 2, 3)
    assert settings.step_timeout == Settings().step_timeout


def test_the_environment_can_name_the_file(parse, write):
    """And the command line another one."""
    one = write("port = 1")
    assert parse(STATEKEEP_CONFIG=one).port == 1
    assert "Cannot read" in parse("--config", f"{one}.missing", STATEKEEP_CONFIG=one)


def test_every_option_can_come_from_each_source(parse, write):
    """None is forgotten anywhere."""
    values = {
        "host": "::1",
        "port": 9,
        "public_url": "https://keep.example.com",
        "allow_private_network": True,
        "allow_http_jwks": True,
        "data_dir": "/srv/keep",
        "settle_timeout": "5m",
        "step_timeout": "1500ms",
        "drain_timeout": "7",
        "delivery_retry_after": "1s",
        "message_hops_max": "7",
        "exchanged_token_valid_for": "1h",
        "journal_max_age": "30d",
        "journal_max_entries": "500",
        "hosts_max": 3,
        "host_heap_mib": 64,
        "resident_instances_max": 5,
        "connections_max": 100,
        "rate_limit": "50",
        "anonymous_rate_limit": "0.5+7",
        "anonymous_total_rate_limit": "off",
        "token_exchange_rate_limit": "0",
        "http_api_rate_limit": "7+8",
        "cors_origins": "https://a.example,http://localhost:3000",
        "log_level": "debug",
        "log_format": "json",
        "log_machine_output": True,
        "logs_kept_for": "1d",
        "logs_mib_max": 7,
        "metrics_token": "a-token-of-24-characters",
        "metrics_per_machine": True,
        "otlp_endpoint": "http://collector.example:4318",
        "owner_email": "ada@example.com",
        "smtp_url": "smtps://us%40er:secret@mail.example.com",
        "mail_from": "keep@example.com",
    }
    assert {field.name for field in fields(Settings)} - {"config", "crash_at"} == set(values)
    path = write("".join(f"{name} = {_toml(value)}\n" for name, value in values.items()))
    from_file = parse("--config", path)
    flags = [
        part
        for name, value in values.items()
        for part in ([f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)]))
    ]
    assert from_file == parse("--config", path, *flags)
    assert from_file == parse(
        "--config",
        write(""),
        **{f"STATEKEEP_{name.upper()}": str(value) for name, value in values.items()},
    )
    assert from_file.settle_timeout == timedelta(minutes=5)
    assert from_file.step_timeout == timedelta(seconds=1.5)
    assert from_file.drain_timeout == timedelta(seconds=7)
    assert from_file.rate_limit == Rate(50, 250)
    assert from_file.anonymous_rate_limit == Rate(0.5, 7)
    assert from_file.anonymous_total_rate_limit is None
    assert from_file.token_exchange_rate_limit is None
    assert from_file.cors_origins == ("https://a.example", "http://localhost:3000")


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("prot", '"port"'),
        ("settle-timout", '"settle_timeout"'),
        ("zzz", "settle_timeout"),
        ("config", "host"),
    ],
)
def test_a_key_that_means_nothing_is_an_error(parse, write, key, hint):
    """It names the file and the nearest key; a typo never passes for a setting."""
    path = write(f"{key} = 1")
    message = parse("--config", path)
    assert key in message
    assert path in message
    assert hint in message


@pytest.mark.parametrize("section", ["[server]\nport = 1", "[port]\nx = 1"])
def test_sections_mean_nothing(parse, write, section):
    """The file is flat, and the message says so."""
    message = parse("--config", write(section))
    assert "Unknown section" in message
    assert "port = 8080" in message


def test_a_file_that_is_no_toml_is_an_error(parse, write):
    """It names file and place."""
    path = write("port = \n")
    message = parse("--config", path)
    assert path in message
    assert "line 1" in message


@pytest.mark.parametrize(
    ("flag", "value", "expectation"),
    [
        ("--port", "x", "whole number"),
        ("--port", "80.5", "whole number"),
        ("--port", "65536", "65535"),
        ("--port", "-1", "0"),
        ("--hosts-max", "0", "from 1"),
        ("--settle-timeout", "5 minutes", "90s"),
        ("--settle-timeout", "0", "90s"),
        ("--settle-timeout", "-1s", "90s"),
        ("--settle-timeout", "9" * 400, "90s"),
        ("--public-url", "keep.example.com", "https://"),
        ("--public-url", "ftp://keep.example.com", "https://"),
        ("--public-url", "https://keep.example.com/?x=1", "https://"),
        ("--public-url", "http://[", "https://"),
        ("--log-level", "loud", "warning"),
        ("--log-format", "xml", "json"),
        ("--allow-private-network", "yes and no", "true or false"),
        ("--rate-limit", "fast", "20+100"),
        ("--rate-limit", "-1", "20+100"),
        ("--rate-limit", "1+0", "20+100"),
        ("--anonymous-total-rate-limit", "1/s", "off"),
        ("--cors-origins", "app.example.com", "https://app"),
        ("--cors-origins", "https://a.example/path", "https://app"),
        ("--cors-origins", "null", "https://app"),
        ("--cors-origins", "https://a.example:x", "https://app"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(parse, flag, value, expectation):
    """On the command line, and in the environment by the name of the variable."""
    assert expectation in parse(f"{flag}={value}")
    name = flag.strip("-").replace("-", "_")
    variable = f"STATEKEEP_{name.upper()}"
    assert variable in parse(**{variable: value})


WRONG = {
    "port": "x",
    "allow_http_jwks": "maybe",
    "settle_timeout": "soon",
    "hosts_max": "0",
    "journal_max_age": "never",
    "journal_max_entries": "0",
    "rate_limit": "fast",
    "cors_origins": "example",
    "public_url": "example",
    "log_level": "inof",
    "log_format": "xml",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_told_by_the_name_that_was_written(parse, write, name):
    """As it stands on the command line, in the environment or in the file, in one form of words for all options."""
    value, option = WRONG[name], f"--{name.replace('_', '-')}"
    variable = f"STATEKEEP_{name.upper()}"
    path = write(f'{name} = "{value}"')
    assert re.fullmatch(rf'{option}: expected [^]["]+, not "{value}"\.', parse(f"{option}={value}"))
    in_file = parse("--config", path)
    assert re.fullmatch(rf'{name} in {re.escape(path)}: expected [^]["]+, not "{value}"\.', in_file)
    in_environment = parse(**{variable: value})
    assert re.fullmatch(rf'{variable}: expected [^]["]+, not "{value}"\.', in_environment)


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_an_empty_variable_is_no_choice(parse, name):
    """`STATEKEEP_PORT=` is what remains of a variable that was not filled in: it must not pass for a value or for the default."""
    variable = f"STATEKEEP_{name.upper()}"
    assert (
        parse(**{variable: ""})
        == f"{variable} is empty: give it a value, or unset it for the default."
    )


@pytest.mark.parametrize("name", ["host", "data_dir", "config", "cors_origins", "log_level"])
def test_nothing_is_no_value(parse, write, name):
    """An empty host would listen on every address, an empty folder be the current one, no origins be all of them."""
    option = f"--{name.replace('_', '-')}"
    assert parse(f"{option}=").startswith(f"{option}: expected ")
    if name != "config":
        path = write(f'{name} = ""')
        assert parse("--config", path).startswith(f"{name} in {path}: expected ")


@pytest.mark.parametrize("value", ["[1, 2]", "[]", "[[1]]"])
@pytest.mark.parametrize("name", ["port", "rate_limit", "host"])
def test_a_list_is_refused_where_one_value_belongs(parse, write, name, value):
    """Rather than read its first value and forget the others."""
    path = write(f"{name} = {value}")
    assert parse("--config", path) == f"{name} in {path}: expected one value, not a list."


def test_an_empty_list_of_origins_is_refused(parse, write):
    """It would mean the default, which is every origin."""
    path = write("cors_origins = []")
    assert parse("--config", path).startswith(f"cors_origins in {path}: expected origins ")


@pytest.mark.parametrize(
    ("word", "is_on"),
    [("true", True), ("Yes", True), ("1", True), ("false", False), ("NO", False), ("0", False)],
)
def test_yes_and_no_have_many_names(parse, word, is_on):
    """Those that people write into environments."""
    assert parse(STATEKEEP_ALLOW_HTTP_JWKS=word).allow_http_jwks == is_on
    assert parse(f"--allow-http-jwks={word}").allow_http_jwks == is_on


def test_a_switch_needs_no_value(parse):
    """And can be undone where the environment has set it."""
    assert parse("--allow-http-jwks").allow_http_jwks
    settings = parse("--no-allow-http-jwks", STATEKEEP_ALLOW_HTTP_JWKS="true")
    assert not settings.allow_http_jwks


@pytest.mark.parametrize("name", ["port", "settle_timeout", "log_level", "public_url"])
def test_a_wrong_value_of_the_file_is_told_with_the_file(parse, write, name):
    """Where there are many files, the one that is wrong is named."""
    path = write(f'{name} = "?"')
    message = parse("--config", path)
    assert path in message
    assert name in message


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (Settings(host="0.0.0.0", port=1), "http://127.0.0.1:1"),
        (Settings(host="::", port=1), "http://[::1]:1"),
        (Settings(host="keep.local", port=1), "http://keep.local:1"),
        (Settings(public_url="https://keep.example.com/x"), "https://keep.example.com/x"),
    ],
)
def test_the_url_can_be_called(settings, url):
    """An address that stands for all of the machine's is none that a client can use."""
    assert settings.url == url


def test_a_public_url_ends_without_a_slash(parse):
    """So that a path can be put behind it."""
    assert parse("--public-url", "https://keep.example.com/").url == "https://keep.example.com"


@given(
    st.integers(min_value=1, max_value=10**12),
    st.integers(min_value=1, max_value=10**9),
)
def test_a_rate_is_read_as_it_is_written(millionths, burst):
    """What help shows as a default can be typed."""
    rate = Rate(millionths / 1_000_000, burst)
    assert parse_rate(format_rate(rate)) == rate
    assert parse_rate(format_rate(None)) is None


def test_a_burst_is_at_least_one_request():
    """Else nothing could ever pass."""
    assert parse_rate("0.01") == Rate(0.01, 1)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://App.Example.com/", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:443", "http://app.example.com:443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_origins_are_kept_as_browsers_send_them(written, sent):
    """They are compared as text."""
    assert parse_origin(written) == sent


def test_lists_may_be_lists_in_the_file(parse, write):
    """As TOML has them."""
    path = write('cors_origins = ["https://a.example", "*"]')
    assert parse("--config", path).cors_origins == ("https://a.example", "*")


def test_variables_that_set_nothing_are_found() -> None:
    """With the one that may have been meant; those that do not begin like ours are nobody's business."""
    environment = {"STATEKEEP_PROT": "1", "STATEKEEP_PORT": "2", "STATEKEEP_ZZZ": "3", "PORT": "4"}
    assert misspelled_variables(environment) == {
        "STATEKEEP_PROT": "STATEKEEP_PORT",
        "STATEKEEP_ZZZ": None,
    }


def test_variables_of_other_commands_are_known() -> None:
    """Whoever uses the command line on the server's machine has set them for it."""
    names = ("API_URL", "TOKEN", "ORG", "PROFILE", "URL", "DATA_DIR")
    assert misspelled_variables({f"STATEKEEP_{name}": "x" for name in names}) == {}


@pytest.mark.parametrize(
    "token", ["short", "has blanks in the middle", "x" * 15, "ümlautümlautümlaut"]
)
def test_a_metrics_token_is_fit_for_a_header_and_hard_to_guess(parse, token):
    """A wrong one is not repeated: it may be nearly the right one."""
    message = parse(STATEKEEP_METRICS_TOKEN=token)
    assert "STATEKEEP_METRICS_TOKEN: expected 16 characters or more" in message
    assert token not in message


def test_the_metrics_token_is_not_shown(parse):
    """Settings may be printed."""
    settings = parse(STATEKEEP_METRICS_TOKEN="a-token-of-24-characters")
    assert settings.metrics_token == "a-token-of-24-characters"
    assert "a-token-of-24" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtps://mail.example.com", MailServer("mail.example.com", 465, True, None, None)),
        ("smtp://mail.example.com", MailServer("mail.example.com", 587, False, None, None)),
        (
            "smtps://ada%40example.com:p%2Fw%3A@mail.example.com:2465/",
            MailServer("mail.example.com", 2465, True, "ada@example.com", "p/w:"),
        ),
    ],
)
def test_a_mail_server_is_a_url(parse, url, server):
    """Without a port it is the usual one."""
    assert parse("--smtp-url", url).mail_server == server


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://secret:secret@mail.example.com",
        "smtps://",
        "smtps://secret@mail.example.com",
        "smtps://:@/secret",
        "smtps://mail.example.com/secret",
        "smtps://mail.example.com?secret",
        "smtps://a:secret@mail.example.com:99999",
    ],
)
def test_what_is_no_mail_server_is_not_repeated(parse, url):
    """There may be a password in it."""
    message = parse("--smtp-url", url)
    assert "--smtp-url: expected a URL such as smtps://user:password@mail.example.com" in message
    assert "secret" not in message


def test_the_password_of_the_mail_server_is_not_shown(parse):
    """Settings are printed into logs."""
    settings = parse("--smtp-url", "smtps://ada:secret@mail.example.com")
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("arguments", "sender"),
    [
        ((), "statekeep@127.0.0.1"),
        (("--public-url", "https://keep.example.com/x"), "statekeep@keep.example.com"),
        (("--mail-from", "Keep@Example.com"), "keep@example.com"),
    ],
)
def test_mail_has_a_sender(parse, arguments, sender):
    """The one that was chosen, or one that goes with the server's URL."""
    assert parse(*arguments).mail_sender == sender


@pytest.mark.parametrize("option", ["--owner-email", "--mail-from"])
def test_addresses_are_addresses(parse, option):
    """Said by the name of the option."""
    assert f'{option}: expected an e-mail address such as ada@example.com, not "ada"' in parse(
        option, "ada"
    )
