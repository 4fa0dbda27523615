"""Everything that can be wrong, each with the code the world sees.

    StatekeepError
    ├── InvalidParameter          the caller's input; nothing changed
    ├── NoMigrationPath
    ├── Unauthenticated           no token, or a bad one
    ├── Forbidden
    │   ├── MissingScope
    │   ├── RejectedByMachineAuthorizer
    │   ├── MissingUser
    │   ├── MissingOrganization
    │   └── CrossOrigin           a page of somebody else's sent a form of ours
    ├── SpecifyOrganization
    ├── NotFound                  absent, or of another organization
    ├── HistoryGone               it happened, and is not kept any more
    ├── AlreadyExists
    ├── InvalidState              right request, wrong moment
    ├── TooLarge
    ├── IdempotencyMismatch
    ├── MachineError              the author's code threw, looped or died
    │   ├── UpgradeFailed         an instance cannot be carried over to another version
    │   └── HostTakenDown         ... its process died of it
    ├── HttpMappingFailed         an author's HTTP handler made nothing of a request
    ├── HttpMappingTimeout        ... or did not answer in time
    ├── InvalidCode               a version that cannot be published
    ├── ExchangeRefused           no token is given for this one
    │   ├── InvalidExchange
    │   ├── InvalidTarget
    │   ├── UnsupportedGrantType
    │   ├── AuthorizationPending  a device has to ask again
    │   │   └── SlowDown
    │   ├── AccessDenied
    │   └── DeviceCodeExpired
    └── ComeBackLater             nothing was done, and later it may be
        ├── TooManyRequests       this caller has to slow down
        └── Overloaded            the server cannot, whoever asks
            ├── NotStored         ... and the next time may be the same
            ├── MailUnavailable
            └── IssuerUnavailable

`api/http/errors.py` is the only place that turns these into statuses.
"""

from __future__ import annotations


class StatekeepError(Exception):
    """Root of all errors that are somebody's to handle. `message` is shown to the caller."""

    code: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidParameter(StatekeepError):
    """The caller's input is wrong. `parameter` names the offending one."""

    code = "invalid-parameter"

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class HttpMappingFailed(StatekeepError):
    """The author's handler threw or returned nonsense: nothing was created or sent.

    `message` is fit for strangers.
    """

    code = "http-handler-failed"


class HttpMappingTimeout(StatekeepError):
    """The author's handler or response mapper did not answer within its time. Of a handler: nothing was created or sent."""

    code = "http-handler-timeout"


class InvalidCode(InvalidParameter):
    """Uploaded code that cannot be published: `message` says why and the way out.

    `stack` holds the author's frames, where it threw; it is never part of an answer.
    """

    def __init__(
        self, message: str, *, parameter: str | None = None, stack: str | None = None
    ) -> None:
        super().__init__(message, parameter=parameter)
        self.stack = stack


class NoMigrationPath(StatekeepError):
    """No chain of migrations leads from the instance's version to the wanted one."""

    code = "no-migration-path"


class SpecifyOrganization(StatekeepError):
    """A member of several organizations did not say which one is meant."""

    code = "specify-org"


class Unauthenticated(StatekeepError):
    """No token, or one that proves nothing."""

    code = "unauthenticated"


class Forbidden(StatekeepError):
    """The caller is known and may not."""

    code = "forbidden"


class MissingScope(Forbidden):
    """The caller's key or role lacks the scope that the request needs."""

    code = "missing-scope"


class RejectedByMachineAuthorizer(Forbidden):
    """The author's `allowRead` or `allowWrite` did not answer true."""

    code = "rejected-by-machine-authorizer"


class MissingUser(Forbidden):
    """The request needs a member's session; a key is nobody."""

    code = "missing-user"


class MissingOrganization(Forbidden):
    """The caller belongs to no organization, or not to the one it named."""

    code = "missing-org"


