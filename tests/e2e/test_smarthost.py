"""The smarthost of professional customers beside a real Postfix: tags, signatures, pools, notices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dkim
import pytest

from e2e.conftest import StartPenstock, StartPostfix
from e2e.test_returns import week_sum
from penstock.wire.dkim.keys import Key, generate, record_of
from rig.base import free_port, wait_until
from rig.opendkim import verify as verify_alone
from rig.penstock import Penstock
from rig.postfix import Postfix, asks
from rig.smtp import Client, Mail, Sink, message

TO = "bob@example.net"
SECRET = "a-secret-of-acme-2026"
OLD_SECRET = "a-secret-of-acme-2025"
OTHER_SECRET = "another-secret-of-bolt"
OURS = "192.0.2.10"
THEIRS = "198.51.100.7"
CUSTOMER = "customer:acme.1"
MILTER = "default_action=accept, protocol=6, connect_timeout=5s, command_timeout=10s, content_timeout=30s"
POOL = "pool unix - - n - - smtp\n  -o { syslog_name = postfix/pool }\n"
FILTER = "regexp:{ {/^X-Penstock-Pool: professional$$/ FILTER pool:[127.0.0.1]:RELAY} }"
KEYS = {"p1": generate("rsa"), "p2": generate("ed25519")}


def write_private(path: Path, data: bytes) -> Path:
    """A file that nobody else may read."""
    path.write_bytes(data)
    path.chmod(0o600)
    return path


class Smarthost:
    """Penstock with two professional customers, and the Postfix that they hand their mail to."""

    def __init__(self, penstock: Penstock, postfix: Postfix) -> None:
        self.penstock = penstock
        self.postfix = postfix

    def send(
        self, content: str | bytes, login: str = "", address: str = OURS, to: list[str] | None = None
    ) -> Any:
        """One message of a client."""
        client = self.postfix.client(login, address)
        try:
            sent = client.envelope("bounces@acme.example", to or [TO])
            code, said = client.smtp.data(content.encode() if isinstance(content, str) else content)
            sent.data = code, said.decode(errors="replace")
            return sent
        finally:
            client.close()

    def tagged(self, secret: str = SECRET, name: str = "X-Acme-Token", **headers: str) -> str:
        """A message with a tag."""
        return message(**{name: secret, **headers}).replace("alice@example.com", "news@acme.example")

    def figures(self) -> dict[str, dict[str, int]]:
        """What the service says of acme.1."""
        found: dict[str, Any] = self.penstock.cli("status")["professional"]
        return {name: figures for name, figures in found.items() if figures}

    def recipients_of(self, sender: str) -> int:
        """Recipients charged in the last hour; 0 for one that was never seen."""
        senders = {row["sender"] for row in self.penstock.cli("senders")["senders"]}
        if sender not in senders:
            return 0
        hour: int = self.penstock.cli("show", sender)["counts"]["recipients"]["hour"]
        return hour


@pytest.fixture
def smarthost(start_penstock: StartPenstock, start_postfix: StartPostfix, sink: Sink) -> Any:
    """Starts both."""

    def start(more: str = "", top: str = "", **settings: str) -> Smarthost:
        penstock = start_penstock("")
        folder = penstock.folder.path
        write_private(folder / "acme", f"# since January\n{SECRET}\n{OLD_SECRET}\n".encode())
        write_private(folder / "bolt", OTHER_SECRET.encode())
        for selector, key in KEYS.items():
            write_private(folder / f"{selector}.pem", key.pem())
        penstock.configure(
            f'{top}\n[listen]\nmilter_smarthost = ["unix:{folder}/milter.sock"]\n'
            f'[professional."acme.1"]\nheader = "X-Acme-Token"\nsecrets = ["file:{folder}/acme"]\n'
            f'networks = ["192.0.2.0/28"]\nlogins = ["mailer@acme.example"]\npool = "professional"\n'
            f'feedback_id = "news:acme:example"\ncfbl_address = "fbl@example.com; report=arf"\n{more}\n'
            + "".join(
                f'[[professional."acme.1".dkim]]\ndomain = "acme.example"\nselector = "{selector}"\n'
                f'key = "{folder}/{selector}.pem"\n'
                for selector in KEYS
            )
            + f'[professional.bolt]\nheader = "X-Acme-Token"\nsecrets = ["file:{folder}/bolt"]\n'
            'networks = ["198.51.100.0/29"]\n'
        )
        penstock.restart()
        postfix = start_postfix(
            settings={
                "smtpd_milters": f"{{ unix:{folder}/milter.sock, {MILTER} }}",
                "milter_header_checks": FILTER.replace("RELAY", str(sink.port)),
                "mynetworks": "127.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24",
                **settings,
            },
            services=POOL,
        )
        return Smarthost(penstock, postfix)

    return start


def verify(mail: Mail, key: Key, selector: str) -> bool:
    """What dkimpy says of the signature by that key."""
    raw = mail.raw
    found = dkim.DKIM(raw)
    names = [value for name, value in found.headers if name.lower() == b"dkim-signature"]
    index = next(i for i, value in enumerate(names) if b"s=" + selector.encode() in value)
    return bool(found.verify(idx=index, dnsfunc=lambda name, timeout=5: record_of(key).encode()))


def test_a_tag_is_taken_out_and_the_mail_is_signed(smarthost: Any, sink: Sink) -> None:
    here = smarthost()
    assert here.send(here.tagged()).accepted == [TO]
    (mail,) = sink.wait_for(1)
    assert "Token" not in mail.content and SECRET not in mail.content and "Pool" not in mail.content
    assert "Feedback-ID: news:acme:example\n" in mail.content
    assert "CFBL-Address: fbl@example.com; report=arf\n" in mail.content
    for selector, key in KEYS.items():
        assert verify(mail, key, selector)
    assert here.recipients_of(CUSTOMER) == 1 and here.recipients_of(f"ip:{OURS}") == 0
    here.postfix.wait_for("postfix/pool/smtp")


def verified_by_opendkim(mail: Mail, folder: Path) -> None:
    """OpenDKIM's library takes each signature, looked at alone."""
    records = {f"{name}._domainkey.acme.example": record_of(key) for name, key in KEYS.items()}
    head, _, body = mail.raw.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", head)
    signatures = [field for field in fields if field.lower().startswith(b"dkim-signature:")]
    others = [field for field in fields if field not in signatures]
    assert len(signatures) == len(KEYS)
    for signature in signatures:
        assert verify_alone(b"\r\n".join([signature, *others]) + b"\r\n\r\n" + body, records, folder) == 0


