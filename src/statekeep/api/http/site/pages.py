"""What the pages say. Each function is one page; who may see it is decided elsewhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from statekeep.api.http.reply import Headers, Reply
from statekeep.api.http.site.html import Html, element, join
from statekeep.application.device_logins import ShownDeviceLogin
from statekeep.application.invitations import ShownInvitation
from statekeep.application.links import (
    ACCOUNT_PATH,
    DEVICE_PATH,
    SIGN_IN_PATH,
    usage_path,
)
from statekeep.domain.machine import Membership, Organization, Usage
from statekeep.domain.names import EmailAddress, SessionId
from statekeep.domain.people import Session

SIGN_OUT_PATH: Final = "/sign-out"
SESSIONS_PATH: Final = "/account/sessions"

_STYLE: Final = (files(__package__) / "site.css").read_text("utf-8")
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final[Headers] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # One style sheet inside it, and forms that lead to us: nothing to run, nothing to fetch, and nobody's frame to be in.
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'".encode(),
    ),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # Links have secrets in them. To our own pages it is sent: without it browsers do not say of a form where it comes from.
    (b"referrer-policy", b"same-origin"),
]


def page(title: str, *content: str, status: int = 200) -> Reply:
    """A page with that heading."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} - Statekeep"),
        element("style", Html(_STYLE)),
    )
    body = element("body", element("main", element("h1", title), *content))
    document = f"<!doctype html>\n{element('html', head, body, lang='en')}\n".encode()
    length = (b"content-length", b"%d" % len(document))
    return Reply(status, [*_HEADERS, length], document)


def failure(status: int, message: str) -> Reply:
    """What went wrong."""
    return page("That did not work", _p(f"{message[:1].upper()}{message[1:]}."), status=status)


def ask_for_link(*, sends_links: bool, next_path: str | None) -> Reply:
    """How to sign in."""
    operator = join(
        "Whoever operates this server makes a link for you, on its machine:",
        element("br"),
        element("code", "statekeep sign-in-link you@example.com"),
    )
    if not sends_links:
        return page("Sign in", _p(operator), _p("The link is good once. Open it in this browser."))
    form = element(
        "form",
        _hidden("next", next_path) if next_path else "",
        element("label", "E-mail address", for_="email"),
        element(
            "input", type="email", name="email", id="email", required=True, autocomplete="email"
        ),
        " ",
        element("button", "Mail me a link"),
        method="post",
        action=SIGN_IN_PATH,
    )
    return page("Sign in", form)


def link_is_mailed() -> Reply:
    """The same whether there is somebody with that address or not."""
    return page(
        "Look into your mailbox",
        _p(
            "If there is an account with this address, a link is on its way there. It is good once."
        ),
        _p("Open it in this browser."),
    )


def confirm_sign_in(email: EmailAddress) -> Reply:
    """The button that uses a link up. The form goes to where the page came from, which has the link's token."""
    return page(
        "Sign in",
        _p(join("You are about to sign in as ", element("strong", email), ".")),
        element("form", element("button", "Sign in"), method="post"),
    )


def ask_for_code() -> Reply:
    """Where a device's code is typed."""
    return page("Let a device in", _code_form())


def ask_about_device(login: ShownDeviceLogin, email: EmailAddress) -> Reply:
    """Whether the device that shows this code may come in."""
    form = element(
        "form",
        _hidden("user_code", login.user_code),
        element("button", "Let it in", name="answer", value="allow"),
        " ",
        element("button", "No", name="answer", value="deny", class_="plain"),
        method="post",
        action=DEVICE_PATH,
    )
    return page(
        "Let a device in?",
        _p(
            join(
                "Something that calls itself ",
                element("strong", login.label),
                f" wants to act as {email}, with everything that you may do here. It shows this code:",
            )
        ),
        element("p", login.user_code, class_="code"),
        _p("Let it in only if you began this yourself, and see the same code there."),
        form,
    )


