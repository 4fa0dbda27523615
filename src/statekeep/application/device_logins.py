"""Device login (RFC 8628): a command line shows a code, a person who is signed in in a browser types it, and the command line gets a session.

Logins that are under way are kept in memory, bounded by number and time: strangers begin them, and must not be able to write to the disk. A restart ends them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from statekeep.application.ids import new_id
from statekeep.application.people_rates import PeopleRates
from statekeep.application.sessions import BegunSession, Sessions
from statekeep.domain import limits
from statekeep.domain.errors import (
    AccessDenied,
    AuthorizationPending,
    DeviceCodeExpired,
    InvalidExchange,
    NotFound,
    SlowDown,
)
from statekeep.domain.names import UserId
from statekeep.domain.people import SessionKind, User
from statekeep.ports.entropy import Entropy

_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no code is a word, and nothing that looks like a digit (RFC 8628, 6.1)."""
_CODE_LENGTH: Final = 8
_FAIR_BYTES: Final = 256 - 256 % len(_LETTERS)
"""Bytes from there on would make some letters likelier than others."""
_DEVICE_CODE_BYTES: Final = 32
_VALID_FOR_S: Final = limits.DEVICE_LOGIN_VALID_FOR.total_seconds()
_INTERVAL_S: Final = int(limits.DEVICE_POLL_INTERVAL.total_seconds())


class BegunDeviceLogin(NamedTuple):
    """What a device gets: a secret of its own, and a code to show."""

    device_code: str
    user_code: str
    expires_in_seconds: int
    interval_seconds: int


class ShownDeviceLogin(NamedTuple):
    """What a person gets to see of a login before they decide. `label` is what the device says of itself."""

    user_code: str
    label: str


class AdmittedDevice(NamedTuple):
    """Who has let a device in, and the device's session."""

    user: User
    begun: BegunSession


class _Decision(Enum):
    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"


@dataclass(slots=True)
class _Login:
    device_hash: bytes
    user_code: str
    label: str
    expires_at: float
    may_poll_at: float
    interval_s: int = _INTERVAL_S
    decision: _Decision = _Decision.PENDING
    user: User | None = None


class DeviceLogins:
    """`now` is in seconds and never goes back."""

    def __init__(
        self,
        sessions: Sessions,
        rates: PeopleRates,
        entropy: Entropy,
        now: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._rates = rates
        self._entropy = entropy
        self._now = now
        self._by_device: dict[bytes, _Login] = {}
        """In the order in which they began, and so in that in which they expire."""
        self._by_code: dict[str, _Login] = {}

    def begin(self, client: str, device: str | None) -> BegunDeviceLogin:
        """Begin a login of `client` on `device`. Raises InvalidExchange for names that cannot be shown, and TooManyRequests."""
        label = _label(client, device)
        self._rates.admit_device_login()
        self._make_room()
        device_code = new_id("dev", self._entropy, byte_count=_DEVICE_CODE_BYTES)
        now = self._now()
        login = _Login(
            _hash(device_code), self._new_code(), label, now + _VALID_FOR_S, now + _INTERVAL_S
        )
        self._by_device[login.device_hash] = self._by_code[login.user_code] = login
        shown = f"{login.user_code[:4]}-{login.user_code[4:]}"
        return BegunDeviceLogin(device_code, shown, int(_VALID_FOR_S), _INTERVAL_S)

    def look(self, user_id: UserId, user_code: str) -> ShownDeviceLogin:
        """The login with that code, as a person typed it, where nobody has decided yet. Raises NotFound, and TooManyRequests where they try too many."""
        login = self._undecided(user_id, user_code)
        return ShownDeviceLogin(f"{login.user_code[:4]}-{login.user_code[4:]}", login.label)

    def decide(self, user: User, user_code: str, *, is_allowed: bool) -> None:
        """Let the device in as this user, or not. Raises as `look` does."""
        login = self._undecided(user.id, user_code)
        login.decision = _Decision.ALLOWED if is_allowed else _Decision.DENIED
        login.user = user
        del self._by_code[login.user_code]

    async def poll(self, device_code: str) -> AdmittedDevice:
        """A session, once, when somebody has let the device in.

        Raises AuthorizationPending and SlowDown (RFC 8628, 3.5) where the device has to ask again, AccessDenied and DeviceCodeExpired where that is over.
        """
        login = self._by_device.get(_hash(device_code))
        now = self._now()
        if login is None or login.expires_at <= now:
            raise DeviceCodeExpired(
                "this login has expired, or the server was restarted: begin anew"
            )
        _require_patience(login, now)
        if login.decision is _Decision.PENDING:
            raise AuthorizationPending("nobody has typed the code yet")
        del self._by_device[login.device_hash]
        if login.decision is _Decision.DENIED:
            raise AccessDenied("the login was turned down")
        assert login.user is not None
        kind = SessionKind.DEVICE
        return AdmittedDevice(
            login.user, await self._sessions.begin(login.user.id, kind, login.label)
        )

    def _undecided(self, user_id: UserId, user_code: str) -> _Login:
        self._rates.admit_try(user_id)
        code = "".join(letter for letter in user_code.upper() if letter in _LETTERS)
        login = self._by_code.get(code)
        if login is None or login.expires_at <= self._now():
            raise NotFound(
                "there is no login with this code: look whether it is right, or begin anew"
            )
        self._rates.forgive_try(user_id)
        return login

    def _make_room(self) -> None:
        """Forget what has expired, and the oldest where there are too many."""
        now = self._now()
        while self._by_device:
            login = next(iter(self._by_device.values()))
            if login.expires_at > now and len(self._by_device) < limits.DEVICE_LOGINS_MAX:
                return
            del self._by_device[login.device_hash]
            self._by_code.pop(login.user_code, None)

    def _new_code(self) -> str:
        while True:
            code = ""
            while len(code) < _CODE_LENGTH:
                (byte,) = self._entropy.token_bytes(1)
                if byte < _FAIR_BYTES:
                    code += _LETTERS[byte % len(_LETTERS)]
            if code not in self._by_code:
                return code


def _require_patience(login: _Login, now: float) -> None:
    is_early = now < login.may_poll_at
    if is_early:
        login.interval_s += _INTERVAL_S
    login.may_poll_at = now + login.interval_s
    if is_early:
        raise SlowDown(f"ask every {login.interval_s} seconds")


def _label(client: str, device: str | None) -> str:
    names = [client] if device is None else [client, device]
    for name in names:
        if not 1 <= len(name) <= limits.DEVICE_NAME_LENGTH_MAX or not name.isprintable():
            raise InvalidExchange(
                f"client_id and device_name have 1 to {limits.DEVICE_NAME_LENGTH_MAX} printable characters"
            )
    return " on ".join(names)


def _hash(device_code: str) -> bytes:
    # Found by its hash, a code is compared in no way whose time tells anything about it.
    return sha256(device_code.encode()).digest()
