"""What an operator can choose, read once at the start.

Of several sources the later one wins: the defaults here, a TOML file (`--config FILE` or STATEKEEP_CONFIG; none is looked for
otherwise), the environment (`STATEKEEP_` and the name in capitals), the command line. In the file the names are those of the
fields. Whatever is wrong with a value is told with its source and with what was expected; a key of the file that means nothing
is an error too.
"""

# No `from __future__ import annotations`: types of fields are read at run time, in the module of whoever derives from Settings.

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import field as with_options
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import unquote, urlsplit

from cyclopts import App, ArgumentCollection, CycloptsError, Group, Parameter, Token
from cyclopts.config import Dict, Env

from statekeep.domain import limits
from statekeep.domain.durations import format_duration, parse_duration
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.names import EmailAddress, parse_email
from statekeep.domain.rates import Rate
from statekeep.ports.mail import MailServer

ENVIRONMENT_PREFIX: Final = "STATEKEEP_"

_RATE: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(?:\+(\d{1,12}))?", re.ASCII)
_WHOLE_NUMBER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_METRICS_TOKEN: Final = re.compile(rf"[\w.~+/=-]{{{limits.METRICS_TOKEN_LENGTH_MIN},}}", re.ASCII)
"""Those that a bearer token may have (RFC 6750, 2.1)."""
_ANY_ORIGIN: Final = "*"
_FOREVER: Final = "forever"
_ALL: Final = "all"
_STANDARD_PORTS: Final = {"http": 80, "https": 443}
_SOME_ORIGINS: Final = "origins such as https://app.example.com, or *"
# Those that Cyclopts itself takes in --switch=yes.
_YES: Final = frozenset({"true", "yes", "1", "t", "y"})
_NO: Final = frozenset({"false", "no", "0", "f", "n"})
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def parse_rate(text: str) -> Rate | None:
    """`20+100`: 20 a second and 100 at once; `20` alone has a burst of five seconds' worth. None is `off` or `0`.

    Raises ValueError for anything else.
    """
    if text == "off":
        return None
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    per_second, burst = float(match[1]), match[2]
    if not per_second:
        return None
    if burst is None:
        return Rate(per_second, max(1, math.ceil(per_second * limits.RATE_BURST_SECONDS)))
    if not int(burst):
        raise ValueError(text)
    return Rate(per_second, int(burst))


def format_rate(rate: Rate | None) -> str:
    """The text that `parse_rate` reads as the same."""
    if rate is None:
        return "off"
    per_second = f"{rate.per_second:.6f}".rstrip("0").rstrip(".")
    return f"{per_second}+{rate.burst}"


