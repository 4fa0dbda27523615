"""What the pages do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from starlette.requests import Request

from statekeep.api.http.body import read_body
from statekeep.api.http.endpoint import Responder
from statekeep.api.http.errors import ErrorAnswers
from statekeep.api.http.forms import read_form
from statekeep.api.http.reply import Reply
from statekeep.api.http.services import Services
from statekeep.api.http.site import browser, pages
from statekeep.application.links import (
    ACCOUNT_PATH,
    DEVICE_PATH,
    INVITATION_PATH,
    SIGN_IN_PATH,
    USAGE_PATH,
    device_path,
    invitation_path,
    is_own_path,
    usage_path,
)
from statekeep.application.people import People
from statekeep.application.sessions import SignedIn
from statekeep.domain.errors import (
    AlreadyExists,
    ComeBackLater,
    InvalidParameter,
    StatekeepError,
)
from statekeep.domain.limits import FORM_BYTES_MAX
from statekeep.domain.names import OrganizationId, SessionId


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page."""

    services: Services
    request: Request
    base_url: str
    """Where the browser reaches this server, without a slash at the end."""
    who: SignedIn | None
    """Whose browser it is, where that is known."""
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def people(self) -> People:
        """The use cases."""
        return self.services.people

    @property
    def query(self) -> Mapping[str, str]:
        """Of the address."""
        return self.request.query_params

    @property
    def label(self) -> str:
        """What the browser calls itself."""
        return browser.label_of(self.request.headers)


class SignInFirst(Exception):
    """Whoever wants this page has to say who they are, and goes on at `next_path` then."""

    def __init__(self, next_path: str | None = None) -> None:
        super().__init__()
        self.next_path = next_path


Show = Callable[[Visit], Awaitable[Reply]]


class SitePage:
    """A page: find out whose browser it is, read the form, show. What goes wrong is shown as a page, too."""

    def __init__(
        self, show: Show, services: Services, errors: ErrorAnswers, public_url: str | None
    ) -> None:
        self._show = show
        self._services = services
        self._errors = errors
        self._public_url = public_url

    async def __call__(self, request: Request) -> Reply:
        try:
            return await self._show(await self._visit(request))
        except SignInFirst as first:
            return browser.redirect(sign_in_address(first.next_path))
        except StatekeepError as error:
            reply = pages.failure(self._errors.status_of(error), error.message)
            if isinstance(error, ComeBackLater):
                reply.headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
            return reply

    async def _visit(self, request: Request) -> Visit:
        base_url = self._public_url or str(request.base_url).rstrip("/")
        form: Mapping[str, str] = {}
        if request.method == "POST":
            browser.require_own_page(request.headers, base_url)
            form = await _form_of(request)
        who = await browser.who_sent(request, self._services.people.sessions, base_url)
        return Visit(self._services, request, base_url, who, form)


async def _form_of(request: Request) -> dict[str, str]:
    headers = dict(request.scope["headers"])
    body = await read_body(headers, request.receive, bytes_max=FORM_BYTES_MAX)
    try:
        return read_form(body)
    except ValueError as error:
        raise InvalidParameter("the form cannot be read") from error


def sign_in_address(next_path: str | None) -> str:
    """The page to sign in on, and to go on from at `next_path`."""
    return SIGN_IN_PATH if next_path is None else f"{SIGN_IN_PATH}?next={quote(next_path, safe='')}"


def _required_user(visit: Visit, next_path: str | None = None) -> SignedIn:
    if visit.who is None:
        raise SignInFirst(_own(next_path))
    return visit.who


def _own(path: str | None) -> str | None:
    """The path, where we may send a browser there."""
    return path if path is not None and is_own_path(path) else None


async def show_sign_in(visit: Visit) -> Reply:
    """How to sign in; with a link's token, the button that does it."""
    token = visit.query.get("token")
    if token is not None:
        return pages.confirm_sign_in((await visit.people.sign_in.look(token)).email)
    next_path = _own(visit.query.get("next"))
    if visit.who is not None:
        return browser.redirect(next_path or ACCOUNT_PATH)
    sends_links = visit.people.sign_in.sends_links
    reply = pages.ask_for_link(sends_links=sends_links, next_path=next_path)
    if next_path is not None:
        browser.keep_next(reply, next_path, visit.base_url)
    return reply


async def sign_in(visit: Visit) -> Reply:
    """Use a link, or ask for one."""
    token = visit.query.get("token")
    if token is None:
        visit.people.sign_in.request_link(visit.form.get("email", ""), _own(visit.form.get("next")))
        return pages.link_is_mailed()
    offered = await visit.people.sign_in.look(token)
    begun = await visit.people.sign_in.sign_in(token, visit.label)
    await _leave(visit)
    kept = browser.next_in(visit.request, visit.base_url)
    reply = browser.signed_in(
        begun, offered.next_path or _own(kept) or ACCOUNT_PATH, visit.base_url
    )
    if kept is not None:
        browser.forget_next(reply, visit.base_url)
    return reply


