"""Members, invitations and usage over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from statekeep.domain import limits
from statekeep.domain.people import SessionKind
from tests.support.api import URL, running_api
from tests.support.builders import a_user


@pytest.fixture
async def mailing():
    """An API whose mail arrives."""
    async with running_api(has_mail=True) as api:
        yield api


async def invite(api, email="bob@example.com", role="write", **options):
    return await api.expect(200, "POST", "/org-members", {"email": email, "role": role}, **options)


async def members(api, headers=None):
    """Address and role of each."""
    listed = await api.expect(200, "GET", "/org-members", headers=headers)
    return {member["email"]: member["role"] for member in listed["members"]}


async def join(api, name="bob", role="write"):
    """Headers of somebody who is a member of ada's organization, and of nothing else."""
    headers = await api.new_member(name, organizations=0)
    code = (await invite(api, f"{name}@example.com", role))["code"]
    await api.expect(200, "PUT", f"/{code}", headers=headers)
    return headers


async def id_of(api, headers):
    return (await api.expect(200, "GET", "/me", headers=headers))["id"]


async def test_who_is_invited_becomes_a_member(api):
    """With the role of the invitation, from the next request on."""
    bob = await api.new_member("bob", organizations=0)
    assert (await api.get("/machines", bob)).status_code == 403
    sent = await invite(api)
    assert sent["isMailed"] is False
    assert sent["invitation"].keys() == {"id", "email", "role", "createdAt", "expiresAt"}
    assert sent["url"] == f"{URL}/invitation?code={sent['code']}"
    answer = await api.expect(200, "PUT", f"/{sent['code']}", headers=bob)
    assert answer["role"] == "write"
    assert answer["organization"]["name"] == "ada 0"
    assert await api.expect(200, "GET", "/machines", headers=bob) == {"machines": []}
    assert await members(api, bob) == {"ada@example.com": "admin", "bob@example.com": "write"}


async def test_the_published_command_line_invites(api):
    """It sends text/plain, and reads nothing of the answer but whether it is good."""
    answer = await api.client.post(
        "/org-members",
        content=json.dumps({"email": "Bob@Example.com", "role": "read"}),
        headers={**api.admin, "content-type": "text/plain;charset=UTF-8"},
    )
    assert answer.is_success
    code = answer.json()["code"]
    bob = await api.new_member("bob", organizations=0)
    accepted = await api.client.put(f"/{code}", headers=bob)
    assert accepted.is_success


async def test_an_invitation_is_accepted_once(api):
    """Whoever comes later finds none."""
    bob = await api.new_member("bob", organizations=0)
    code = (await invite(api))["code"]
    await api.expect(200, "PUT", f"/{code}", headers=bob)
    assert (await api.expect(404, "PUT", f"/{code}", headers=bob))["code"] == "not-found"


async def test_an_invitation_is_for_one_address(api):
    """The answer to others is the same as to a made-up code."""
    eve = await api.new_member("eve")
    code = (await invite(api))["code"]
    refusals = [
        await api.expect(404, "PUT", f"/{one}", headers=eve) for one in (code, "sbinv_none")
    ]
    assert refusals[0] == refusals[1]
    bob = await api.new_member("bob", organizations=0)
    await api.expect(200, "PUT", f"/{code}", headers=bob)


async def test_an_invitation_expires(api):
    """After a week."""
    bob = await api.new_member("bob", organizations=0)
    code = (await invite(api))["code"]
    api.clock.advance(seconds=limits.INVITATION_VALID_FOR.total_seconds())
    await api.expect(404, "PUT", f"/{code}", headers=bob)


async def test_invitations_are_listed_and_withdrawn(api):
    """Without their codes. The newest for an address is the only one."""
    await invite(api, role="read")
    sent = await invite(api, role="admin")
    rival = await api.new_member("rival")
    listed = await api.expect(200, "GET", "/org-invitations")
    assert listed == {"invitations": [sent["invitation"]]}
    path = f"/org-invitations/{sent['invitation']['id']}"
    assert await api.expect(200, "GET", "/org-invitations", headers=rival) == {"invitations": []}
    await api.expect(404, "DELETE", path, headers=rival)
    await api.expect(204, "DELETE", path)
    await api.expect(404, "DELETE", path)
    bob = await api.new_member("bob", organizations=0)
    await api.expect(404, "PUT", f"/{sent['code']}", headers=bob)


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"email": "bob", "role": "read"}, "email"),
        ({"email": "bob@example.com\r\nbcc: x@y.z", "role": "read"}, "email"),
        ({"email": "bob@example.com", "role": "owner"}, "role"),
        ({"role": "read"}, "email"),
    ],
)
async def test_bad_invitations_are_refused(api, body, parameter):
    """And nobody is invited."""
    answer = await api.expect(400, "POST", "/org-members", body)
    assert answer["parameter"] == parameter
    assert await api.expect(200, "GET", "/org-invitations") == {"invitations": []}