@pytest.mark.parametrize(
    "fields",
    [
        "x-ACME-token:{secret}\n",
        "X-Acme-Token:\n {secret}\n",
        "X-Acme-Token:\n\t \n {half}\n  {rest}\n",
        "X-Acme-Token : {secret}\n",
        "X-Acme-Token: {secret}\nX-Other: 1\nX-ACME-TOKEN: {secret}\n",
        "X-Acme-Token: {secret} \n" * 100,
    ],
    ids=["case", "folded", "folded twice", "space", "several", "many"],
)
def test_however_a_right_tag_is_written(smarthost: Any, sink: Sink, fields: str) -> None:
    here = smarthost()
    written = fields.format(secret=SECRET, half=SECRET[:9], rest=SECRET[9:])
    here.send(f"From: news@acme.example\nSubject: hello\n{written}To: {TO}\n\ntext\n")
    (mail,) = sink.wait_for(1)
    assert "token" not in mail.content.lower() and SECRET[9:] not in mail.content
    verified_by_opendkim(mail, here.penstock.folder.path)
    assert here.figures()["acme.1"]["tag"] == {"ok": 1}


@pytest.mark.parametrize(
    ("content", "address", "login", "customer", "result"),
    [
        ({}, OURS, "", "acme.1", "missing"),
        ({"X_Acme_Token": "guessed-guessed-guessed"}, OURS, "", "acme.1", "wrong"),
        ({"X_Acme_Token": OTHER_SECRET}, OURS, "", "bolt", "foreign"),
        ({"X_Acme_Token": SECRET}, THEIRS, "", "acme.1", "foreign"),
        ({"X_Acme_Token": SECRET}, "192.0.2.99", "", "acme.1", "foreign"),
        ({"X_Acme_Token": "guessed-guessed-guessed"}, "192.0.2.99", "", "-", "wrong"),
        ({"X_Acme_Token": ""}, OURS, "", "acme.1", "wrong"),
        ({"X_Acme_Token": f"{SECRET}\nX-Acme-Token: no"}, OURS, "", "acme.1", "wrong"),
        ({"X_Acme_Token": SECRET}, "192.0.2.99", "alice@example.com", "acme.1", "foreign"),
        ({"X_Acme_Token": OLD_SECRET}, "192.0.2.99", "Mailer@Acme.example", "acme.1", "ok"),
        ({"X_Acme_Token": OLD_SECRET}, OURS, "alice@example.com", "acme.1", "ok"),
    ],
)
def test_whose_mail_a_tag_makes_it(
    smarthost: Any,
    sink: Sink,
    content: dict[str, str],
    address: str,
    login: str,
    customer: str,
    result: str,
) -> None:
    here = smarthost()
    here.send(message(**content), login, address)
    (mail,) = sink.wait_for(1)
    assert "Token" not in mail.content and "secret" not in mail.content and "guessed" not in mail.content
    assert here.figures()[customer]["tag"] == {result: 1}
    ordinary = f"login:{login.lower()}" if login else f"ip:{address}"
    assert here.recipients_of(f"customer:{customer}" if result == "ok" else ordinary) == 1
    assert here.recipients_of(ordinary if result == "ok" else "customer:acme.1") == 0
    assert ("pool/smtp" in here.postfix.log()) is (result == "ok")
    assert ("DKIM" in mail.content) is False  # its author is at example.com
    if result != "ok":
        assert f"result={result}" in here.penstock.log()


