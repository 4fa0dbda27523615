"""Pages for people, as somebody without scripts uses them."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from urllib.parse import quote

import pytest

from statekeep.application.sign_in import SignInLinks
from statekeep.domain import limits
from statekeep.domain.people import SessionKind
from tests.support.api import URL, running_api
from tests.support.visitor import Page, Visitor

PAGES = [
    "/sign-in",
    "/device",
    "/device?user_code=BBBB-BBBB",
    "/invitation?code=sbinv_x",
    "/account",
]


@pytest.fixture
async def mailing():
    """An API whose mail arrives."""
    async with running_api(has_mail=True) as api:
        yield api


def link(api, email="ada@example.com"):
    """The path of a sign-in link, as the operator makes it."""
    return f"/sign-in?token={SignInLinks(api.tokens, api.clock, api.entropy).make(email)}"


async def visitor(api, email="ada@example.com"):
    """Somebody who is signed in."""
    browser = Visitor(api.app)
    await browser.open(link(api, email))
    await browser.press("Sign in")
    return browser


async def labels(api, headers=None):
    listed = await api.expect(200, "GET", "/sessions", headers=headers)
    return [(one["kind"], one["label"]) for one in listed["sessions"]]


async def begin(api):
    form = {"client_id": "statekeep-cli", "device_name": "laptop"}
    return (await api.client.post("/device_authorization", data=form)).json()


async def token_of(api, begun):
    """What the device gets, or the error."""
    api.clock.advance(seconds=begun["interval"])
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": begun["device_code"],
    }
    answer = (await api.client.post("/tokens", data=form)).json()
    return answer.get("access_token"), answer.get("error")


async def invite(api, email="bob@example.com"):
    body = {"email": email, "role": "write"}
    return (await api.expect(200, "POST", "/org-members", body))["code"]


class TestSigningIn:
    async def test_a_link_signs_in(self, api):
        """After a button; the session is one of theirs, and is kept for two weeks."""
        browser = Visitor(api.app)
        page = await browser.open(link(api))
        assert "You are about to sign in as ada@example.com." in page.text
        assert len(await labels(api)) == 1
        page = await browser.press("Sign in")
        assert (page.status, page.path) == (200, "/account")
        assert "ada 0" in page.text
        assert (await labels(api))[0] == ("browser", "Lynx")
        (cookie,) = page.answer.history[0].headers.get_list("set-cookie")
        assert re.fullmatch(
            r"statekeep-session=[\w.-]+; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax", cookie
        )

    async def test_opening_a_link_does_nothing(self, api):
        """Programs that look through mail do so."""
        path = link(api)
        for _ in range(3):
            await Visitor(api.app).open(path)
        browser = Visitor(api.app)
        await browser.open(path)
        assert (await browser.press("Sign in")).path == "/account"

    async def test_a_link_is_good_once(self, api):
        """In one browser."""
        path = link(api)
        first, second = Visitor(api.app), Visitor(api.app)
        for browser in (first, second):
            await browser.open(path)
        await first.press("Sign in")
        page = await second.press("Sign in")
        assert (page.status, len(second.cookies)) == (409, 0)
        assert "This link was used before: ask for another." in page.text

    @pytest.mark.parametrize("change", ["late", "broken", "another purpose"])
    async def test_bad_links_lead_nowhere(self, api, change):
        """They say what to do."""
        path = link(api)
        if change == "late":
            api.clock.advance(seconds=limits.SIGN_IN_LINK_VALID_FOR.total_seconds())
        elif change == "broken":
            path = path[:-1]
        else:
            claims = {"id": "lnk_x", "email": "ada@example.com"}
            now = api.clock.now_s
            path = (
                f"/sign-in?token={api.tokens.sign('upload', claims, now=now, valid_for_seconds=60)}"
            )
        page = await Visitor(api.app).open(path)
        assert page.status == 400
        assert "This link is incomplete or has expired: ask for another." in page.text
        assert page.forms == []

    async def test_a_link_may_be_for_somebody_new(self, api):
        """The operator knows them."""
        browser = await visitor(api, "zoe@example.com")
        assert "You are a member of none." in browser.page.text
        zoe = await api.store.user_by_email("zoe@example.com")
        assert zoe.is_email_verified

    async def test_a_link_may_be_for_the_owner(self, api):
        """Whose address the operator need not know."""
        browser = await visitor(api, None)
        assert browser.page.text.startswith("ada@example.com")

    async def test_links_are_mailed_to_who_asks(self, mailing):
        """And lead to where they wanted to go."""
        begun = await begin(mailing)
        browser = Visitor(mailing.app)
        page = await browser.open(begun["verification_uri_complete"])
        assert page.path.startswith("/sign-in?next=")
        page = await browser.press("Mail me a link", email="Ada@example.com")
        assert "If there is an account with this address" in page.text
        await mailing.services.people.sign_in.close()
        await browser.open(mailing.mailbox.link("ada@example.com"))
        page = await browser.press("Sign in")
        assert page.path == f"/device?user_code={begun['user_code']}"

    @pytest.mark.parametrize("path", ["/device", "/device?user_code=BBBB-BBBB"])
    async def test_signing_in_by_a_link_of_the_operator_leads_on(self, api, path):
        """Which does not say where: the browser has kept it, and keeps it no longer."""
        browser = Visitor(api.app)
        await browser.open(path)
        for expected in (path, "/account"):
            await browser.open(link(api))
            page = await browser.press("Sign in")
            assert page.path == expected

    @pytest.mark.parametrize("kept", ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%"])
    async def test_what_a_browser_has_kept_leads_to_our_pages_only(self, api, kept):
        """Others may have put it there."""
        browser = Visitor(api.app)
        browser.cookies.set("statekeep-next", kept)
        await browser.open(link(api))
        assert (await browser.press("Sign in")).path == "/account"

    async def test_nobody_learns_who_has_an_account(self, mailing):
        """From the page: it is the same, whether there is one, the mailbox is full, or too many were sent."""
        pages = set()
        for email, is_full in (
            ("eve@example.com", False),
            ("ada@example.com", True),
            *[("ada@example.com", False)] * 8,
        ):
            mailing.mailbox.is_full = is_full
            browser = Visitor(mailing.app)
            await browser.open("/sign-in")
            page = await browser.press("Mail me a link", email=email)
            pages.add((page.status, page.answer.text))
            await mailing.services.people.sign_in.close()
        assert len(pages) == 1
        assert [mail.to for mail in mailing.mailbox.mails] == ["ada@example.com"] * 4

    async def test_without_mail_the_page_says_who_makes_links(self, api):
        """And sends none."""
        page = await Visitor(api.app).open("/sign-in")
        assert "statekeep sign-in-link" in page.text
        assert page.forms == []
        answer = await api.client.post(
            "/sign-in", data={"email": "ada@example.com"}, headers={"sec-fetch-site": "same-origin"}
        )
        assert answer.status_code == 409

    @pytest.mark.parametrize(
        "target",
        ["https://evil.example/", "//evil.example/", "/sign-out", "/device?user_code=x&y", "\\\\x"],
    )
    async def test_nobody_is_sent_elsewhere(self, mailing, target):
        """Only to pages of ours that people want to get to."""
        browser = Visitor(mailing.app)
        await browser._client.post(
            "/sign-in",
            data={"email": "ada@example.com", "next": target},
            headers={"sec-fetch-site": "same-origin"},
        )
        await mailing.services.people.sign_in.close()
        await browser.open(mailing.mailbox.link("ada@example.com"))
        assert (await browser.press("Sign in")).path == "/account"
        assert (await browser.open(f"/sign-in?next={quote(target)}")).path == "/account"

    async def test_signing_in_again_ends_the_session_of_before(self, api):
        """The browser forgets it, so nobody could end it."""
        browser = await visitor(api)
        await browser.open(link(api))
        await browser.press("Sign in")
        assert [kind for kind, _ in await labels(api)] == ["browser", "device"]

    async def test_signing_out_ends_the_session(self, api):
        """On the server and in the browser."""
        browser = await visitor(api)
        kept = dict(browser.cookies)
        page = await browser.press("Sign out")
        assert page.path == "/sign-in"
        assert len(browser.cookies) == 0
        browser.cookies.update(kept)
        assert (await browser.open("/account")).path == "/sign-in"
        assert [kind for kind, _ in await labels(api)] == ["device"]


class TestDevices:
    async def test_a_device_is_let_in(self, api):
        """Whoever decides sees what it calls itself, and the code."""
        begun = await begin(api)
        browser = await visitor(api)
        page = await browser.open(begun["verification_uri_complete"])
        assert "calls itself statekeep-cli on laptop wants to act as ada@example.com" in page.text
        assert begun["user_code"] in page.text
        assert await token_of(api, begun) == (None, "authorization_pending")
        page = await browser.press("Let it in")
        assert "The device is in." in page.text
        token, _ = await token_of(api, begun)
        await api.expect(200, "GET", "/machines", headers={"authorization": f"Bearer {token}"})

    async def test_a_code_can_be_typed(self, api):
        """On a page of its own, or on that of the account, as people type."""
        begun = await begin(api)
        browser = await visitor(api)
        for path in ("/device", "/account"):
            await browser.open(path)
            page = await browser.press("Go on", user_code=begun["user_code"].lower())
            assert begun["user_code"] in page.text

    async def test_a_device_is_turned_down(self, api):
        """Then nobody can let it in."""
        begun = await begin(api)
        browser = await visitor(api)
        await browser.open(begun["verification_uri_complete"])
        await browser.press("No")
        assert await token_of(api, begun) == (None, "access_denied")
        page = await browser.open(begun["verification_uri_complete"])
        assert page.status == 404

    async def test_a_form_without_an_answer_is_a_no(self, api):
        """Nothing is let in by accident."""
        begun = await begin(api)
        browser = await visitor(api)
        await browser._client.post(
            "/device",
            data={"user_code": begun["user_code"]},
            headers={"sec-fetch-site": "same-origin"},
        )
        assert await token_of(api, begun) == (None, "access_denied")

    async def test_a_code_of_no_device_is_told(self, api):
        """A few times."""
        browser = await visitor(api)
        for status in (*[404] * 10, 429):
            page = await browser.open("/device?user_code=BBBB-BBBB")
            assert page.status == status
        assert int(page.answer.headers["retry-after"]) > 0


class TestInvitations:
    async def test_who_is_new_joins_with_the_link(self, api):
        """And is signed in then."""
        code = await invite(api)
        browser = Visitor(api.app)
        page = await browser.open(f"/invitation?code={code}")
        assert "bob@example.com is invited to join the organization ada 0" in page.text
        page = await browser.press("Join")
        assert page.path == "/account"
        assert page.text.startswith("bob@example.com Organizations ada 0")
        page = await Visitor(api.app).open(f"/invitation?code={code}")
        assert page.status == 404

    async def test_who_is_known_signs_in_first(self, api):
        """And comes back."""
        await api.new_member("bob", organizations=0)
        code = await invite(api)
        browser = Visitor(api.app)
        page = await browser.open(f"/invitation?code={code}")
        assert page.forms == []
        page = await browser.follow("Sign in")
        assert page.path == f"/sign-in?next=%2Finvitation%3Fcode%3D{code}"
        await browser.open(link(api, "bob@example.com"))
        await browser.press("Sign in")
        await browser.open(f"/invitation?code={code}")
        assert "ada 0" in (await browser.press("Join")).text

    async def test_nobody_joins_an_account_by_force(self, api):
        """A form that is not on the page leads to where one signs in."""
        await api.new_member("bob", organizations=0)
        code = await invite(api)
        browser = Visitor(api.app)
        answer = await browser._client.post(
            f"/invitation?code={code}", headers={"sec-fetch-site": "same-origin"}
        )
        assert Page(answer).path.startswith("/sign-in?next=")
        assert "statekeep-session" not in browser.cookies

    async def test_who_is_somebody_else_signs_out_first(self, api):
        """They are told who they are."""
        code = await invite(api)
        browser = await visitor(api)
        page = await browser.open(f"/invitation?code={code}")
        assert "You are signed in as ada@example.com." in page.text
        await browser.press("Sign out")
        await browser.open(f"/invitation?code={code}")
        assert (await browser.press("Join")).path == "/account"


class TestAccount:
    async def test_sessions_are_shown_and_ended(self, api):
        """All but the one that looks."""
        phone = await api.services.people.sessions.begin(
            (await api.store.user_by_email("ada@example.com")).id, SessionKind.DEVICE, "a phone"
        )
        browser = await visitor(api)
        assert "a laptop" in browser.page.text
        # The newest first, and its own has no button.
        page = await browser.press("End")
        assert page.path == "/account"
        assert "a phone" not in page.text
        assert "a laptop" in page.text
        answer = await api.get("/me", {"authorization": f"Bearer {phone.token}"})
        assert answer.status_code == 401

    async def test_usage_is_shown_to_members(self, api):
        """By the address that `/billing` says."""
        await api.new_machine()
        await api.expect(200, "POST", "/machines/door", {"slug": "front"})
        url = (await api.expect(200, "GET", "/billing"))["url"]
        browser = await visitor(api)
        page = await browser.open(url)
        assert "Machines 1 Versions 1 Instances 1 Transitions that they have taken 1" in page.text
        await browser.open("/account")
        assert (await browser.follow("Usage")).url == url
        stranger = await visitor(api, "eve@example.com")
        assert (await stranger.open(url)).status == 403
        page = await Visitor(api.app).open(url)
        assert page.path.startswith("/sign-in?next=%2Faccount%2Fusage")

    @pytest.mark.parametrize("path", ["/account", "/device", "/account/usage?org=org_x"])
    async def test_strangers_sign_in_first(self, api, path):
        """Whatever they send along."""
        browser = Visitor(api.app)
        token = api.admin["authorization"].removeprefix("Bearer ")
        for value in (None, "x", token):
            if value is not None:
                browser.cookies.set("statekeep-session", value)
            assert (await browser.open(path)).path.startswith("/sign-in")

    async def test_a_session_ends_after_two_weeks(self, api):
        """And a few seconds, as all tokens do."""
        browser = await visitor(api)
        api.clock.advance(
            seconds=limits.BROWSER_SESSION_VALID_FOR.total_seconds()
            + limits.CLOCK_SKEW.total_seconds()
        )
        assert (await browser.open("/account")).path == "/sign-in"


class TestAgainstOtherPages:
    """What others can make a browser do."""

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site", "origin": URL},
            {"sec-fetch-site": "none"},
            {"origin": "https://evil.example"},
            {"origin": f"{URL}:8081"},
            {"origin": "null"},
            {"referer": f"{URL}/account"},
        ],
    )
    async def test_forms_of_other_pages_do_nothing(self, api, headers):
        """Though the browser sends the session along."""
        begun = await begin(api)
        browser = await visitor(api)
        before = await labels(api)
        for path, form in (
            ("/device", {"user_code": begun["user_code"], "answer": "allow"}),
            ("/sign-out", {}),
            (f"/invitation?code={await invite(api, 'ada@example.org')}", {}),
            (link(api, "eve@example.com"), {}),
            ("/account/sessions", {"session": (await api.get("/me")).json()["session"]["id"]}),
        ):
            answer = await browser._client.post(path, data=form, headers=headers)
            assert answer.status_code == 403
            assert "sent by a page of somebody else" in answer.text
            assert "set-cookie" not in answer.headers
        assert await labels(api) == before
        assert await token_of(api, begun) == (None, "authorization_pending")

    @pytest.mark.parametrize("public_url", [None, "https://keep.example.com"])
    async def test_browsers_without_fetch_metadata_say_where_they_are(self, public_url):
        """By the origin that the world knows; then cookies need TLS, and this very host."""
        async with running_api(public_url=public_url) as api:
            browser = Visitor(api.app, public_url or URL)
            await browser.open(link(api))
            headers = {"origin": public_url or URL}
            page = await browser.press("Sign in", headers=headers)
            assert page.path == "/account"
            (cookie,) = page.answer.history[0].headers.get_list("set-cookie")
            is_secure = public_url is not None
            assert cookie.startswith("__Host-" if is_secure else "statekeep-session=")
            assert cookie.endswith("; Secure") is is_secure

    async def test_pages_run_nothing_and_are_in_no_frame(self, api):
        """Nor are they kept by anybody, good or bad."""
        browsers = [Visitor(api.app), await visitor(api)]
        for browser in browsers:
            for path in (*PAGES, link(api)):
                answer = (await browser.open(path)).answer
                policy = dict(
                    part.strip().split(" ", 1)
                    for part in answer.headers["content-security-policy"].split(";")
                )
                (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
                digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
                assert policy == {
                    "default-src": "'none'",
                    "style-src": f"'sha256-{digest}'",
                    "form-action": "'self'",
                    "base-uri": "'none'",
                    "frame-ancestors": "'none'",
                }
                assert answer.headers["x-frame-options"] == "DENY"
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["referrer-policy"] == "same-origin"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert not re.search(r"<(script|img|link|iframe)|style=|\son\w+=", answer.text)

    async def test_pages_do_not_repeat_secrets(self, api):
        """Of the address that they were asked with."""
        for path in (link(api), f"/invitation?code={await invite(api)}"):
            secret = path.partition("=")[2]
            assert secret not in (await Visitor(api.app).open(path)).answer.text

    async def test_names_are_text(self, api):
        """Whatever organizations, devices and browsers call themselves."""
        name = "<b>&\"'</b>"
        await api.expect(200, "POST", "/orgs", {"name": name})
        browser = Visitor(api.app)
        browser._client.headers["user-agent"] = name
        await browser.open(link(api))
        page = await browser.press("Sign in")
        assert page.text.count(name) == 2
        form = {"client_id": name}
        begun = (await api.client.post("/device_authorization", data=form)).json()
        page = await browser.open(begun["verification_uri_complete"])
        assert name in page.text

    async def test_links_cannot_be_tried_without_end(self, api):
        """What is wrong counts, what is right does not; then everybody waits."""
        good = link(api)
        for _ in range(limits.WRONG_LINKS_RATE.burst):
            assert (await Visitor(api.app).open(good)).status == 200
        for number in range(limits.WRONG_LINKS_RATE.burst):
            path = "/sign-in?token=x" if number % 2 else "/invitation?code=x"
            assert (await api.client.get(path)).status_code in (400, 404)
        assert (await api.client.get(good)).status_code == 429
        api.clock.advance(seconds=1)
        assert (await api.client.get(good)).status_code == 200