async def test_a_member_is_not_invited_again(api):
    """They get another role instead."""
    await join(api)
    body = {"email": "bob@example.com", "role": "admin"}
    assert (await api.expect(409, "POST", "/org-members", body))["code"] == "already-exists"


async def test_roles_change_at_once(api):
    """Also for a token that was used a moment ago."""
    bob = await join(api, role="read")
    await api.expect(403, "POST", "/machines", {"slug": "door"}, headers=bob)
    path = f"/org-members/{await id_of(api, bob)}"
    await api.expect(204, "PUT", path, {"role": "write"})
    await api.expect(201, "POST", "/machines", {"slug": "door"}, headers=bob)
    await api.expect(204, "PUT", path, {"role": "read"})
    await api.expect(403, "POST", "/machines", {"slug": "gate"}, headers=bob)
    await api.expect(404, "PUT", "/org-members/usr_none", {"role": "read"})
    await api.expect(400, "PUT", path, {"role": "read", "rule": "x"})


async def test_a_removed_member_is_out_at_once(api):
    """Of this organization; they are still somebody."""
    bob = await join(api)
    await api.expect(200, "GET", "/machines", headers=bob)
    path = f"/org-members/{await id_of(api, bob)}"
    await api.expect(204, "DELETE", path)
    assert (await api.expect(403, "GET", "/machines", headers=bob))["code"] == "missing-org"
    await api.expect(200, "GET", "/me", headers=bob)
    await api.expect(404, "DELETE", path)
    await join(api, "zoe")


async def test_members_may_leave(api):
    """With any role, and nobody else may be sent away by them."""
    bob = await join(api, role="read")
    ada, me = [f"/org-members/{await id_of(api, who)}" for who in (api.admin, bob)]
    assert (await api.expect(403, "DELETE", ada, headers=bob))["code"] == "missing-scope"
    await api.expect(204, "DELETE", me, headers=bob)
    assert await members(api) == {"ada@example.com": "admin"}


async def test_the_last_admin_stays(api):
    """And stays admin, until there is another."""
    bob = await join(api)
    ada = f"/org-members/{await id_of(api, api.admin)}"
    assert (await api.expect(409, "DELETE", ada))["code"] == "invalid-state"
    assert (await api.expect(409, "PUT", ada, {"role": "read"}))["code"] == "invalid-state"
    await api.expect(204, "PUT", f"/org-members/{await id_of(api, bob)}", {"role": "admin"})
    await api.expect(204, "DELETE", ada)
    assert await members(api, bob) == {"bob@example.com": "admin"}


async def test_only_who_may_invites(api):
    """Members who write, and keys without the scope, do not; a key with it does."""
    body = {"email": "zoe@example.com", "role": "admin"}
    bob = await join(api)
    for headers in (bob, await api.new_key("org.read")):
        await api.expect(403, "POST", "/org-members", body, headers=headers)
        await api.expect(403, "GET", "/org-invitations", headers=headers)
    key = await api.new_key("org-members.write")
    await invite(api, "zoe@example.com", headers=key)


async def test_a_key_accepts_nothing(api):
    """It is nobody who could be a member."""
    key = await api.new_key("org-members.write")
    code = (await invite(api))["code"]
    assert (await api.expect(403, "PUT", f"/{code}", headers=key))["code"] == "missing-user"


async def test_codes_cannot_be_tried_without_end(api):
    """Ten, then one a minute. Others are not held up."""
    eve = await api.new_member("eve")
    statuses = {(await api.request("PUT", "/sbinv_x", headers=eve)).status_code for _ in range(10)}
    assert statuses == {404}
    answer = await api.request("PUT", "/sbinv_x", headers=eve)
    assert answer.status_code == 429
    api.clock.advance(seconds=int(answer.headers["retry-after"]))
    await api.expect(404, "PUT", "/sbinv_x", headers=eve)
    await join(api)