def test_ordinary_mail_is_as_it_was(smarthost: Any, sink: Sink) -> None:
    here = smarthost()
    here.send(message(X_Other="1"), address="192.0.2.99")
    (mail,) = sink.wait_for(1)
    assert re.sub(r"(?s)^Received:.*?\n(?=\S)", "", mail.content, count=1).startswith(
        "From: alice@example.com\n"
    )
    assert here.recipients_of("ip:192.0.2.99") == 1


def test_a_forged_tag_has_the_ordinary_limits_and_becomes_an_incident(smarthost: Any, sink: Sink) -> None:
    tight = 'recipients = ["6/h"]\nmessages = []\nbytes = []\noutcomes = []\npause = []\nnewcomer = []\n'
    here = smarthost(top=f"[profiles.relay]\n{tight}")
    for i in range(8):
        sent = here.send(
            here.tagged("guessed-guessed-guessed"), address="192.0.2.99", to=[f"r{i}@example.net"]
        )
        assert bool(sent.accepted) is (i < 6)
        assert here.send(here.tagged(), to=[f"s{i}@example.net"]).accepted
    sink.wait_for(14)
    (found,) = here.penstock.cli("incidents")["incidents"]
    assert (found["sender"], found["state"], list(found["signals"])) == (
        "ip:192.0.2.99",
        "open (notice)",
        ["tag"],
    )
    told = here.penstock.cli("incidents", found["id"])["text"]
    assert "8 messages in a day with a tag that is not right" in told and "Nothing was stopped" in told
    assert here.penstock.cli("verdict", found["id"], "legitimate")["verdict"] == "legitimate"


def test_a_bounce_has_no_tag(smarthost: Any, sink: Sink) -> None:
    here = smarthost()
    sink.answers[TO] = "550 5.1.1 nobody"
    here.send(here.tagged())
    here.send(here.tagged("guessed-guessed-guessed"), address=THEIRS)
    for mail in sink.wait_for(2):
        assert mail.recipients == ("bounces@acme.example",) and "Undelivered" in mail.content
        assert "X-Acme-Token" not in mail.content and "secret" not in mail.content


