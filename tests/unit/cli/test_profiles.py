"""Who is signed in where, in a folder that smply shares."""

from __future__ import annotations

import json
import stat

import pytest

from statekeep.cli.output import CommandFailed
from statekeep.cli.profiles import Profiles, Session

ADA = Session(
    access_token="ada's",
    api_url="https://states.example.com",
    email="ada@example.com",
    user_id="usr_1",
    ends_at=2_000_000_000.5,
)
BOB = Session(access_token="bob's", api_url="https://staging.example.com")


@pytest.fixture
def profiles(tmp_path) -> Profiles:
    return Profiles(tmp_path / ".smply")


def test_a_session_is_there_when_it_was_kept(profiles):
    """Each under its own name."""
    profiles.sign_in("default", ADA)
    profiles.sign_in("staging", BOB)
    assert profiles.session("default") == ADA
    assert profiles.session("staging") == BOB
    assert profiles.session("other") is None
    assert profiles.names() == ["default", "staging"]


def test_smply_finds_the_session_of_the_default_profile(profiles):
    """It wants these three, and asks a service that is gone for a new token once expires_at is over."""
    profiles.sign_in("default", ADA)
    credentials = json.loads((profiles.folder / "credentials").read_text())
    assert credentials["access_token"] == "ada's"
    assert credentials["refresh_token"]
    assert credentials["expires_at"] > 4_000_000_000


def test_a_session_of_smply_is_one(profiles):
    """Also where it was written by hand, with an end of line."""
    profiles.folder.mkdir()
    document = {"access_token": "a", "refresh_token": "x", "expires_at": 1}
    (profiles.folder / "credentials").write_text(json.dumps(document) + "\n")
    (profiles.folder / "default-org").write_text("org_1\n")
    assert profiles.session("default") == Session(access_token="a")
    assert profiles.organization("default") == "org_1"


def test_what_is_kept_is_for_its_owner_alone(profiles):
    """Files and folders, whatever the umask says."""
    profiles.sign_in("default", ADA)
    profiles.sign_in("staging", BOB)
    profiles.choose_organization("default", "org_1")
    profiles.use("staging")
    for path in [profiles.folder, *profiles.folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert not profiles.is_open_to_others("default")
    (profiles.folder / "credentials").chmod(0o640)
    assert profiles.is_open_to_others("default")


def test_one_profile_is_in_use(profiles):
    """The default one until another is chosen, and again when that is signed out."""
    assert profiles.in_use() == "default"
    profiles.sign_in("staging", BOB)
    profiles.use("staging")
    assert profiles.in_use() == "staging"
    profiles.sign_out("staging")
    assert profiles.in_use() == "default"
    assert profiles.names() == []


def test_a_profile_that_is_not_there_cannot_be_used(profiles):
    """And the message lists those that are."""
    profiles.sign_in("staging", BOB)
    with pytest.raises(CommandFailed, match=r'no profile "prod" \(there is staging\)'):
        profiles.use("prod")
    assert profiles.in_use() == "default"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "-a", ".a", "a" * 65, "é"])
def test_a_name_is_no_path(profiles, name):
    """Nothing is read or written elsewhere."""
    with pytest.raises(CommandFailed, match="is no name of a profile"):
        profiles.sign_in(name, BOB)
    assert not profiles.folder.exists()


def test_signing_in_forgets_what_was_chosen_before(profiles):
    """The organization may be none of the new person's."""
    profiles.sign_in("default", ADA)
    profiles.choose_organization("default", "org_1")
    assert profiles.organization("default") == "org_1"
    profiles.sign_in("default", BOB)
    assert profiles.organization("default") is None


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", "null", '{"access_token": 1}', '{"access_token": null}']
)
def test_what_is_no_session_is_told(profiles, text):
    """With the file, and what to do."""
    profiles.folder.mkdir()
    (profiles.folder / "credentials").write_text(text)
    with pytest.raises(CommandFailed, match="credentials holds no credentials: sign in again"):
        profiles.session("default")


def test_a_folder_that_cannot_be_written_is_told(profiles):
    """Here a file is in its place."""
    profiles.folder.write_text("")
    with pytest.raises(CommandFailed, match="cannot write"):
        profiles.sign_in("default", ADA)