async def test_invitations_are_mailed_where_there_is_mail(mailing):
    """Then nobody but the invited person sees the code."""
    sent = await invite(mailing)
    assert sent.keys() == {"invitation", "isMailed"}
    assert sent["isMailed"] is True
    (mail,) = mailing.mailbox.mails
    assert (mail.to, mail.subject) == ("bob@example.com", "Invitation to ada 0")
    url = urlsplit(mailing.mailbox.link("bob@example.com"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{URL}/invitation"
    (code,) = parse_qs(url.query)["code"]
    assert f"statekeep invitations accept -i {code}\n" in mail.text
    bob = await mailing.new_member("bob", organizations=0)
    await mailing.expect(200, "PUT", f"/{code}", headers=bob)


async def test_links_in_mails_lead_to_us(mailing):
    """Whatever server the request says it is for."""
    await invite(mailing, headers={**mailing.admin, "host": "evil.example"})
    assert mailing.mailbox.link("bob@example.com").startswith(f"{URL}/")


async def test_without_its_mail_nobody_is_invited(mailing):
    """The inviter is told to try again."""
    mailing.mailbox.is_full = True
    body = {"email": "bob@example.com", "role": "read"}
    answer = await mailing.request("POST", "/org-members", body)
    assert (answer.status_code, answer.json()["code"]) == (503, "mail-unavailable")
    assert await mailing.expect(200, "GET", "/org-invitations") == {"invitations": []}


async def test_nobodys_mailbox_is_filled(mailing):
    """Five mails to one address at once, by whomever, and none of it is invited by the sixth."""
    for _ in range(5):
        await invite(mailing)
    body = {"email": "bob@example.com", "role": "read"}
    answer = await mailing.request("POST", "/org-members", body)
    assert answer.status_code == 429
    assert len(mailing.mailbox.mails) == 5
    assert await mailing.expect(200, "GET", "/org-invitations") == {"invitations": []}
    await invite(mailing, "zoe@example.com")


class TestJoining:
    """Accepting without being signed in, as the page does."""

    async def test_a_new_person_is_signed_in(self, api):
        """Their address counts as claimed: whoever invited them saw the code."""
        code = (await invite(api))["code"]
        begun = await api.services.people.invitations.join(code, "a browser")
        assert begun.session.kind is SessionKind.BROWSER
        bob = await api.store.user(begun.session.user_id)
        assert (bob.email, bob.is_email_verified) == ("bob@example.com", False)
        assert await members(api) == {"ada@example.com": "admin", "bob@example.com": "write"}

    async def test_a_code_that_was_shown_opens_no_account(self, api):
        """Else whoever invites somebody could sign in as them."""
        await api.new_member("bob")
        code = (await invite(api))["code"]
        invitations = api.services.people.invitations
        assert (await invitations.look(code)).needs_sign_in
        with pytest.raises(Exception, match="sign in first"):
            await invitations.join(code, "a browser")
        assert await members(api) == {"ada@example.com": "admin"}

    async def test_a_code_that_was_mailed_proves_the_address(self, mailing):
        """Of a new person, and of one who is known."""
        await mailing.new_member("bob")
        for email in ("bob@example.com", "zoe@example.com"):
            await invite(mailing, email)
            code = mailing.mailbox.link(email).partition("code=")[2]
            begun = await mailing.services.people.invitations.join(code, "a browser")
            user = await mailing.store.user(begun.session.user_id)
            assert (user.email, user.is_email_verified) == (email, True)

    async def test_who_claimed_an_address_is_out_when_its_owner_comes(self, mailing):
        """So nobody can wait in an account for the person it is named after."""
        people = mailing.services.people
        bob = replace(a_user("bob"), is_email_verified=False)
        await mailing.store.create_user(bob)
        claimed = await people.sessions.begin(bob.id, SessionKind.DEVICE, "of whoever was first")
        headers = {"authorization": f"Bearer {claimed.token}"}
        await mailing.expect(200, "GET", "/me", headers=headers)
        await invite(mailing)
        code = mailing.mailbox.link("bob@example.com").partition("code=")[2]
        await people.invitations.join(code, "a browser")
        assert (await mailing.get("/me", headers)).status_code == 401


async def test_usage_is_counted(api):
    """What is there now, and of this organization only."""
    nothing = {"machines": 0, "versions": 0, "instances": 0, "transitions": 0}
    assert await api.expect(200, "GET", "/usage") == nothing
    await api.new_machine()
    await api.new_version()
    await api.expect(201, "POST", "/machines", {"slug": "gate"})
    for name in ("one", "two"):
        await api.expect(200, "POST", "/machines/door", {"slug": name})
    await api.expect(200, "POST", "/machines/door/i/one/events", {"event": "add"})
    counts = {"machines": 2, "versions": 2, "instances": 2, "transitions": 3}
    assert await api.expect(200, "GET", "/usage") == counts
    assert await api.expect(200, "GET", "/usage", headers=await api.new_member("bob")) == nothing
    await api.expect(403, "GET", "/usage", headers=await api.new_key("state.read"))


async def test_billing_leads_to_the_usage_page(api):
    """That of the organization that is asked for."""
    (organization,) = (await api.expect(200, "GET", "/orgs"))["orgs"]
    assert await api.expect(200, "GET", "/billing") == {
        "url": f"{URL}/account/usage?org={organization['id']}"
    }
    await api.expect(403, "GET", "/billing", headers=await api.new_key("state.read"))