@pytest.mark.parametrize("secret", [SECRET, "guessed-guessed-guessed"])
def test_held_mail_has_no_tag_and_is_signed(smarthost: Any, sink: Sink, secret: str) -> None:
    hold = '[profiles.{}]\npaused = "hold"\nrecipients = []\n'
    here = smarthost(top=hold.format("professional") + hold.format("relay"))
    right = secret == SECRET
    here.penstock.cli("pause", CUSTOMER if right else f"ip:{OURS}", "--reason", "look")
    assert here.send(here.tagged(secret)).accepted
    wait_until(lambda: len(here.postfix.held()) == 1, what="a held message")
    (held,) = here.postfix.held()
    assert "Token" not in here.postfix.command("postcat", "-qbh", held)
    here.postfix.release(held)
    (mail,) = sink.wait_for(1)
    assert "Token" not in mail.content
    if right:
        verified_by_opendkim(mail, here.penstock.folder.path)


def test_a_large_body_in_many_pieces(smarthost: Any, sink: Sink) -> None:
    here = smarthost()
    odd = "a \t b  \n" * 100_000 + "\n\n" + "x" * 900 + "\n" + "  \n" * 90_000
    here.send(here.tagged().replace("\nA line.\n", f"\n{odd}"))
    (mail,) = sink.wait_for(1)
    verified_by_opendkim(mail, here.penstock.folder.path)
    for selector, key in KEYS.items():
        assert verify(mail, key, selector)


def test_a_port_of_its_own_beside_the_policy_service(
    smarthost: Any, start_postfix: StartPostfix, sink: Sink
) -> None:
    """The set-up of docs/howto/professional.md: only that port hands mail to the milter."""
    here = smarthost()
    folder = here.penstock.folder.path
    port = free_port()
    address = here.penstock.cli("status")["listeners"][0]["address"]
    there = start_postfix(
        settings={
            **asks(int(address.rpartition(":")[2])),
            "penstock_milter_smarthost": f"{{ unix:{folder}/milter.sock, {MILTER} }}",
            "milter_header_checks": FILTER.replace("RELAY", str(sink.port)),
        },
        services=f"127.0.0.1:{port} inet n - n - - smtpd\n"
        "  -o smtpd_milters=$penstock_milter_smarthost\n"
        "  -o smtpd_client_restrictions=permit_mynetworks,reject\n"
        "  -o smtpd_recipient_restrictions=\n  -o smtpd_data_restrictions=\n"
        "  -o smtpd_end_of_data_restrictions=\n" + POOL,
    )
    with Client(port, address=OURS) as client:
        assert client.send("bounces@acme.example", [TO], here.tagged()).accepted
    with there.client("alice@example.com") as client:
        assert client.send("alice@example.com", [TO], message()).accepted
    sink.wait_for(2)
    there.wait_for("postfix/pool/smtp")
    assert here.penstock.cli("status")["milters"][0]["messages"] == {"pass": 1}
    assert here.recipients_of(CUSTOMER) == 1 == here.recipients_of("login:alice@example.com")


def test_what_came_of_a_customers_mail_is_its_own(smarthost: Any, sink: Sink) -> None:
    """The log knows addresses and logins only; whose message it was is known from its end."""
    here = smarthost()
    log = here.postfix.folder.path / "mail.log"
    followed = f'[logs.mail]\nfile = "{log}"\nfrom_beginning = true\n'
    here.penstock.configure(here.penstock.config.read_text() + followed)
    here.penstock.restart()
    sink.answers["gone@example.net"] = "550 5.1.1 user unknown"
    here.send(here.tagged(), to=[TO, "gone@example.net"])
    here.send(here.tagged("guessed-guessed-guessed"), to=["carol@example.net"])

    def counted_of(sender: str) -> dict[str, int]:
        sums = {name: week_sum(here.penstock, name, sender) for name in ("delivered", "bounced")}
        return {"recipients": here.recipients_of(sender), **sums}

    expected = {"recipients": 2, "delivered": 1, "bounced": 1}
    wait_until(lambda: counted_of(CUSTOMER) == expected, what="the customer's outcomes")
    expected = {"recipients": 1, "delivered": 1, "bounced": 0}
    wait_until(lambda: counted_of(f"ip:{OURS}") == expected, what="the other sender's outcomes")


