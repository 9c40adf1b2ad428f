"""The keys of professional customers: what is read, and what is refused."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from config import private
from penstock.config import ConfigError, Settings, parse
from penstock.config.report import BadValue
from penstock.config.secret import MOST, private_bytes
from penstock.core.limits import parse_outcome
from penstock.wire.dkim.keys import Key

NETWORK = 'networks = ["192.0.2.0/28"]\n'
ACME = '[professional.acme]\nsecrets = ["file:/TAGS"]\n'
DKIM = '[[professional.acme.dkim]]\ndomain = "acme.example"\nselector = "s1"\n'


def read(text: str) -> Settings:
    """A file's settings; /TAGS and /KEY stand for files that are there."""
    return parse(text.replace("/TAGS", str(private.TAGS)).replace("/KEY", str(private.KEY)))


def problems(text: str) -> str:
    """What is wrong with a file."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


def test_a_customer_needs_little() -> None:
    settings = read(ACME + NETWORK)
    one = settings.professional["acme"]
    assert one.tag.header == "x-penstock-tag" and one.tag.networks == (ip_network("192.0.2.0/28"),)
    assert one.tag.secrets == (private.SECRET.encode(), b"a-secret-of-acme-2025")
    assert (one.profile, one.signers, one.pool) == ("professional", (), "")
    assert one.notice == (parse_outcome("complaints 0.005%/7d min 5"),)
    assert settings.warnings == (
        "listen.milter_smarthost: a listener and [professional] customers belong together",
    )
    assert private.SECRET not in repr(settings) + str(settings.without_secrets())


def test_a_secret_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TAG", "a-secret-of-2027")
    text = ACME.replace('"]\n', '", "env:ACME_TAG"]\n')
    assert len(read(text + NETWORK).professional["acme"].tag.secrets) == 3
    monkeypatch.delenv("ACME_TAG")
    assert 'professional.acme.secrets[1]: "env:ACME_TAG": the environment has no ACME_TAG' in problems(
        text + NETWORK
    )


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (ACME, "professional.acme: needs networks or logins: a tag holds only from there"),
        ("[professional.acme]\n" + NETWORK, 'professional.acme: "secrets" is missing'),
        ('[professional."a b"]\n' + NETWORK, "a customer's name is up to 64 letters"),
        (ACME + 'networks = ["192.0.2.1/28"]', "professional.acme.networks[0]: not a network such as"),
        (ACME + NETWORK + 'header = "Subject"', "must be the name of a header field of its own"),
        (ACME + NETWORK + 'header = "Content-Type"', "must be the name of a header field of its own"),
        (ACME + NETWORK + 'header = "x-penstock-pool"', "must be the name of a header field of its own"),
        (ACME + NETWORK + 'header = "X Y"', "must be the name of a header field of its own"),
        (ACME + NETWORK + 'profile = "profesional"', 'no such profile; did you mean "professional"?'),
        (ACME + NETWORK + 'pool = "a b"', "professional.acme.pool"),
        (ACME + NETWORK + 'feedback_id = "a\\nb"', "professional.acme.feedback_id"),
        (ACME + NETWORK + 'cfbl_address = ""', "professional.acme.cfbl_address"),
        (ACME + NETWORK + 'cfbl_address = "fbl"', "professional.acme.cfbl_address"),
        (ACME + NETWORK + 'cfbl_address = "<fbl@example.com>; report=arf"', "must be an address"),
        (ACME + NETWORK + 'cfbl_address = "fbl@example.com; report=pdf"', "must be an address"),
        (ACME + NETWORK + 'notice = ["complaints"]', "professional.acme.notice[0]"),
        (ACME + NETWORK + "notise = 1", 'unknown key; did you mean "notice"?'),
        (ACME.replace("file:", "") + NETWORK, "a secret does not stand in the policy file"),
        (ACME.replace("/TAGS", "/none") + NETWORK, "none: cannot be read: No such file or directory"),
        (ACME + NETWORK + DKIM, '"key" is missing'),
        (ACME + NETWORK + DKIM + 'key = "/TAGS"', "holds no private key in PEM form"),
        (ACME + NETWORK + DKIM + 'key = "x.pem"', "must be an absolute path"),
        (ACME + NETWORK + DKIM.replace("acme.example", "a b") + 'key = "/KEY"', "must be a domain"),
        (ACME + NETWORK + DKIM.replace("s1", "s_1.") + 'key = "/KEY"', "must be a selector"),
        (
            ACME + NETWORK + (DKIM + 'key = "/KEY"\n') * 2,
            "s1._domainkey.acme.example: stands here twice",
        ),
        (
            ACME + NETWORK + ACME.replace("acme]", "bolt]") + NETWORK,
            "one of them is a secret of acme as well",
        ),
    ],
)
def test_what_is_wrong(text: str, wrong: str) -> None:
    assert wrong in problems(text)


@pytest.mark.parametrize("written", ['"{}"', '[["{}"]]', '{{ a = "{}" }}', '["{}"]'])
def test_a_secret_in_the_wrong_place_is_not_shown(written: str) -> None:
    secret = "a-secret-of-acme-2026"
    told = problems("[professional.acme]\nsecrets = " + written.format(secret) + "\n" + NETWORK)
    assert "professional.acme.secrets" in told and secret not in told


def test_short_secrets_are_refused() -> None:
    private.write("short", b"password\n")
    private.write("spaced", b"a secret with a space\n")
    private.write("empty", b"# nothing\n\n")
    for name, wrong in (("short", "16 to 1024"), ("spaced", "no space"), ("empty", "holds no secret")):
        assert wrong in problems(ACME.replace("/TAGS", str(private.FOLDER / name)) + NETWORK)


def test_a_customer_without_a_secret_is_refused() -> None:
    assert "is empty" in problems("[professional.acme]\nsecrets = []\n" + NETWORK)


def test_a_weak_rsa_key_is_warned_about() -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    weak = private.write("weak.pem", Key(generate_private_key(65537, 1024)).pem())
    (warning, *_) = read(ACME + NETWORK + DKIM + f'key = "{weak}"\n').warnings
    assert "an RSA key of 1024 bits; 2048 are the rule" in warning


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o601])
def test_a_key_that_others_may_read_is_refused(mode: int) -> None:
    path = private.write(f"open-{mode:o}", b"x", mode)
    with pytest.raises(BadValue, match=f"others may read or write it \\(mode {mode:04o}\\)"):
        private_bytes(path)


def test_what_is_no_small_file_is_refused() -> None:
    for path in (private.FOLDER, private.write("big", b"x" * (MOST + 1)), Path("/dev/zero")):
        with pytest.raises(BadValue):
            private_bytes(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_roots_file_may_be_read_by_our_group_and_nobodys_file_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(0o755)
    ours, strangers = tmp_path / "ours", tmp_path / "strangers"
    for path, owner, group, mode in ((ours, 0, 54321, 0o640), (strangers, 54322, 54321, 0o640)):
        path.write_bytes(b"x")
        os.chown(path, owner, group)
        path.chmod(mode)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(54321)
            os.setuid(54321)
            assert private_bytes(ours) == b"x"
            try:
                private_bytes(strangers)
            except BadValue as wrong:
                code = 0 if "belongs to user 54322" in str(wrong) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_pipe_is_no_file_and_keeps_nobody_waiting() -> None:
    pipe = private.FOLDER / "pipe"
    os.mkfifo(pipe, 0o600)
    assert "is not a file of at most" in problems(ACME.replace("/TAGS", str(pipe)) + NETWORK)