async def sign_out(visit: Visit) -> Reply:
    """End the browser's session."""
    await _leave(visit)
    return browser.signed_out(SIGN_IN_PATH, visit.base_url)


async def _leave(visit: Visit) -> None:
    """End the session that the browser had until now, so that none goes on that nobody can see."""
    if visit.who is not None:
        await visit.people.sessions.end_current(await visit.people.sessions.caller(visit.who))


async def show_device(visit: Visit) -> Reply:
    """Ask for a code; with one, ask about the device."""
    user_code = visit.query.get("user_code")
    if user_code is None:
        _required_user(visit, DEVICE_PATH)
        return pages.ask_for_code()
    who = _required_user(visit, device_path(user_code))
    login = visit.people.device_logins.look(who.user.id, user_code)
    return pages.ask_about_device(login, who.user.email)


async def decide_device(visit: Visit) -> Reply:
    """Let a device in, or not."""
    who = _required_user(visit)
    is_allowed = visit.form.get("answer") == "allow"
    user_code = visit.form.get("user_code", "")
    visit.people.device_logins.decide(who.user, user_code, is_allowed=is_allowed)
    return pages.device_is_in() if is_allowed else pages.device_is_out()


async def show_invitation(visit: Visit) -> Reply:
    """Ask whether to accept."""
    code = visit.query.get("code", "")
    shown = await visit.people.invitations.look(code)
    me = None if visit.who is None else visit.who.user.email
    back = quote(invitation_path(code), safe="")
    return pages.ask_about_invitation(shown, me, back)


async def accept_invitation(visit: Visit) -> Reply:
    """Become a member; who is new here is signed in then."""
    code = visit.query.get("code", "")
    invitations = visit.people.invitations
    if visit.who is not None:
        await invitations.accept(await visit.people.sessions.caller(visit.who), code)
        return browser.redirect(ACCOUNT_PATH)
    if (await invitations.look(code)).needs_sign_in:
        raise SignInFirst(invitation_path(code))
    try:
        begun = await invitations.join(code, visit.label)
    except AlreadyExists as error:
        # Somebody with the address came in between.
        raise SignInFirst(invitation_path(code)) from error
    return browser.signed_in(begun, ACCOUNT_PATH, visit.base_url)


async def show_account(visit: Visit) -> Reply:
    """What somebody has here."""
    who = _required_user(visit)
    caller = await visit.people.sessions.caller(who)
    memberships = await visit.services.organizations.list(caller)
    sessions = await visit.people.sessions.list(caller, None)
    return pages.account(who.user.email, memberships, sessions.items, who.session.id)


async def end_session(visit: Visit) -> Reply:
    """End one of their sessions."""
    caller = await visit.people.sessions.caller(_required_user(visit))
    await visit.people.sessions.end(caller, SessionId(visit.form.get("session", "")))
    return browser.redirect(ACCOUNT_PATH)


async def show_usage(visit: Visit) -> Reply:
    """What an organization of theirs uses."""
    organization_id = OrganizationId(visit.query.get("org", ""))
    who = _required_user(visit, usage_path(organization_id))
    caller = await visit.people.sessions.caller(who, organization_id)
    counts = await visit.services.usages.of(caller)
    memberships = await visit.services.organizations.list(caller)
    (organization,) = (
        one.organization for one in memberships if one.organization.id == organization_id
    )
    return pages.usage(organization, counts)


_PAGES: Final[Mapping[tuple[str, str], Show]] = {
    (SIGN_IN_PATH, "GET"): show_sign_in,
    (SIGN_IN_PATH, "POST"): sign_in,
    (pages.SIGN_OUT_PATH, "POST"): sign_out,
    (DEVICE_PATH, "GET"): show_device,
    (DEVICE_PATH, "POST"): decide_device,
    (INVITATION_PATH, "GET"): show_invitation,
    (INVITATION_PATH, "POST"): accept_invitation,
    (ACCOUNT_PATH, "GET"): show_account,
    (pages.SESSIONS_PATH, "POST"): end_session,
    (USAGE_PATH, "GET"): show_usage,
}


def site(
    services: Services, errors: ErrorAnswers, public_url: str | None
) -> dict[tuple[str, str], Responder]:
    """All pages, by path and method."""
    return {place: SitePage(show, services, errors, public_url) for place, show in _PAGES.items()}