def test_secrets_are_rotated_without_a_gap(smarthost: Any, sink: Sink) -> None:
    here = smarthost()
    new = "a-secret-of-acme-2027"
    secrets = here.penstock.folder.path / "acme"
    assert here.send(here.tagged(new)).accepted
    for kept in (f"{SECRET}\n{new}\n", f"{new}\n"):
        secrets.write_text(kept)
        here.penstock.cli("reload")
        assert here.send(here.tagged(SECRET)).accepted and here.send(here.tagged(new)).accepted
    assert here.figures()["acme.1"]["tag"] == {"wrong": 2, "ok": 3}
    told = here.penstock.run("status", "--state", str(here.penstock.state)).stdout
    assert "customer acme.1: tags: 2 wrong, 3 ok; signatures: 3 rsa, 3 ed25519\n" in told
    secrets.chmod(0o644)
    refused = here.penstock.run("reload", "--state", str(here.penstock.state))
    assert refused.returncode == 1 and "others may read or write it (mode 0644)" in refused.stderr
    assert here.send(here.tagged(new)).accepted
    for mail in sink.wait_for(6):
        assert "Token" not in mail.content
    assert here.figures()["acme.1"]["tag"] == {"wrong": 2, "ok": 4}


def test_two_authors_and_other_domains_are_not_signed(smarthost: Any, sink: Sink) -> None:
    here = smarthost()
    for author in (
        "a@acme.example.evil.example",
        "a@notacme.example",
        "A <a@acme.example>, B <b@acme.example>",
    ):
        here.send(here.tagged().replace("news@acme.example", author))
    here.send(here.tagged().replace("news@acme.example", '"Eve <eve@evil.example" <News@Shop.ACME.example>'))
    mails = sink.wait_for(4)
    assert ["DKIM-Signature" in mail.content for mail in mails].count(True) == 1
    assert here.figures()["acme.1"]["signed"] == {"not": 3, "rsa": 1, "ed25519": 1}


def test_bulk_mail_is_looked_at_for_a_way_out(smarthost: Any, sink: Sink) -> None:
    here = smarthost()
    here.send(here.tagged(List_Id="<news.acme.example>"))
    here.send(here.tagged(Precedence="bulk", List_Unsubscribe="<mailto:out@acme.example>"))
    post = {
        "List_Unsubscribe": "<https://acme.example/out>",
        "List_Unsubscribe_Post": "List-Unsubscribe=One-Click",
    }
    here.send(here.tagged(**post), to=[f"r{i}@example.net" for i in range(30)])
    here.send(here.tagged())
    mails = sink.wait_for(33)
    assert here.figures()["acme.1"]["bulk"] == {"missing": 1, "link": 1, "one-click": 1}
    for mail in mails:
        verified_by_opendkim(mail, here.penstock.folder.path)


def test_a_reference_for_reports_stands_beside_the_signatures(smarthost: Any, sink: Sink) -> None:
    here = smarthost(top="[reports]\nheader = true\n")
    here.send(here.tagged())
    (mail,) = sink.wait_for(1)
    assert re.search(r"^X-Penstock-Ref: \S+$", mail.content, re.MULTILINE)
    verified_by_opendkim(mail, here.penstock.folder.path)


# --- crashes and hostile mail -----------------------------------------------------------------


def test_killed_in_the_middle_the_message_is_delivered(smarthost: Any, sink: Sink) -> None:
    """And the tag stays in the house: where we are away, Postfix's own checks take it out when it leaves."""
    checks = "regexp:{ {/^X-Acme-Token[[:space:]]*:/ IGNORE} }"
    here = smarthost(smtp_header_checks=checks, smtp_nested_header_checks=checks)
    client = here.postfix.client(address=OURS)
    client.envelope("bounces@acme.example", [TO])
    here.penstock.kill()
    attached = "\nContent-Type: message/rfc822\n\nX-Acme-Token: 1\nSubject: inside\n\nx\n--b--\n"
    mixed = here.tagged(MIME_Version="1.0", Content_Type='multipart/mixed; boundary="b"')
    assert client.data(mixed + f"\n--b{attached}")[0] == 250
    client.close()
    (mail,) = sink.wait_for(1)
    assert "Token" not in mail.content and "Subject: inside" in mail.content