def parse_origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454, 6.2): in lower case, without a port that goes without saying. Raises ValueError."""
    url = urlsplit(text.lower())
    host, port = url.hostname, url.port
    is_origin = url.scheme in _STANDARD_PORTS and bool(host) and text.isascii() and "@" not in text
    if not is_origin or host is None or url.path.strip("/") or url.query or url.fragment:
        raise ValueError(text)
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}" + (
        "" if port in (None, _STANDARD_PORTS[url.scheme]) else f":{port}"
    )


def _read_text(_type: type, tokens: Sequence[Token]) -> str:
    if not tokens[0].value.strip():
        raise _expected("some text", tokens[0])
    return tokens[0].value


def _read_path(_type: type, tokens: Sequence[Token]) -> Path:
    if not tokens[0].value:
        raise _expected("a path", tokens[0])
    return Path(tokens[0].value)


def _read_bool(_type: type, tokens: Sequence[Token]) -> bool:
    word = tokens[0].value.lower()
    if word not in _YES | _NO:
        raise _expected("true or false", tokens[0])
    return word in _YES


def _read_duration(_type: type, tokens: Sequence[Token]) -> timedelta:
    duration = parse_duration(tokens[0].value)
    if duration is None:
        raise _expected("a duration such as 90s, 5m, 500ms or a number of seconds", tokens[0])
    return duration


def _read_age(type_: type, tokens: Sequence[Token]) -> timedelta | None:
    if tokens[0].value == _FOREVER:
        return None
    try:
        return _read_duration(type_, tokens)
    except CycloptsError as error:
        raise _expected(f"a duration such as 30d or {_FOREVER}", tokens[0]) from error


def _read_amount(type_: type, tokens: Sequence[Token]) -> int | None:
    if tokens[0].value == _ALL:
        return None
    try:
        return _whole_number(1)(type_, tokens)
    except CycloptsError as error:
        raise _expected(f"a whole number from 1 up or {_ALL}", tokens[0]) from error


def _whole_number(least: int, most: int | None = None) -> Callable[[type, Sequence[Token]], int]:
    what = f"a whole number from {least} {'up' if most is None else f'to {most}'}"

    def read(_type: type, tokens: Sequence[Token]) -> int:
        text = tokens[0].value
        number = int(text) if _WHOLE_NUMBER.fullmatch(text) else None
        if number is None or number < least or (most is not None and number > most):
            raise _expected(what, tokens[0])
        return number

    return read


def _one_of(*choices: str) -> Callable[[type, Sequence[Token]], str]:
    def read(_type: type, tokens: Sequence[Token]) -> str:
        if tokens[0].value not in choices:
            raise _expected(" or ".join([", ".join(choices[:-1]), choices[-1]]), tokens[0])
        return tokens[0].value

    return read


def _read_url(_type: type, tokens: Sequence[Token]) -> str:
    try:
        url = urlsplit(tokens[0].value)
        is_usable = url.scheme in {"http", "https"} and bool(url.hostname)
    except ValueError:
        is_usable = False
    if not is_usable or url.query or url.fragment:
        raise _expected("a URL such as https://statekeep.example.com", tokens[0])
    return tokens[0].value.rstrip("/")


def _read_email(_type: type, tokens: Sequence[Token]) -> EmailAddress:
    try:
        return parse_email(tokens[0].value)
    except InvalidParameter as error:
        raise _expected("an e-mail address such as ada@example.com", tokens[0]) from error


def _read_smtp_url(_type: type, tokens: Sequence[Token]) -> str:
    try:
        _parse_mail_server(tokens[0].value)
    except ValueError as error:
        # Not with the value: there may be a password in it.
        raise CycloptsError(
            msg=f"{_place(tokens[0])}: expected a URL such as smtps://user:password@mail.example.com:465."
        ) from error
    return tokens[0].value


def _parse_mail_server(text: str) -> MailServer:
    """Raises ValueError where it is no URL of a mail server."""
    url = urlsplit(text)
    if url.scheme not in _SMTP_PORTS or not url.hostname or url.path not in {"", "/"}:
        raise ValueError("no URL of a mail server")
    if url.query or url.fragment or (url.username is None) != (url.password is None):
        raise ValueError("more, or less, than user, password, host and port")
    return MailServer(
        url.hostname,
        url.port or _SMTP_PORTS[url.scheme],
        url.scheme == "smtps",
        None if url.username is None else unquote(url.username),
        None if url.password is None else unquote(url.password),
    )


def _read_metrics_token(_type: type, tokens: Sequence[Token]) -> str:
    text = tokens[0].value
    if _METRICS_TOKEN.fullmatch(text) is None:
        # Not with the value: it is a secret, and nearly the right one.
        raise CycloptsError(
            msg=f"{_place(tokens[0])}: expected {limits.METRICS_TOKEN_LENGTH_MIN} characters or more, of letters, digits and -._~+/=."
        )
    return text


def _read_rate(_type: type, tokens: Sequence[Token]) -> Rate | None:
    try:
        return parse_rate(tokens[0].value)
    except ValueError as error:
        what = "a rate such as 20 (a second), 20+100 (and 100 at once) or off"
        raise _expected(what, tokens[0]) from error


def _read_origins(_type: type, tokens: Sequence[Token]) -> tuple[str, ...]:
    origins: list[str] = []
    for token in tokens:
        try:
            origins.extend(_parse_origins(token.value))
        except ValueError as error:
            raise _expected(_SOME_ORIGINS, token) from error
    return tuple(origins)


def _parse_origins(text: str) -> list[str]:
    origins = [
        part if part == _ANY_ORIGIN else parse_origin(part)
        for part in re.split(r"[\s,]+", text)
        if part
    ]
    if not origins:
        raise ValueError(text)
    return origins


def _expected(what: str, token: Token) -> CycloptsError:
    return CycloptsError(msg=f'{_place(token)}: expected {what}, not "{token.value}".')


def _place(token: Token) -> str:
    """Where it was written. A ValueError would be told with names that nobody wrote: [port] for a key of the file, env for a variable."""
    name = token.keyword or ""
    return f"{name[1:-1]} in {token.source}" if name.startswith("[") else name


_LISTENING: Final = Group("Where it listens", sort_key=1)
_DATA: Final = Group("Data and configuration", sort_key=2)
_MAIL: Final = Group("Mail", sort_key=8)
_SMTP_PORTS: Final = {"smtp": 587, "smtps": 465}
_TIME: Final = Group("Time", sort_key=3)
_CAPACITY: Final = Group("Capacity", sort_key=4)
_ABUSE: Final = Group("Against abuse", sort_key=5)
LOGS: Final = Group("Logs", sort_key=6)
_INSIGHT: Final = Group("Metrics and traces", sort_key=7)

_LogLevel = Literal["debug", "info", "warning", "error"]
_LogFormat = Literal["auto", "console", "json"]
_Duration = Annotated[
    timedelta,
    Parameter(converter=_read_duration, metavar="TIME", show_default=format_duration, group=_TIME),
]
_Count = Annotated[
    int,
    Parameter(converter=_whole_number(1), metavar="N", group=_CAPACITY),
]
_Rate = Annotated[
    Rate | None,
    Parameter(
        converter=_read_rate,
        metavar="RATE",
        show_default=format_rate,
        group=_ABUSE,
        accepts_keys=False,
        n_tokens=1,
    ),
]
Port = Annotated[
    int,
    Parameter(converter=_whole_number(0, 65_535), metavar="N", group=_LISTENING),
]
DataDir = Annotated[Path, Parameter(converter=_read_path, metavar="DIR", group=_DATA)]
ConfigFile = Annotated[Path | None, Parameter(metavar="FILE", group=_DATA)]
_Switch = Annotated[bool, Parameter(converter=_read_bool, group=_LISTENING)]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be chosen. A value of this type has passed its checks."""

    host: Annotated[str, Parameter(converter=_read_text, metavar="ADDRESS", group=_LISTENING)] = (
        "127.0.0.1"
    )
    """Address to listen on. 0.0.0.0 is every IPv4 address of this machine: put a proxy that speaks TLS in front of it."""

    port: Port = 8080
    """Port to listen on. 0 takes any free one."""

    public_url: Annotated[
        str | None, Parameter(converter=_read_url, metavar="URL", group=_LISTENING)
    ] = None
    """How clients reach the server, where that differs from http://HOST:PORT: the URL of the proxy in front of it. Upload URLs begin with it, and tokens may name it as their audience."""

    owner_email: Annotated[
        EmailAddress | None,
        Parameter(converter=_read_email, metavar="EMAIL", group=_DATA, n_tokens=1),
    ] = None
    """E-mail address of whom the first start makes admin of the first organization. May be changed later; admin@localhost until it is chosen."""

    smtp_url: Annotated[
        str | None, Parameter(converter=_read_smtp_url, metavar="URL", group=_MAIL)
    ] = with_options(default=None, repr=False)
    """Mail server for invitations and sign-in links: smtps://USER:PASSWORD@HOST, or smtp:// where TLS is begun (STARTTLS); to this very machine also without. Better set by the environment or the file. Without it invitations are links to pass on, and only the operator can make sign-in links."""

    mail_from: Annotated[
        EmailAddress | None,
        Parameter(converter=_read_email, metavar="EMAIL", group=_MAIL, n_tokens=1),
    ] = None
    """Sender of these mails. By default statekeep@ and the host of the public URL."""

    allow_private_network: _Switch = False
    """Let machine code reach loopback, link-local and private addresses. Only for code that you trust like the server itself."""

    allow_http_jwks: _Switch = False
    """Let identity providers publish their keys over plain HTTP. Whoever can change what is on the way can then sign in as anybody."""

    data_dir: DataDir = Path(".statekeep")
    """Folder of the database, of server.key, which no backup may miss, and of credentials.json, which opens everything. Made where it is missing; used by one server at a time."""

    config: ConfigFile = None
    """TOML file with any of these options, named as here with _ for -, such as settle_timeout = "90s"."""

    settle_timeout: _Duration = limits.SETTLE_TIMEOUT
    """How long an answer waits for the promises, callbacks and observables that an event started; then they are stopped."""

    step_timeout: _Duration = limits.STEP_TIMEOUT
    """How long machine code may compute without a pause. Its process is then killed and the event fails."""

    drain_timeout: _Duration = limits.DRAIN_TIMEOUT
    """How long a server that was told to stop still waits for what is under way."""

    delivery_retry_after: _Duration = limits.DELIVERY_RETRY_AFTER
    """How long after a failed delivery a timer is tried again."""

    message_hops_max: _Count = limits.MESSAGE_HOPS_MAX
    """How many messages between instances one event may lead to, one after the other. Those that follow are dead letters."""

    journal_max_age: Annotated[
        timedelta | None,
        Parameter(
            converter=_read_age,
            metavar="TIME",
            show_default=lambda age: _FOREVER if age is None else format_duration(age),
            group=_DATA,
            accepts_keys=False,
            n_tokens=1,
        ),
    ] = None
    """How long transitions of instances are kept, of machines for which nothing else was chosen. The newest one always is."""

    journal_max_entries: Annotated[
        int | None,
        Parameter(
            converter=_read_amount,
            metavar="N",
            show_default=lambda entries: _ALL if entries is None else str(entries),
            group=_DATA,
            n_tokens=1,
        ),
    ] = None
    """How many transitions of each instance are kept, of machines for which nothing else was chosen."""

    exchanged_token_valid_for: _Duration = limits.EXCHANGED_TOKEN_VALID_FOR
    """How long a token is good that was got by token exchange. Live connections keep the one that they were opened with."""

    hosts_max: _Count = limits.HOSTS_MAX
    """Processes that run machine code, at once. Each takes some 50 to 100 MB."""

    host_heap_mib: _Count = limits.HOST_HEAP_MIB_MAX
    """JavaScript heap of each of these processes, in MiB."""

    resident_instances_max: _Count = limits.RESIDENT_INSTANCES_MAX
    """Instances kept in memory with their newest state."""

    connections_max: _Count = limits.CONNECTIONS_MAX
    """Connections at once. Further ones are answered with 503 and closed. The system's own limit on open files has to allow them."""

    rate_limit: _Rate = None
    """Requests of an organization. A RATE such as 20+100 is 20 a second in the long run and 100 at once."""

    anonymous_rate_limit: _Rate = limits.ANONYMOUS_RATE
    """Requests of one anonymous session."""

    anonymous_total_rate_limit: _Rate = limits.ANONYMOUS_TOTAL_RATE
    """Requests of all anonymous callers of an organization together: they can make up any number of sessions."""

    token_exchange_rate_limit: _Rate = limits.TOKEN_EXCHANGE_RATE
    """Exchanges of tokens for an organization."""

    http_api_rate_limit: _Rate = limits.HTTP_API_RATE
    """Requests to the HTTP endpoints that the machines of an organization have."""

    cors_origins: Annotated[
        tuple[str, ...],
        Parameter(
            converter=_read_origins,
            metavar="ORIGINS",
            group=_ABUSE,
            n_tokens=1,
            negative_iterable=(),
            show_default=",".join,
        ),
    ] = (_ANY_ORIGIN,)
    """Origins whose pages may call the server from a browser, by commas: scheme, host and port. * is any."""

    log_level: Annotated[
        _LogLevel, Parameter(converter=_one_of(*get_args(_LogLevel)), group=LOGS)
    ] = "info"
    """The least that is worth a line."""

    log_format: Annotated[
        _LogFormat, Parameter(converter=_one_of(*get_args(_LogFormat)), group=LOGS)
    ] = "auto"
    """How a line looks on stderr: auto is for people on a terminal and JSON elsewhere."""

    log_machine_output: Annotated[bool, Parameter(group=LOGS)] = False
    """Write what machines print into the server's own log, too. GET /logs has it anyway."""

    logs_kept_for: Annotated[_Duration, Parameter(group=LOGS)] = limits.LOGS_KEPT_FOR
    """How long GET /logs has what machines printed. A machine can choose to keep it for a shorter time."""

    logs_mib_max: Annotated[_Count, Parameter(group=LOGS)] = limits.LOGS_MIB_MAX
    """What is kept of it for one organization, in MiB; the oldest goes first."""

    metrics_token: Annotated[
        str | None, Parameter(converter=_read_metrics_token, metavar="TOKEN", group=_INSIGHT)
    ] = with_options(default=None, repr=False)
    """Serve /metrics for Prometheus to whoever has this bearer token. Better set by the environment or the file than where everybody on the machine can read it. Without it there are no metrics."""

    metrics_per_machine: Annotated[bool, Parameter(converter=_read_bool, group=_INSIGHT)] = False
    """Count events by organization and machine too, for the first 1,000 machines."""

    otlp_endpoint: Annotated[
        str | None, Parameter(converter=_read_url, metavar="URL", group=_INSIGHT)
    ] = None
    """Send a trace of every event to this OpenTelemetry collector, with OTLP over HTTP, such as http://127.0.0.1:4318. Needs the packages of statekeep[otel]. OTEL_* variables say the rest: OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME."""

    crash_at: Annotated[str | None, Parameter(show=False)] = None
    """For tests: end the process at this named point, as if it had been killed there."""

    @property
    def mail_server(self) -> MailServer | None:
        """Who takes our mail, if anybody does."""
        return None if self.smtp_url is None else _parse_mail_server(self.smtp_url)

    @property
    def mail_sender(self) -> EmailAddress:
        """From whom our mail is."""
        if self.mail_from is not None:
            return self.mail_from
        return EmailAddress(f"statekeep@{urlsplit(self.url).hostname}")

    @property
    def url(self) -> str:
        """Where clients find the server, without a slash at the end."""
        if self.public_url is not None:
            return self.public_url
        # An address that means "all of mine" is none that can be called.
        host = _ANY_ADDRESS.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def read_settings_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """The file as a source for Cyclopts: fills in what neither command line nor environment said.

    Raises CycloptsError where it cannot be read or says something that is no setting.
    """
    chosen = arguments.get("--config", None)
    if chosen is None or not chosen.tokens:
        return
    path = _read_path(Path, chosen.tokens[-1:])
    values = _read_toml(path)
    for key, value in values.items():
        _require_known(key, value, path)
    asked_for = {name: value for name, value in values.items() if _is_asked_for(name, arguments)}
    Dict(asked_for, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def refuse_empty_variables(
    _app: App, _commands: tuple[str, ...], arguments: ArgumentCollection
) -> None:
    """Before the environment is read: raises CycloptsError for a variable that is set to nothing.

    It may stand for "the default", "none" or a name that nobody filled in, and Cyclopts takes it for each of these, by the option's type.
    """
    for field in fields(Settings):
        variable = ENVIRONMENT_PREFIX + field.name.upper()
        if _is_asked_for(field.name, arguments) and not os.environ.get(variable, "set").strip():
            raise CycloptsError(
                msg=f"{variable} is empty: give it a value, or unset it for the default."
            )


def _is_asked_for(name: str, arguments: ArgumentCollection) -> bool:
    """Does the command take this option?"""
    return arguments.get(f"--{name.replace('_', '-')}", None) is not None


SOURCES: Final = (
    refuse_empty_variables,
    Env(ENVIRONMENT_PREFIX, command=False),
    read_settings_file,
)
"""For `App(config=...)`: what is asked in this order for whatever the command line left open."""


_OF_OTHER_COMMANDS: Final = ("API_URL", "TOKEN", "ORG", "PROFILE", "URL")
"""Variables that say where the server is and who asks, for those commands that talk to one."""


def misspelled_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Variables that begin like ours and set nothing, each with the one that may have been meant."""
    known = [*(field.name.upper() for field in fields(Settings)), *_OF_OTHER_COMMANDS]
    ours = [name for name in environment if name.startswith(ENVIRONMENT_PREFIX)]
    unknown = [name for name in ours if name.removeprefix(ENVIRONMENT_PREFIX) not in known]
    return {name: _nearest(name.removeprefix(ENVIRONMENT_PREFIX), known) for name in unknown}


def _nearest(name: str, known: Sequence[str]) -> str | None:
    nearest = difflib.get_close_matches(name, known, n=1)
    return ENVIRONMENT_PREFIX + nearest[0] if nearest else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CycloptsError(msg=f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise CycloptsError(msg=f"{path} is not TOML: {error}.") from error


def _require_known(key: str, value: object, path: Path) -> None:
    known = [field.name for field in fields(Settings) if field.name not in {"config", "crash_at"}]
    name = key.replace("-", "_")
    if isinstance(value, dict):
        hint = "settings stand outside of sections, as in port = 8080."
        raise CycloptsError(msg=f"Unknown section [{key}] in {path}: {hint}")
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f' Did you mean "{nearest[0]}"?' if nearest else f" Known are {', '.join(known)}."
        raise CycloptsError(msg=f'Unknown setting "{key}" in {path}.{hint}')
    if isinstance(value, list):
        _require_list(name, value, path)


def _require_list(name: str, value: list[object], path: Path) -> None:
    """Only origins may be several, and none of them would be read as the default."""
    if name != "cors_origins":
        raise CycloptsError(msg=f"{name} in {path}: expected one value, not a list.")
    if not value or not all(isinstance(origin, str) for origin in value):
        raise CycloptsError(msg=f"{name} in {path}: expected {_SOME_ORIGINS}, not {value}.")
