"""Which server a command talks to, and who asks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from statekeep.cli.connection import LOCAL_URL, Target, find_target, find_url
from statekeep.cli.globals import GlobalOptions
from statekeep.cli.output import CommandFailed
from statekeep.cli.profiles import Profiles, Session

PRODUCTION = "https://states.example.com"
STAGING = "https://staging.example.com"


@pytest.fixture
def profiles(tmp_path, monkeypatch) -> Profiles:
    """Of somebody who is signed in nowhere, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Profiles(tmp_path / ".smply")


@pytest.fixture
def signed_in(profiles: Profiles) -> Profiles:
    """Of somebody who is signed in at two servers."""
    profiles.sign_in("default", Session(access_token="produced", api_url=PRODUCTION))
    profiles.choose_organization("default", "org_1")
    profiles.sign_in("staging", Session(access_token="staged", api_url=STAGING))
    return profiles


@pytest.fixture
def data_dir(tmp_path):
    """The data folder of a server on this machine."""
    folder = tmp_path / ".statekeep"
    folder.mkdir()
    document = {"apiUrl": "http://127.0.0.1:1234", "orgId": "org_9", "token": "local"}
    (folder / "credentials.json").write_text(json.dumps(document))
    return folder


def target(profiles, **options) -> Target:
    return find_target(GlobalOptions(**options), profiles)


def test_the_profile_in_use_counts_where_nothing_is_said(signed_in):
    """With the organization that was chosen in it."""
    assert target(signed_in) == Target(
        url=PRODUCTION,
        token="produced",
        organization="org_1",
        has_default_organization=True,
        profile="default",
    )
    signed_in.use("staging")
    assert target(signed_in) == Target(url=STAGING, token="staged", profile="staging")
    assert target(signed_in, profile="default").token == "produced"


def test_an_organization_that_is_named_counts_more(signed_in):
    """For this command."""
    named = target(signed_in, org="org_2")
    assert (named.organization, named.has_default_organization) == ("org_2", False)


def test_a_token_that_is_named_counts_more(signed_in):
    """And is not about the organization that somebody else has chosen."""
    assert target(signed_in, access_token="t") == Target(url=PRODUCTION, token="t")
    assert target(signed_in, access_token="t", api_url=STAGING, org="org_2") == Target(
        url=STAGING, token="t", organization="org_2"
    )


def test_another_url_takes_the_profile_of_that_server(signed_in):
    """However the URL ends."""
    assert target(signed_in, api_url=STAGING + "/").token == "staged"


def test_no_server_sees_the_session_of_another(signed_in):
    """Not by mistake, and not by a name that was forgotten."""
    with pytest.raises(CommandFailed, match="nobody is signed in at https://evil"):
        target(signed_in, api_url="https://evil.example.com")
    with pytest.raises(CommandFailed, match='profile "staging" is of https://staging'):
        target(signed_in, api_url=PRODUCTION, profile="staging")


def test_a_session_written_for_smply_goes_where_it_is_sent(profiles):
    """It does not say which server it is of."""
    profiles.sign_in("default", Session(access_token="a"))
    assert target(profiles, api_url=PRODUCTION).token == "a"
    assert target(profiles).url == LOCAL_URL


def test_a_server_on_this_machine_needs_no_sign_in(profiles, data_dir):
    """Its folder says everything."""
    local = target(profiles, data_dir=data_dir)
    assert local == Target(
        url="http://127.0.0.1:1234",
        token="local",
        organization="org_9",
        credentials_file=data_dir / "credentials.json",
        is_near=True,
    )
    assert replace(target(profiles), credentials_file=local.credentials_file) == local
    assert target(profiles, org="org_2").organization == "org_2"


def test_a_folder_that_is_named_counts_more_than_a_profile(signed_in, data_dir):
    """One that happens to be there counts less."""
    assert target(signed_in).token == "produced"
    assert target(signed_in, data_dir=data_dir).token == "local"


def test_whoever_might_mean_the_server_of_the_folder_is_told_which_one_is_asked(
    signed_in, data_dir, capsys
):
    """Unless they have said which."""
    for said in ({"profile": "default"}, {"api_url": PRODUCTION}, {"data_dir": data_dir}):
        target(signed_in, **said)
    assert capsys.readouterr().err == ""
    target(signed_in)
    told = capsys.readouterr()
    assert f'{PRODUCTION} is asked, where profile "default" is signed in.' in told.err
    assert "--data-dir .statekeep" in told.err
    assert told.out == ""


def test_empty_variables_say_nothing(signed_in):
    """A secret that is missing in CI is an empty string."""
    assert target(signed_in, access_token="", api_url="", org="", profile="").token == "produced"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {},
            "nobody is signed in: sign in with statekeep login, set SMPLY_TOKEN, or name the folder of a server on this machine with --data-dir",
        ),
        ({"profile": "x"}, 'no profile "x"'),
        ({"access_token": "t", "api_url": "ftp://x"}, "is no URL"),
        ({"access_token": "t", "api_url": "http://["}, "is no URL"),
        ({"access_token": "t", "api_url": "localhost:8080"}, "is no URL"),
    ],
)
def test_what_is_missing_is_told(profiles, options, reason):
    """With what to do."""
    with pytest.raises(CommandFailed, match=reason):
        target(profiles, **options)


def test_a_session_that_others_may_read_is_warned_of(signed_in, capsys):
    """It is used nevertheless."""
    signed_in.credentials_file("default").chmod(0o644)
    assert target(signed_in).token == "produced"
    assert "can be read by others: chmod 600" in capsys.readouterr().err


def test_the_server_alone_needs_no_session(profiles, signed_in):
    """For signing in."""
    assert find_url(GlobalOptions(), signed_in) == PRODUCTION
    assert find_url(GlobalOptions(api_url=STAGING + "/"), signed_in) == STAGING
    signed_in.sign_out("default")
    assert find_url(GlobalOptions(), signed_in) == LOCAL_URL
