"""What comes back, end to end: a real Postfix and its log, rotation, kill -9, bounces, complaints."""

from __future__ import annotations

import email
import os
import shutil
import smtplib
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.common import ask
from rig.base import PATH, answers, free_port, wait_until
from rig.journal import Journal, missing
from rig.penstock import Penstock
from rig.postfix import Postfix, asks
from rig.smtp import Sink, message

ALICE = "login:alice@example.com"
ROOMY = """
[profiles.personal]
recipients = ["1000000/h"]
messages = []
bytes = []
outcomes = []
pause = []
newcomer = []
[detection]
mode = "off"
"""
"""Nothing stops a sender: half of whose mail comes back would be under suspicion."""

UNKNOWN = (
    "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the "
    "recipient's email address for typos. NoSuchUser - gsmtp"
)
BLOCKED = (
    "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service "
    "provider since part of their network is on our block list (S3140)."
)
BUSY = "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation (S775)"


class Platform:
    """Postfix that asks Penstock, Penstock that follows Postfix's log and takes reports by LMTP."""

    def __init__(self, servers: ExitStack, sink: Sink, more: str = ROOMY) -> None:
        self.sink = sink
        self.lmtp = free_port()
        self.penstock = Penstock("")
        self.postfix = Postfix(sink.port, settings=asks(self.penstock.port))
        log = self.postfix.folder.path / "mail.log"
        self.penstock.configure(
            f'{more}\n[logs.mail]\nfile = "{log}"\nfrom_beginning = true\n'
            f'[reports]\nlisten = "127.0.0.1:{self.lmtp}"\nrecipients = "reports@mx.example.test"\n'
            "header = true\n"
        )
        servers.enter_context(self.penstock)
        servers.enter_context(self.postfix)
        wait_until(lambda: answers(self.lmtp), what="the LMTP listener")

    def sum(self, what: str, sender: str = ALICE) -> int:
        """Of one counter, or of a class of replies, in the week of a sender."""
        return week_sum(self.penstock, what, sender)

    def wait_for(self, what: str, n: int, sender: str = ALICE) -> None:
        """Until it has been counted so often."""
        wait_until(lambda: self.sum(what, sender) >= n, 60, f"{n} {what}")
        assert self.sum(what, sender) == n

    def report(self, content: str, sender: str = "") -> None:
        """Have a report delivered by LMTP."""
        with smtplib.LMTP("127.0.0.1", self.lmtp) as client:
            client.sendmail(sender, ["reports@mx.example.test"], content.encode())

    def kept(self) -> list[str]:
        """Reasons of the reports that were kept."""
        folder = self.penstock.state / "reports" / "kept"
        return [path.read_text().strip() for path in sorted(folder.glob("*.reason"))]


def week_sum(penstock: Penstock, what: str, sender: str) -> int:
    """Of one counter, or of a class of replies, in the week of a sender; 0 for somebody unknown."""
    try:
        week = ask(penstock.state, "show", sender=sender)["week"]
    except Exception as error:
        assert "has never been seen" in str(error)
        return 0
    return sum(day[what] if what in day else day["classes"].get(what, 0) for day in week)


@pytest.fixture
def platform(servers: ExitStack, sink: Sink, start_postfix: Callable[..., Postfix]) -> Platform:
    """A platform with room for everybody."""
    return Platform(servers, sink)


def test_outcomes_are_charged_to_whoever_sent(platform: Platform) -> None:
    platform.sink.answers = {"gone@x.test": UNKNOWN, "blocked@x.test": BLOCKED, "busy@x.test": BUSY}
    with platform.postfix.client("Alice@Example.com") as client:
        client.send("alice@example.com", ["ok@x.test", "gone@x.test", "blocked@x.test", "busy@x.test"])
    with platform.postfix.client("bob@example.com") as client:
        client.send("bob@example.com", ["ok@x.test"])
    local = ["sendmail", "-C", str(platform.postfix.config), "-i", "-f", "root@example.com", "ok@x.test"]
    subprocess.run(local, input=message(), text=True, check=True, timeout=30)
    platform.wait_for("bounced", 2)
    platform.wait_for("delivered", 1)
    platform.wait_for("deferred", 1)
    assert platform.sum("unknown-user") == 1
    assert platform.sum("reputation") + platform.sum("throttled") == 2
    assert platform.sum("logins") >= 1 and platform.sum("recipients") == 4
    platform.wait_for("delivered", 1, "login:bob@example.com")
    assert platform.sum("bounced", "login:bob@example.com") == 0
    platform.wait_for("delivered", 1, "uid:0")
    assert platform.sum("recipients", "uid:0") == 1, "nobody asked about it, so the log counts it"
    status = ask(platform.penstock.state, "status")
    assert status["logs"][0]["unknown"] == {} and not status["problems"]