class CrossOrigin(Forbidden):
    """A browser was made to send this by a page that is not ours."""

    code = "cross-origin"


class NotFound(StatekeepError):
    """There is no such thing, or it belongs to another organization."""

    code = "not-found"


class HistoryGone(StatekeepError):
    """Transitions that somebody wants to go on from are not kept any more."""

    code = "history-gone"

    @classmethod
    def before(cls, oldest_revision: int) -> HistoryGone:
        """Where this is the first that is kept. Tells from where one can go on."""
        return cls(
            f"transitions before revision {oldest_revision} are not kept any more: begin with the state as it is,"
            f" or with what is left, since {oldest_revision - 1}"
        )


class AlreadyExists(StatekeepError):
    """The name is taken."""

    code = "already-exists"


class InvalidState(StatekeepError):
    """Not now: the instance is paused, the machine still has instances, or there are as many as there may be."""

    code = "invalid-state"


class TooLarge(StatekeepError):
    """A bound was exceeded; nothing changed."""

    code = "too-large"


class IdempotencyMismatch(StatekeepError):
    """An `Idempotency-Key` was used before with another body."""

    code = "idempotency-key-reused"


class MachineError(StatekeepError):
    """The author's code threw, looped or took its process down: the event failed and nothing changed.

    `stack` holds the author's frames for the logs; it is never part of an answer.
    """

    code = "machine-error"

    def __init__(self, message: str, *, stack: str | None = None) -> None:
        super().__init__(message)
        self.stack = stack


class UpgradeFailed(MachineError):
    """An instance cannot be carried over to another version, and stays where it is.

    `reason` is "migration-error" where a migration threw or answered what it must not, and "no-such-state" where it led to what the new
    version does not have: `path`, where it is a single state.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "migration-error",
        stack: str | None = None,
        path: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(message, stack=stack)
        self.reason = reason
        self.path = path


class HostTakenDown(MachineError):
    """The author's code took its host process down, and again when nothing else could be to blame."""


class ExchangeRefused(StatekeepError):
    """No token is given for what was sent.

    The codes are those of RFC 6749, 5.2, RFC 8693, 2.2.2 and RFC 8628, 3.5.
    """

    code = "invalid_request"


class InvalidExchange(ExchangeRefused):
    """The request is incomplete, or its subject token is worth nothing here."""


class InvalidTarget(ExchangeRefused):
    """The audience is no service that gives tokens to this subject."""

    code = "invalid_target"


class UnsupportedGrantType(ExchangeRefused):
    """Something other than an exchange of tokens or a device login was asked for."""

    code = "unsupported_grant_type"


class AuthorizationPending(ExchangeRefused):
    """Nobody has decided about this device yet."""

    code = "authorization_pending"


class SlowDown(AuthorizationPending):
    """The device asks too often, and has to wait longer from now on."""

    code = "slow_down"


class AccessDenied(ExchangeRefused):
    """Somebody said no."""

    code = "access_denied"


class DeviceCodeExpired(ExchangeRefused):
    """The device has to begin anew."""

    code = "expired_token"


class ComeBackLater(StatekeepError):
    """Nothing was done, and the same request may go well in `retry_after_seconds`."""

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class TooManyRequests(ComeBackLater):
    """The caller's rate is used up.

    After `retry_after_seconds` there is room again.
    """

    code = "too-many-requests"


class Overloaded(ComeBackLater):
    """Load was shed, or the server is starting or ending.

    `retry_after_seconds` is a hint.
    """

    code = "overloaded"


class NotStored(Overloaded):
    """What was decided could not be written, and not for want of room: nothing changed, and nobody knows whether the next try goes better."""


class MailUnavailable(Overloaded):
    """No mail can be sent at the moment."""

    code = "mail-unavailable"


class IssuerUnavailable(Overloaded):
    """The keys of an identity provider cannot be had at the moment."""

    code = "temporarily_unavailable"