def device_is_in() -> Reply:
    """After a yes."""
    return page(
        "Done",
        _p("The device is in. You can close this page."),
        _p(join("To end that at any time, look at ", _account_link(), ".")),
    )


def device_is_out() -> Reply:
    """After a no."""
    return page("Turned down", _p("The device was not let in. You can close this page."))


def ask_about_invitation(shown: ShownInvitation, me: EmailAddress | None, link: str) -> Reply:
    """What is offered, and how it is accepted by whoever looks. `link` leads back here."""
    invitation = shown.invitation
    offer = _p(
        join(
            element("strong", invitation.email),
            " is invited to join the organization ",
            element("strong", shown.organization.name),
            f" with the role {invitation.role.value}.",
        )
    )
    title = "You are invited"
    if me is not None and me != invitation.email:
        return page(
            title,
            offer,
            _p(f"You are signed in as {me}. Sign out, and open this link again."),
            _sign_out_form(),
        )
    if me is None and shown.needs_sign_in:
        sign_in = element("a", "Sign in", href=f"{SIGN_IN_PATH}?next={link}")
        return page(title, offer, _p(join("You have an account here. ", sign_in, " to accept.")))
    return page(title, offer, element("form", element("button", "Join"), method="post"))


def account(
    email: EmailAddress,
    memberships: Sequence[Membership],
    sessions: Sequence[Session],
    current: SessionId,
) -> Reply:
    """Everything that somebody has here."""
    return page(
        email,
        element("h2", "Organizations"),
        _organizations(memberships),
        element("h2", "Let a device in"),
        _code_form(),
        element("h2", "Where you are signed in"),
        element("table", *(_session_row(session, current) for session in sessions)),
        _sign_out_form(),
    )


def usage(organization: Organization, counts: Usage) -> Reply:
    """What an organization uses."""
    rows = (
        ("Machines", counts.machines),
        ("Versions", counts.versions),
        ("Instances", counts.instances),
        ("Transitions that they have taken", counts.transitions),
    )
    return page(
        organization.name,
        element(
            "table",
            *(
                element("tr", element("th", what), element("td", f"{count:,}", class_="number"))
                for what, count in rows
            ),
        ),
        element("p", "There is nothing to pay: this server is your own.", class_="quiet"),
        _p(_account_link()),
    )


def _organizations(memberships: Sequence[Membership]) -> Html:
    if not memberships:
        return _p("You are a member of none. Somebody who is can invite you.")
    return element("table", *(_organization_row(membership) for membership in memberships))


def _organization_row(membership: Membership) -> Html:
    organization = membership.organization
    return element(
        "tr",
        element("td", organization.name, element("br"), element("code", organization.id)),
        element("td", membership.role.value),
        element("td", element("a", "Usage", href=usage_path(organization.id))),
    )


def _session_row(session: Session, current: SessionId) -> Html:
    button = element("button", "End", name="session", value=session.id, class_="plain")
    form = element("form", button, method="post", action=SESSIONS_PATH)
    since = f"{session.kind.value}, since {session.created_at:%Y-%m-%d %H:%M} UTC"
    return element(
        "tr",
        element("td", session.label, element("br"), element("span", since, class_="quiet")),
        element("td", "this one" if session.id == current else form),
    )


def _code_form() -> Html:
    code = element(
        "input",
        name="user_code",
        id="user_code",
        required=True,
        autocomplete="off",
        autocapitalize="characters",
        spellcheck="false",
        size="12",
        maxlength="20",
    )
    return element(
        "form",
        element("label", "The code that it shows", for_="user_code"),
        code,
        " ",
        element("button", "Go on"),
        action=DEVICE_PATH,
    )


def _sign_out_form() -> Html:
    button = element("button", "Sign out", class_="plain")
    return element("form", button, method="post", action=SIGN_OUT_PATH)


def _account_link() -> Html:
    return element("a", "your account", href=ACCOUNT_PATH)


def _hidden(name: str, value: str) -> Html:
    return element("input", type="hidden", name=name, value=value)


def _p(text: str) -> Html:
    return element("p", text)