def test_each_of_many_recipients_has_its_own_end(platform: Platform) -> None:
    """Postfix delivers them in several transactions, and tries those again that had to wait."""
    replies = {"ok": "", "gone": UNKNOWN, "busy": BUSY, "blocked": BLOCKED}
    fates = {f"{fate}{n}@x.test": reply for n in range(25) for fate, reply in replies.items()}
    platform.sink.answers = {address: reply for address, reply in fates.items() if reply}
    with platform.postfix.client("alice@example.com") as client:
        assert len(client.send("alice@example.com", list(fates)).accepted) == 100
    platform.wait_for("deferred", 25)
    platform.sink.answers = {
        address: reply for address, reply in fates.items() if reply in (UNKNOWN, BLOCKED)
    }
    platform.wait_for("delivered", 50)
    platform.wait_for("bounced", 50)
    counted = [platform.sum(name) for name in ("recipients", "messages", "deferred", "unknown-user")]
    assert counted == [100, 1, 25, 25], "who had to wait counts once, however often Postfix tried"
    assert platform.sum("reputation") + platform.sum("throttled") == 50
    status = ask(platform.penstock.state, "status")
    assert status["logs"][0]["unknown"] == {}


def test_a_dsn_of_our_own_postfix_resolves_and_is_not_counted_twice(platform: Platform) -> None:
    platform.sink.answers = {"gone@x.test": UNKNOWN}
    with platform.postfix.client("alice@example.com") as client:
        client.send("alice@example.com", ["gone@x.test"], message(Message_ID="<1@example.com>"))
    platform.wait_for("unknown-user", 1)
    dsn = next(mail for mail in platform.sink.wait_for(1) if mail.sender in ("", "<>"))
    read = platform.penstock.run("report", "--json", _saved(platform, dsn.content))
    assert '"kind": "bounce"' in read.stdout and '"class": "unknown-user"' in read.stdout
    platform.report(dsn.content)
    wait_until(lambda: _reports(platform)["uncounted"] == 1, what="the end of the report")
    assert platform.kept() == []
    assert (platform.sum("unknown-user"), platform.sum("bounced")) == (1, 1)


def test_late_bounces_and_complaints_find_their_sender_once(platform: Platform) -> None:
    with platform.postfix.client("alice@example.com") as client:
        client.send("alice@example.com", ["ok@x.test"], message(Message_ID="<2@example.com>"))
    platform.wait_for("delivered", 1)
    mail = platform.sink.wait_for(1)[0]
    assert "X-Penstock-Ref: " in mail.content
    for _ in range(2):
        platform.report(_remote_bounce("<2@example.com>"))
        platform.report(_complaint(mail.content))
    platform.report(_complaint(mail.content, "not-spam"))
    platform.report(_remote_bounce("<never-sent@example.com>"))
    platform.report("Subject: hello\n\nI am on holiday.\n")
    wait_until(lambda: len(platform.kept()) == 2, what="what is kept")
    assert any("about no message" in why for why in platform.kept())
    reports = _reports(platform)
    assert {
        name: reports[name] for name in ("received", "bounces", "complaints", "repeated", "uncounted")
    } == {
        "received": 7,
        "bounces": 1,
        "complaints": 1,
        "repeated": 2,
        "uncounted": 1,
    }
    assert (platform.sum("bounced"), platform.sum("complaints")) == (1, 1)
    anonymous = "\n".join(line for line in mail.content.splitlines() if not line.startswith("Message-ID"))
    platform.report(_complaint(anonymous))
    platform.wait_for("complaints", 2)


def test_rotation_and_kill_9_lose_nothing_and_double_nothing(platform: Platform) -> None:
    platform.sink.answers = {f"gone{n}@x.test": UNKNOWN for n in range(200)}
    sent = 0
    with platform.postfix.client("alice@example.com") as client:
        for turn in range(8):
            for _ in range(25):
                client.send("alice@example.com", [f"ok{sent}@x.test", f"gone{sent}@x.test"])
                sent += 1
            if turn % 2:
                platform.penstock.kill()
            if turn % 3 == 1:
                platform.postfix.command("postfix", "logrotate")
            if turn % 2:
                platform.penstock.start()
    platform.wait_for("delivered", sent)
    platform.wait_for("bounced", sent)
    platform.penstock.restart()
    with platform.postfix.client("alice@example.com") as client:
        client.send("alice@example.com", ["last@x.test"])
    platform.wait_for("delivered", sent + 1)
    assert platform.sum("bounced") == platform.sum("unknown-user") == sent
    log = platform.penstock.log()
    errors = [line for line in log.splitlines() if "[error" in line and "no such file: waiting" not in line]
    assert "Traceback" not in log and errors == [], "between a rotation and the next line there is no file"