NASTY = {
    "NUL bytes": b"From: news@acme.example\r\nX-Acme-Token: %s\r\nSubject: a\0b\r\n\r\nx\0y\r\n",
    "8 bit": b"From: \xe9 <news@acme.example>\r\nX-Acme-Token: %s\r\nSubject: caf\xe9\r\n\r\n\xff\xfe\r\n",
    "percents": b"From: news@acme.example\r\nX-Acme-Token: %s\r\nSubject: %%s%%n\r\n\r\n%%s\r\n",
    "no body": b"From: news@acme.example\r\nX-Acme-Token: %s\r\n\r\n",
    "bare LF": b"From: news@acme.example\nX-Acme-Token: %s\nSubject: x\n\nx\ny\r\n",
    "bare CR": b"From: news@acme.example\r\nX-Acme-Token: %s\r\nSubject: x\ry\r\n\r\nx\ry \r\n",
    "no colon": b"From: news@acme.example\r\nX-Acme-Token: %s\r\nno colon here\r\n\r\nx\r\n",
    "no author": b"X-Acme-Token: %s\r\nSubject: x\r\n\r\nx\r\n",
    "two authors": b"From: a@acme.example\r\nFrom: b@acme.example\r\nX-Acme-Token: %s\r\n\r\nx\r\n",
    "names": b"From: news@acme.example\r\nX-Acme-Token: %s\r\nX-\xff: 1\r\nX[*]%%: 2\r\n\r\nx\r\n",
    "long line": b"From: news@acme.example\r\nX-Acme-Token: %s\r\nSubject: x\r\n\r\n" + b"z" * 5000 + b"\r\n",
}


@pytest.mark.parametrize("what", NASTY)
def test_nasty_content_is_delivered_without_its_tag(smarthost: Any, sink: Sink, what: str) -> None:
    """And its signature holds, unless Postfix breaks a line (over 998 bytes) on the way out."""
    here = smarthost()
    assert here.send(NASTY[what] % SECRET.encode()).accepted == [TO]
    (mail,) = sink.wait_for(1)
    if what == "two authors":
        assert "DKIM-Signature" not in mail.content
    elif what != "long line":
        verified_by_opendkim(mail, here.penstock.folder.path)
    assert "Token" not in mail.content and SECRET not in mail.content
    assert here.figures()["acme.1"]["tag"] == {"ok": 1}
    assert here.penstock.cli("status")["milters"][0]["errors"] == 0
    assert here.penstock.cli("status")["milters"][0]["protocol_errors"] == 0


@pytest.mark.parametrize(
    "fields",
    ["X-Big: " + "x" * 500 + "\n" + (" " + "y" * 900 + "\n") * 10_000, "X-Many: " + "z" * 90 + "\n"],
    ids=["one", "many"],
)
def test_ten_megabytes_of_header(smarthost: Any, sink: Sink, fields: str) -> None:
    here = smarthost(message_size_limit="50000000")
    written = fields * (10_000_000 // len(fields) or 1)
    here.send(f"From: news@acme.example\n{written}X-Acme-Token: {SECRET}\nSubject: x\n\ntext\n")
    (mail,) = sink.wait_for(1, seconds=60)
    assert "Token" not in mail.content and "text" in mail.content
    assert here.figures()["acme.1"]["tag"] == {"ok": 1}
    assert here.penstock.cli("status")["milters"][0]["protocol_errors"] == 0


def test_a_hundred_thousand_recipients(smarthost: Any, sink: Sink) -> None:
    """In one transaction; the limits are the customer's, and it is charged for all of them."""
    here = smarthost(
        top="[profiles.professional]\nparents = {}\n",
        smtpd_recipient_limit="100001",
        default_transport="discard:x",
        milter_header_checks="",
        relayhost="",
    )
    client = here.postfix.client(address=OURS)
    assert client.command("MAIL FROM:<bounces@acme.example>")[0] == 250
    for start in range(0, 100_000, 1000):
        lines = (f"RCPT TO:<r{i}@example.net>\r\n" for i in range(start, start + 1000))
        client.smtp.send("".join(lines).encode())
        assert {client.smtp.getreply()[0] for _ in range(1000)} == {250}
    client.smtp.sock.settimeout(120)
    assert client.data(here.tagged())[0] == 250
    client.close()
    assert here.recipients_of(CUSTOMER) == 100_000
