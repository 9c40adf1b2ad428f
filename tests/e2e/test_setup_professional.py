"""`penstock setup postfix --for professional` on a real Postfix, beside a real Penstock."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from e2e.conftest import StartPenstock, StartPostfix
from e2e.test_setup_postfix import files, reloads, settings
from penstock.cli.doctor import doctor
from penstock.cli.setup import setup
from penstock.mta.postconf import SEARCH
from rig.base import answers, free_port, wait_until
from rig.penstock import Penstock
from rig.policy import PolicyServer
from rig.postfix import Postfix, asks
from rig.smtp import Client, Sink, message

TO = "bob@example.net"
SECRET = "a-secret-of-acme-2026"
OURS = "192.0.2.10"
OPERATOR = "regexp:{ {/^X-Operator:/ IGNORE} }"
SETTINGS = {
    "smtp_header_checks": OPERATOR,
    "milter_header_checks": OPERATOR,
    "smtpd_sasl_auth_enable": "no",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
}
ATTACHED = (
    "From: news@acme.example\nTo: bob@example.net\nSubject: an old one\nMIME-Version: 1.0\n"
    f"X-Penstock-Tag: {SECRET}\nX-Operator: x\nContent-Type: message/rfc822\n\n"
    f"From: a@acme.example\nX-Penstock-Tag: {SECRET}\nSubject: inside\n\nthe old text\n"
)


class Here:
    """Penstock with a professional customer, a Postfix beside it, and the port that is to be made."""

    def __init__(self, penstock: Penstock, postfix: Postfix, port: int) -> None:
        self.penstock, self.postfix, self.port = penstock, postfix, port

    @property
    def policy(self) -> Path:
        return self.penstock.folder.path / "penstock.toml"

    def run(self, *arguments: str) -> Result:
        """The command, for that port."""
        where = [
            "--config-dir",
            str(self.postfix.config),
            "--for",
            "professional",
            "--policy",
            str(self.policy),
        ]
        before = reloads(self.postfix)
        service = ["--service", f"127.0.0.1:{self.port}"] if "--service" not in arguments else []
        done = CliRunner().invoke(setup, ["postfix", *where, *service, *arguments])
        if "Postfix has reloaded" in done.output:
            self.postfix.wait_for(lambda: reloads(self.postfix) > before)
        return done

    def succeed(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        return done.output

    def send(self, content: str, port: int = 0) -> None:
        port = port or self.port
        wait_until(lambda: answers(port), what=f"Postfix on port {port}")  # it says first that it reloads
        client = Client(port, "", OURS)
        assert client.send("bounces@acme.example", [TO], content).accepted == [TO]
        client.close()

    def failures(self) -> list[Any]:
        """What the doctor says of Postfix that is not ok."""
        where = ["--state", str(self.penstock.state), "--config-dir", str(self.postfix.config), "--json"]
        found = json.loads(CliRunner().invoke(doctor, where).output)
        return [each for each in found if each["name"].startswith("postfix") and each["ok"] is False]


@pytest.fixture
def here(start_penstock: StartPenstock, start_postfix: StartPostfix) -> Any:
    def start(**options: Any) -> Here:
        penstock = start_penstock("")
        folder = penstock.folder.path
        (folder / "acme").write_text(SECRET)
        (folder / "acme").chmod(0o600)
        penstock.configure(
            f'[listen]\nmilter_smarthost = ["unix:{folder}/milter.sock"]\n'
            f'[professional.acme]\nsecrets = ["file:{folder}/acme"]\n'
            'networks = ["192.0.2.0/28"]\npool = "best"\n'
        )
        penstock.restart()
        return Here(penstock, start_postfix(**({"settings": SETTINGS} | options)), free_port())

    return start


def tagged(**headers: str) -> str:
    return message(**{"X-Penstock-Tag": SECRET, "X-Operator": "x"} | headers)


def test_printed_applied_asked_taken_back(here: Any, sink: Sink) -> None:
    it = here()
    before = files(it.postfix)
    printed = it.succeed()
    assert files(it.postfix) == before and "Nothing has been changed." in printed
    assert it.failures()
    assert "Postfix has reloaded." in it.succeed("--apply")
    it.send(tagged())
    (mail,) = sink.wait_for(1)
    assert SECRET not in mail.content and "Pool" not in mail.content and "X-Operator" not in mail.content
    it.postfix.wait_for("postfix/best/smtp")
    assert it.penstock.cli("status")["professional"]["acme"]["tag"] == {"ok": 1}
    assert not it.failures()
    assert "Set up already" in it.succeed("--apply")
    assert "the very files from before" in it.succeed("--undo")
    assert files(it.postfix) == before


def test_without_us_mail_goes_on_and_tags_stay(here: Any, sink: Sink) -> None:
    it = here()
    it.succeed("--apply")
    it.penstock.terminate()
    assert "nothing answers at unix:" in it.succeed().replace("\n#   ", " ")
    it.send(tagged())
    sink.wait_for(1)
    it.send(ATTACHED)
    one, attached = (mail.content for mail in sink.wait_for(2))
    assert SECRET not in one + attached and "X-Operator" not in one + attached
    assert "the old text" in attached and "Subject: inside" in attached


def test_undo_after_somebody_changed_the_files(here: Any) -> None:
    it = here()
    before = settings(it.postfix)
    it.succeed("--apply")
    it.postfix.command("postconf", "-e", "smtpd_recipient_limit = 77")
    undone = it.succeed("--undo")
    assert "only our own edits were taken out" in undone and "-MX" in undone
    left = settings(it.postfix)
    assert left.replace("smtpd_recipient_limit = 77", "smtpd_recipient_limit = 5000") == before
    assert files(it.postfix)["master.cf"][0].count(b"smtpd") == 1
    assert b"best" not in files(it.postfix)["master.cf"][0]


def test_printed_lines_can_be_pasted_and_taken_back(here: Any, sink: Sink) -> None:
    it = here(settings=SETTINGS, services="best unix - - n - - smtp\n  -o smtp_header_checks=\n")
    before, reloaded = settings(it.postfix), reloads(it.postfix)
    script = it.succeed().replace("Nothing has been changed.", "# ")
    subprocess.run(["sh", "-e", "-u"], input=script, text=True, check=True, env={"PATH": SEARCH}, timeout=60)
    it.postfix.wait_for(lambda: reloads(it.postfix) > reloaded)
    it.send(tagged())
    assert SECRET not in sink.wait_for(1)[0].content
    assert "Set up already" in it.succeed() and not it.failures()
    it.succeed("--undo")
    assert settings(it.postfix).replace("best/unix/smtp_header_checks =\n", "") == before.replace(
        "best/unix/smtp_header_checks =\n", ""
    )


@pytest.mark.parametrize("touched", [False, True])
def test_a_service_of_the_operators_keeps_what_it_has(
    here: Any, sink: Sink, servers: ExitStack, touched: bool
) -> None:
    policy = servers.enter_context(PolicyServer())
    milter = "{ inet:127.0.0.1:1, default_action=accept, connect_timeout=1s }"
    asked = {} if touched else asks(policy.port, "policy_context=penstock/rcpt+eom")
    it = here(settings=SETTINGS | asked | {"smtpd_milters": milter})
    before, meant, service = files(it.postfix), settings(it.postfix), f"127.0.0.1:{it.postfix.port}"
    applied = it.succeed("--service", service, "--apply")
    assert "behind main.cf's milters" in applied
    it.send(tagged(), it.postfix.port)
    (mail,) = sink.wait_for(1)
    assert SECRET not in mail.content and not policy.requests
    it.postfix.wait_for("connect to Milter service inet:127.0.0.1:1: Connection refused")
    assert it.penstock.cli("status")["professional"]["acme"]["tag"] == {"ok": 1}
    assert not it.failures()
    assert "Set up already" in it.succeed("--service", service)
    if touched:
        it.postfix.command("postconf", "-e", "smtpd_recipient_limit = 77")
    it.succeed("--undo")
    assert settings(it.postfix).replace("limit = 77", "limit = 5000") == meant
    assert touched or files(it.postfix) == before


def test_a_second_customer_and_pool(here: Any, sink: Sink) -> None:
    it = here()
    it.succeed("--apply")
    folder = it.policy.parent
    (folder / "bolt").write_text("another-secret-of-bolt")
    (folder / "bolt").chmod(0o600)
    more = f'[professional.bolt]\nheader = "X-Bolt"\nsecrets = ["file:{folder}/bolt"]\n'
    it.penstock.configure(it.policy.read_text() + more + 'networks = ["198.51.100.0/29"]\npool = "second"\n')
    it.penstock.restart()
    assert len(it.failures()) == 3
    changed = it.succeed("--apply")
    assert "198.51.100.0/29 of a professional customer is not in mynetworks" in changed.replace("\n#   ", " ")
    assert "penstock_milter_smarthost" not in changed and "/^(X-Bolt|X-Penstock-Tag)" in changed
    assert not it.failures() and "Set up already" in it.succeed()
    it.send(tagged())
    assert SECRET not in sink.wait_for(1)[0].content


def test_problems_and_usage(here: Any, tmp_path: Path) -> None:
    it = here()
    before = files(it.postfix)
    taken = it.run("--service", str(it.postfix.relay), "--apply")
    assert taken.exit_code == 1 and "Another program listens" in taken.output
    assert it.run("--trial").exit_code == 2
    (tmp_path / "wrong.toml").write_text("mode = 1\n")
    wrong = it.run("--policy", str(tmp_path / "wrong.toml"), "--json")
    assert wrong.exit_code == 1 and "not valid" in json.loads(wrong.output)["error"]
    (tmp_path / "empty.toml").write_text("")
    empty = it.run("--policy", str(tmp_path / "empty.toml"), "--apply")
    assert empty.exit_code == 1 and "no [listen] milter_smarthost" in empty.output.replace("\n#   ", " ")
    assert files(it.postfix) == before