def test_too_many_unknown_users_stop_a_sender_and_say_so(
    servers: ExitStack, sink: Sink, start_postfix: Callable[..., Postfix]
) -> None:
    platform = Platform(servers, sink, ROOMY.replace("outcomes = []", 'outcomes = ["unknown-user 5/h"]'))
    sink.answers = {f"gone{n}@x.test": UNKNOWN for n in range(20)}
    with platform.postfix.client("alice@example.com") as client:
        for n in range(5):
            assert client.send("alice@example.com", [f"gone{n}@x.test"]).accepted
        platform.wait_for("unknown-user", 5)
        refused = client.send("alice@example.com", ["friend@x.test"])
    assert not refused.accepted
    code, text = refused.recipients["friend@x.test"]
    assert code == 450 and "(ref " in text
    told = platform.penstock.run(
        "explain", text.split("(ref ")[1][:9], "--state", str(platform.penstock.state)
    )
    assert "5 of its recipients came back as unknown-user within an hour" in told.stdout


def test_what_dies_after_its_end_is_given_back(
    servers: ExitStack, sink: Sink, start_postfix: Callable[..., Postfix]
) -> None:
    platform = Platform(servers, sink)
    checks = platform.postfix.folder.path / "checks"
    checks.write_text("/^Subject: virus/ REJECT no viruses\n")
    platform.postfix.set(header_checks=f"regexp:{checks}")
    with platform.postfix.client("alice@example.com") as client:
        client.send("alice@example.com", ["a@x.test", "b@x.test"], message("virus"))
        wait_until(lambda: platform.sum("recipients") == 0, what="the refund")
        client.send("alice@example.com", ["a@x.test"])
        platform.wait_for("delivered", 1)
    assert platform.sum("recipients") == 1 and platform.sum("messages") == 1


@pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")
def test_the_journal_is_followed_as_well(
    servers: ExitStack, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines as Postfix writes them, in a real journal; a kill in between doubles nothing."""
    penstock = Penstock("")
    folder = penstock.folder.path
    journal = Journal(folder / "journal", int(time.time()) - 60)
    journal.folder.mkdir()
    _redirect_journalctl(folder, journal.folder, monkeypatch)
    unit = "postfix@-.service"
    penstock.configure(
        f'{ROOMY}\n[logs.mail]\njournal = ["{unit}"]\nfrom_beginning = true\ncounted = "all"\n'
    )
    _write(journal, "4Xy1QZ0bcdz2Gh", unit)
    servers.enter_context(penstock)

    def delivered(n: int) -> None:
        wait_until(lambda: week_sum(penstock, "delivered", ALICE) >= n, 60, f"{n} delivered")
        assert (week_sum(penstock, "delivered", ALICE), week_sum(penstock, "recipients", ALICE)) == (n, n)

    delivered(1)
    _write(journal, "4Xy2QZ0bcdz2Gh", unit)
    delivered(2)
    penstock.kill()
    _write(journal, "4Xy3QZ0bcdz2Gh", unit)
    penstock.start()
    delivered(3)
    status = ask(penstock.state, "status")
    assert status["problems"] == [] and status["logs"][0]["source"] == f"journal of {unit}"


def _redirect_journalctl(folder: Path, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal of the machine is not for tests."""
    wrapper = folder / "bin" / "journalctl"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f'#!/bin/sh\nexec {shutil.which("journalctl", path=PATH)} --directory={journal} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")


def _write(journal: Journal, qid: str, unit: str) -> None:
    """One message of alice to one recipient."""
    who = "client=unknown[192.0.2.7], sasl_method=PLAIN, sasl_username=alice@example.com"
    said = {
        "smtpd": who,
        "cleanup": f"message-id=<{qid}@example.com>",
        "qmgr": "from=<alice@example.com>, size=400, nrcpt=1 (queue active)",
        "smtp": "to=<r@x.test>, relay=mx.x.test[203.0.113.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        "status=sent (250 2.0.0 Ok)",
    }
    for daemon, text in said.items():
        journal.write(f"{qid}: {text}", program=f"postfix/{daemon}", unit=unit)


def _saved(platform: Platform, content: str) -> str:
    path = platform.penstock.folder.path / "dsn.eml"
    path.write_text(content)
    return str(path)


def _reports(platform: Platform) -> Any:
    return ask(platform.penstock.state, "status")["reports"]


def _remote_bounce(message_id: str) -> str:
    """What a remote host sends days later: RFC 3464."""
    return f"""From: MAILER-DAEMON@mx.x.test
To: alice@example.com
Subject: Undelivered Mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=b"

--=b

Your mail could not be delivered.
--=b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.x.test

Final-Recipient: rfc822; ok@x.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; {UNKNOWN}

--=b
Content-Type: text/rfc822-headers

From: alice@example.com
Message-ID: {message_id}

--=b--
"""


def _complaint(content: str, kind: str = "abuse") -> str:
    """A feedback report (RFC 5965) about a mail that the sink got."""
    headers = email.message_from_string(content)
    kept = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return f"""From: fbl@x.test
To: abuse@example.com
Subject: FW: hello
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="=c"

--=c

This is a report about mail that you sent.
--=c
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Example/1
Version: 1
Original-Rcpt-To: <ok@x.test>

--=c
Content-Type: message/rfc822

{kept}
A line.
--=c--
"""
