"""Links that the operator makes."""

from __future__ import annotations

import pytest

from statekeep.application.sign_in import SignInLinks
from statekeep.cli import main as cli
from statekeep.domain.names import OrganizationId
from statekeep.ports.credentials import Credentials
from statekeep.system import SystemClock, SystemEntropy
from statekeep.tokens.credentials import CredentialsFile
from statekeep.tokens.jwt import JwtTokens
from statekeep.tokens.server_key import load_server_key

URL = "https://keep.example.com"


@pytest.fixture
def data_dir(tmp_path):
    """The folder of a server that has been started before."""
    load_server_key(tmp_path, SystemEntropy())
    CredentialsFile(tmp_path).write(Credentials(URL, OrganizationId("org_a"), "token"))
    return tmp_path


@pytest.fixture
def run(capsys):
    """`run("a@b.c", data_dir)` -> (exit code, stdout, stderr)."""

    def run(data_dir, *arguments):
        code = cli.run(["sign-in-link", *arguments, "--data-dir", str(data_dir)])
        output = capsys.readouterr()
        return code, output.out.strip(), output.err

    return run


def email_in(link, data_dir):
    """Whom the server will take it for."""
    entropy = SystemEntropy()
    tokens = JwtTokens(load_server_key(data_dir, entropy), entropy, public_url=URL)
    return SignInLinks(tokens, SystemClock(), entropy).read(link.partition("?token=")[2]).email


def test_a_link_is_printed_alone(run, data_dir):
    """For the address that was named, on stdout, so that it can be piped."""
    code, link, err = run(data_dir, "Ada@Example.com")
    assert (code, err) == (0, "")
    assert link.startswith(f"{URL}/sign-in?token=")
    assert email_in(link, data_dir) == "ada@example.com"


def test_without_an_address_it_is_the_owners(run, data_dir):
    """Whatever that is."""
    _, link, _ = run(data_dir)
    assert email_in(link, data_dir) is None


def test_two_links_are_two(run, data_dir):
    """Each is good once."""
    assert run(data_dir)[1] != run(data_dir)[1]


def test_another_address_of_the_server_can_be_named(run, data_dir):
    """As browsers know it."""
    _, link, _ = run(data_dir, "--url", "https://other.example/")
    assert link.startswith("https://other.example/sign-in?token=")


def test_a_bad_address_is_told(run, data_dir):
    """And no link is made."""
    code, out, err = run(data_dir, "ada")
    assert (code, out) == (1, "")
    assert "an e-mail address has the form ada@example.com" in err


def test_a_folder_of_no_server_stays_as_it_is(run, tmp_path):
    """A key that is made there would sign links that no server takes."""
    code, out, err = run(tmp_path)
    assert (code, out) == (1, "")
    assert "--data-dir" in err
    assert list(tmp_path.iterdir()) == []


def test_a_broken_key_is_told(run, data_dir):
    """With what to do."""
    (data_dir / "server.key").write_bytes(b"x")
    code, _, err = run(data_dir)
    assert code == 1
    assert "restore it from a backup" in err
