"""`penstock setup postfix` on a real Postfix: printed, applied, asked, taken back."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from e2e.conftest import StartPostfix
from penstock.cli.setup import setup
from penstock.mta import postconf
from penstock.mta.postfix_checks import examine
from rig.base import free_port
from rig.policy import PolicyServer
from rig.postfix import Postfix
from rig.smtp import Client, Sink

ALICE = "alice@example.com"
TWO = ["r0@example.org", "r1@example.org"]
SUBMISSION = {
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject",
}
RELAY = {
    "smtpd_sasl_auth_enable": "no",
    "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination",
}


def run(postfix: Postfix, recorder: PolicyServer, *arguments: str) -> Result:
    where = ["--config-dir", str(postfix.config), "--listen", f"127.0.0.1:{recorder.port}"]
    before = reloads(postfix)
    done = CliRunner().invoke(setup, ["postfix", *where, *arguments])
    if "Postfix has reloaded" in done.output or '"reloaded": true' in done.output:
        postfix.wait_for(lambda: reloads(postfix) > before)
    return done


def reloads(postfix: Postfix) -> int:
    return postfix.log().count(": reload -- version")


def succeed(postfix: Postfix, recorder: PolicyServer, *arguments: str) -> str:
    done = run(postfix, recorder, *arguments)
    assert done.exit_code == 0, done.output
    return done.output


def parsed(postfix: Postfix, recorder: PolicyServer, *arguments: str) -> Any:
    return json.loads(run(postfix, recorder, *arguments, "--json").output)


def files(postfix: Postfix) -> dict[str, tuple[bytes, int, float]]:
    """What is in the configuration folder: contents, mode and time."""
    found = {}
    for path in postfix.config.iterdir():
        about = path.stat()
        found[path.name] = (path.read_bytes(), about.st_mode, about.st_mtime)
    return found


def settings(postfix: Postfix) -> str:
    """What the files mean."""
    return postfix.command("postconf", "-n") + postfix.command("postconf", "-P")


@pytest.fixture
def submission(start_postfix: StartPostfix) -> Postfix:
    """A Postfix whose only SMTP server is for customers with a login."""
    return start_postfix(options=SUBMISSION)


def send(postfix: Postfix, login: str = ALICE, address: str = "") -> None:
    with postfix.client(login, address) as client:
        assert client.send("a@example.com", TWO).accepted == TWO


def test_submission_print_apply_ask_undo(submission: Postfix, recorder: PolicyServer, sink: Sink) -> None:
    before = files(submission)
    printed = succeed(submission, recorder)
    assert files(submission) == before and "Nothing has been changed." in printed
    applied = succeed(submission, recorder, "--apply")
    assert "Postfix has reloaded." in applied
    send(submission)
    assert recorder.states() == ["RCPT", "RCPT", "END-OF-MESSAGE"]
    assert {each["policy_context"] for each in recorder.requests} == {"penstock/rcpt+eom"}
    assert {each["sasl_username"] for each in recorder.requests} == {ALICE}
    assert len({each.connection for each in recorder.requests}) == 1
    sink.wait_for(2)
    checks = examine(submission.config, [f"127.0.0.1:{recorder.port}"])
    assert not [check for check in checks if check.ok is False]
    assert "the very files from before" in succeed(submission, recorder, "--undo")
    assert files(submission) == before
    send(submission)
    assert len(recorder.requests) == 3


def test_applied_twice(submission: Postfix, recorder: PolicyServer) -> None:
    succeed(submission, recorder, "--apply")
    once = files(submission)
    assert "Set up already" in succeed(submission, recorder, "--apply")
    assert parsed(submission, recorder)["edits"] == []
    assert files(submission) == once


def test_applied_in_two_steps_is_undone_in_one(submission: Postfix, recorder: PolicyServer) -> None:
    before = files(submission)
    found = parsed(submission, recorder, "--apply", "--trial")
    assert found["done"] and found["applied"]["reloaded"] and found["trial"]
    recorder.answer = lambda _attributes: "REJECT no"
    send(submission)
    submission.wait_for("reject_warning: RCPT")
    succeed(submission, recorder, "--apply")
    with submission.client(ALICE) as client:
        assert client.send("a@example.com", TWO).recipients[TWO[0]][0] == 554
    succeed(submission, recorder, "--undo")
    assert files(submission) == before


def test_smarthost(start_postfix: StartPostfix, recorder: PolicyServer, sink: Sink) -> None:
    back = free_port()
    service = f"127.0.0.1:{back} inet n - n - - smtpd\n  -o content_filter=\n"
    postfix = start_postfix(settings=RELAY, services=service)
    before = files(postfix)
    succeed(postfix, recorder, "--for", "smarthost", "--apply")
    send(postfix, login="", address="192.0.2.9")
    assert recorder.states() == ["RCPT", "RCPT", "END-OF-MESSAGE"]
    assert {each["client_address"] for each in recorder.requests} == {"192.0.2.9"}
    with postfix.client(address="198.51.100.1") as stranger:
        assert stranger.send("a@example.com", TWO).recipients[TWO[0]][0] == 554
    asked = len(recorder.requests)
    with Client(back) as filtered:
        assert filtered.send("a@example.com", TWO).accepted == TWO
    assert len(recorder.requests) == asked
    sink.wait_for(4)
    assert "Set up already" in succeed(postfix, recorder, "--for", "smarthost", "--apply")
    succeed(postfix, recorder, "--undo")
    assert files(postfix) == before


class BySocket(PolicyServer):
    """The recorder on a Unix socket."""

    def at(self, path: Path) -> BySocket:
        self.path = path
        return self

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self.path.chmod(0o666)
        self._listener.listen()
        self._spawn(self._accept, self._listener)


@pytest.mark.parametrize("chroot", ["y", "n"])
def test_unix_socket_below_the_queue_directory(
    submission: Postfix, recorder: PolicyServer, servers: ExitStack, chroot: str
) -> None:
    submission.command("postconf", "-F", f"127.0.0.1:{submission.port}/inet/chroot={chroot}")
    path = submission.folder.path / "queue" / "penstock" / "policy.sock"
    path.parent.mkdir()
    by_socket = servers.enter_context(BySocket().at(path))
    succeed(submission, recorder, "--listen", f"unix:{path}", "--apply")
    send(submission)
    assert by_socket.states() == ["RCPT", "RCPT", "END-OF-MESSAGE"]
    checks = examine(submission.config, [f"unix:{path}"])
    assert not [check for check in checks if check.ok is False]
    assert "socket" in {check.name for check in checks if check.ok}


def test_interrupted_in_the_middle(
    submission: Postfix, recorder: PolicyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(submission)

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("penstock.mta.postfix_apply._compare", interrupt)
    assert run(submission, recorder, "--apply").exit_code == 1
    assert files(submission) == before


def test_no_room_for_the_journal(
    submission: Postfix, recorder: PolicyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(submission)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penstock.mta.postfix_apply._note", full)
    done = run(submission, recorder, "--apply")
    assert done.exit_code == 1 and "No space left" in done.output and "as it was before" in done.output
    assert files(submission) == before


def test_printed_lines_can_be_pasted(submission: Postfix, recorder: PolicyServer) -> None:
    before = settings(submission)
    script = succeed(submission, recorder).replace("Nothing has been changed.", "# ")
    environment, reloaded = {"PATH": postconf.SEARCH}, reloads(submission)
    subprocess.run(["sh", "-e", "-u"], input=script, text=True, check=True, env=environment, timeout=60)
    submission.wait_for(lambda: reloads(submission) > reloaded)
    send(submission)
    assert recorder.states() == ["RCPT", "RCPT", "END-OF-MESSAGE"]
    assert "Set up already" in succeed(submission, recorder)
    assert "no longer used" in succeed(submission, recorder, "--undo")
    packed = "permit_sasl_authenticated,reject"
    assert settings(submission).replace(packed, "permit_sasl_authenticated, reject") == before


def test_undo_after_somebody_changed_the_files(submission: Postfix, recorder: PolicyServer) -> None:
    succeed(submission, recorder, "--apply")
    submission.command("postconf", "-e", "smtpd_recipient_limit = 77")
    assert "only our own edits were taken out" in succeed(submission, recorder, "--undo")
    left = settings(submission)
    assert "smtpd_recipient_limit = 77" in left and "penstock_policy" not in left
    assert "/inet/smtpd_recipient_restrictions = permit_sasl_authenticated,reject" in left
    assert "end_of_data" not in left
    again = run(submission, recorder, "--undo")
    assert again.exit_code == 1 and "Nothing to take back" in again.output


def test_mail_goes_on_without_us(submission: Postfix, recorder: PolicyServer, sink: Sink) -> None:
    succeed(submission, recorder, "--apply")
    recorder.stop()
    assert "nothing answers at" in succeed(submission, recorder)
    send(submission)
    sink.wait_for(2)


def test_all_goes_back_when_postfix_is_not_content(
    submission: Postfix, recorder: PolicyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(submission)
    content = iter([True, False])

    def check(_self: postconf.Postfix) -> None:
        if not next(content):
            assert "penstock_policy" in (submission.config / "main.cf").read_text()
            raise postconf.PostfixError("postfix check failed: said so.")

    monkeypatch.setattr(postconf.Postfix, "check", check)
    done = run(submission, recorder, "--apply")
    assert done.exit_code == 1 and "said so. Everything is as it was before." in done.output
    assert files(submission) == before
    send(submission)
    assert not recorder.requests


def test_broken_main_cf_is_left_alone(submission: Postfix, recorder: PolicyServer) -> None:
    with (submission.config / "main.cf").open("a") as file:
        file.write("this is broken\n")
    before = files(submission)
    done = run(submission, recorder, "--apply")
    assert done.exit_code == 1 and "missing '='" in done.output and "mend the line" in done.output
    assert files(submission) == before


def test_a_link_is_left_alone(submission: Postfix, recorder: PolicyServer) -> None:
    main = submission.config / "main.cf"
    main.rename(main.with_name("managed.cf"))
    main.symlink_to("managed.cf")
    done = run(submission, recorder, "--apply")
    assert done.exit_code == 1 and "symbolic link" in done.output and main.is_symlink()


def test_problems_and_usage(start_postfix: StartPostfix, recorder: PolicyServer) -> None:
    postfix = start_postfix()
    before = files(postfix)
    done = run(postfix, recorder, "--apply")
    assert done.exit_code == 1 and "no submission service" in done.output
    assert files(postfix) == before
    assert run(postfix, recorder, "--apply", "--undo").exit_code == 2
    assert run(postfix, recorder, "--listen", "nowhere").exit_code == 2


@pytest.mark.parametrize("option", ["--apply", "--undo"])
def test_root_only(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = CliRunner().invoke(setup, ["postfix", option])
    assert done.exit_code == 1 and "Only root" in done.output


def test_old_postfix_and_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postconf.Postfix, "version", lambda _self: "2.11.3")
    done = CliRunner().invoke(setup, ["postfix"])
    assert done.exit_code == 1 and "Postfix 2.11.3 is too old" in done.output
    monkeypatch.undo()
    monkeypatch.setattr(postconf, "SEARCH", str(tmp_path))
    done = CliRunner().invoke(setup, ["postfix", "--json"])
    assert done.exit_code == 1 and "postconf not found" in json.loads(done.output)["error"]


def test_the_milter_is_set_up_and_taken_back(submission: Postfix, recorder: PolicyServer) -> None:
    before = files(submission)
    milter = f"127.0.0.1:{free_port()}"
    output = succeed(submission, recorder, "--milter", milter, "--apply")
    assert "$penstock_milter" in output and f"nothing answers at {milter}" in output.replace("\n#   ", " ")
    meant = settings(submission)
    assert "non_smtpd_milters = $penstock_milter" in meant and "default_action=accept" in meant
    assert "smtpd_milters = $" not in meant.replace("non_smtpd_milters", "")
    local = ["sendmail", "-C", str(submission.config), "-i", "-f", ALICE, TWO[0]]
    subprocess.run(local, input=b"Subject: x\n\ny\n", check=True, timeout=60)
    submission.wait_for(f"connect to Milter service inet:{milter}: Connection refused")
    submission.wait_empty()
    assert "Set up already" in succeed(submission, recorder, "--milter", milter)
    found = [c for c in examine(submission.config, [], {milter: False}) if c.name == "milter"]
    assert [check.ok for check in found] == [True, True]
    succeed(submission, recorder, "--undo")
    after = files(submission)
    assert {name: after[name][0] for name in before} == {name: before[name][0] for name in before}


def test_the_milter_is_taken_out_of_files_that_were_changed_since(
    submission: Postfix, recorder: PolicyServer
) -> None:
    submission.set(non_smtpd_milters="inet:127.0.0.1:1")
    succeed(submission, recorder, "--milter", "127.0.0.1:10041", "--apply")
    submission.set(non_smtpd_milters="$penstock_milter, inet:127.0.0.1:1, inet:127.0.0.1:2")
    succeed(submission, recorder, "--undo")
    meant = settings(submission)
    assert "non_smtpd_milters = inet:127.0.0.1:1, inet:127.0.0.1:2" in meant and "penstock_" not in meant
