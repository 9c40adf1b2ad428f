"""Exim's main log: what each line says, and that nobody writes himself another address or name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.events import LoggedIn
from penstock.wire.maillog import exim
from penstock.wire.maillog.facts import Arrived, Called, Outcome, Refused, Removed
from penstock.wire.maillog.kinds import IGNORED, Kind

SCOPE = "mail/exim"
NEW = "1rTxyz-000000005vi-0000"
OLD = "1abcDE-0004fg-Hi"
TRUE = "192.0.2.66"
FALSE = "198.51.100.1"
END = 'S=9 id=abc@example.net T="hello" for bob@example.org'


def parse(text: str) -> object:
    return exim.parse(1.0, SCOPE, text)


def arrived(text: str) -> Arrived:
    found = parse(f"{NEW} <= {text}")
    assert isinstance(found, Arrived)
    return found


def outcome(text: str) -> Outcome:
    found = parse(f"{NEW} {text}")
    assert isinstance(found, Outcome)
    return found


def test_an_authenticated_arrival() -> None:
    found = parse(
        f"{OLD} <= alice@example.com H=dsl.example.net (PC-7) [192.0.2.7]:1543 I=[192.0.2.1]:587 P=esmtpsa "
        "X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no SNI=mail.example.com A=dovecot_login:alice@example.com K "
        'S=34553 id=01d1$ab@example.com T="Re: offer" for bob@example.org carol@example.org'
    )
    assert found == Arrived(
        1.0,
        SCOPE,
        OLD,
        "192.0.2.7",
        "alice@example.com",
        "",
        "alice@example.com",
        "01d1$ab@example.com",
        34553,
        2,
        "",
    )


def test_a_local_submission() -> None:
    found = arrived("web@example.com U=web33 P=local S=812 id=E1@mail.example.com for a@example.org")
    assert (found.user, found.login, found.client_address, found.recipients) == ("web33", "", "", 1)


def test_a_bounce_has_a_parent_and_no_sender() -> None:
    found = arrived(f'<> R={OLD} U=exim P=local S=1912 T="Mail failure" for a@example.com')
    assert (found.envelope_from, found.parent, found.user) == ("", OLD, "exim")


@pytest.mark.parametrize(
    ("auth", "login"),
    [
        ("plain:alice", "alice"),
        ("plain:alice@example.com:8080", "alice@example.com:8080"),
        ("plain", ""),
        ('plain:"john doe"', '"john doe"'),
        ("ldap:uid=joe, ou=people", "uid=joe, ou=people"),
        ("ldap:uid=joe, ou=people K PRDR", "uid=joe, ou=people"),
        ("plain:alice L* K", "alice"),
    ],
)
def test_logins(auth: str, login: str) -> None:
    assert arrived(f"a@example.com H=(pc) [{TRUE}] P=esmtpsa A={auth} {END}").login == login


def test_ident_is_no_user() -> None:
    found = arrived(f"a@example.com H=(pc) [{TRUE}] U=root P=esmtp {END}")
    assert (found.user, found.client_address) == ("", TRUE)


@pytest.mark.parametrize("told", ["sss", "ip4.ip4.ip4.ip4", "-", "99999999999999999999"])
def test_a_size_that_is_none(told: str) -> None:
    assert arrived(f"a@example.com H=(pc) [{TRUE}] P=esmtp S={told}").size == 0


def test_an_address_that_is_none() -> None:
    assert arrived("a@example.com H=(pc) [ip4.ip4.ip4.ip4] P=esmtp S=1").client_address == ""


def test_a_certificates_name_with_blanks() -> None:
    found = arrived(f'a@example.com H=h [{TRUE}] P=esmtpsa X=x CV=yes DN="/CN=A B" A=plain:alice {END}')
    assert (found.client_address, found.login, found.recipients) == (TRUE, "alice", 1)


def test_a_user_name_with_a_blank() -> None:
    assert arrived("a@example.com U=spaced user P=local-esmtp S=9").user == "spaced user"


def test_recipients_are_counted() -> None:
    assert (
        arrived(f'a@example.com U=u P=local S=9 for "b c"@example.org {"d@example.org " * 3}e').recipients
        == 5
    )


HELOS = [
    f"x) [{FALSE}] P=esmtpsa A=plain:victim S=5 id=foo@bar",
    f"x) [{FALSE}] P=esmtpsa A=plain:victim",
    f"x) [{FALSE}]:25 I=[192.0.2.1]:25 P=esmtpsa A=plain:victim S=5",
    f'x) [{FALSE}] P=esmtpsa A=plain:victim S=5 T="',
    f'x) [{FALSE}] P=esmtpsa A=plain:victim S=5 T="a" for b@example.org',
    f'x) [{FALSE}] P=esmtpsa A=plain:victim S=5 for "',
    f'x) [{FALSE}] P=esmtpsa A=plain:victim DN="',
    f"x) [{FALSE}] P=esmtpsa A=plain:victim S=5 from <",
    f"x) [{FALSE}] P=esmtpsa A=plain:victim S=5 Q=(",
    "x y",
    f"[{FALSE}]",
]


@pytest.mark.parametrize("helo", HELOS)
@pytest.mark.parametrize(
    "end", [END, "S=9", 'S=9 id="q"@example.net', 'S=9 id=" for a"@b T="x \\" y" for "a b"@c']
)
def test_helo_changes_nothing(helo: str, end: str) -> None:
    found = arrived(f"a@example.com H=({helo}) [{TRUE}]:77 P=esmtpsa A=plain:mallory {end}")
    assert (found.client_address, found.login, found.user) == (TRUE, "mallory", "")
    found = arrived(f"a@example.com H=h.example.net ({helo}) [{TRUE}]:77 P=esmtp {end}")
    assert (found.client_address, found.login, found.user) == (TRUE, "", "")


@pytest.mark.parametrize(
    "subject",
    [
        f"a) [{FALSE}] P=esmtpsa A=plain:victim S=5",
        f'\\" A=plain:victim S=5 id=x [{FALSE}] P=local U=root S=6 T=\\"x',
        "x \\\\",
        '\\" for a@b c@d',
        " for a b c",
    ],
)
def test_a_subject_changes_nothing(subject: str) -> None:
    for client, ip, user in (
        (f"H=(pc) [{TRUE}] P=esmtpsa A=plain:mallory", TRUE, ""),
        ("U=web P=local", "", "web"),
    ):
        found = arrived(f'a@example.com {client} S=9 id=i@example.net T="{subject}" for x@example.org')
        assert (found.client_address, found.user, found.size, found.recipients) == (ip, user, 9, 1)
        assert found.message_id == "i@example.net"
        assert found.login == ("mallory" if ip else "")


@pytest.mark.parametrize(
    "sender", ['"x H=h [198.51.100.1] P=local U=root S=5"@b', '"a\\" A=plain:victim"@example.com']
)
def test_a_sender_changes_nothing(sender: str) -> None:
    found = arrived(f"{sender} H=(pc) [{TRUE}] P=esmtpsa A=plain:mallory {END}")
    assert (found.client_address, found.login, found.envelope_from) == (TRUE, "mallory", sender)


def test_a_message_id_changes_nothing() -> None:
    found = arrived(
        f'a@example.com H=(pc) [{TRUE}] P=esmtp S=9 id="A=plain:victim [{FALSE}] P=local U=root"@b'
    )
    assert (found.client_address, found.login, found.user) == (TRUE, "", "")


def test_ident_changes_no_name() -> None:
    found = arrived(f"a@example.com H=(pc) [{TRUE}] U=x [{FALSE}] P=local P=esmtpsa A=plain:mallory {END}")
    assert (found.client_address, found.login, found.user) == ("", "mallory", "")


def test_helo_with_an_ident_is_not_believed() -> None:
    found = arrived(f"a@example.com H=(x) [{FALSE}] P=local U=root) [{TRUE}] P=esmtpsa A=plain:mallory {END}")
    assert (found.client_address, found.login, found.user) == ("", "mallory", "")


def test_a_local_helo_hides_nobody() -> None:
    found = arrived(f"a@example.com H=(x) [{FALSE}] P=esmtp A=plain:victim) U=web P=local-esmtp {END}")
    assert (found.client_address, found.login, found.user) == ("", "", "web")


NASTY = st.text(
    st.sampled_from('ab \\"[]()<>=:@.1SAPUHTfor') | st.characters(codec="utf-8", exclude_characters="\n")
)


@given(NASTY)
def test_no_helo_names_another(helo: str) -> None:
    found = arrived(f"a@example.com H=({helo}) [{TRUE}] P=esmtpsa A=plain:mallory {END}")
    assert found.client_address in ("", TRUE)
    assert found.login in ("", "mallory")
    assert not found.user


@given(NASTY)
def test_no_subject_names_another(subject: str) -> None:
    escaped = subject.replace("\\", "\\\\").replace('"', '\\"')
    found = arrived(f'a@example.com U=web P=local S=9 id=i@example.net T="{escaped}" for x@example.org')
    assert (found.user, found.size, found.recipients, found.client_address) == ("web", 9, 1, "")


def test_a_delivery() -> None:
    found = outcome(
        "=> bob@example.org <b@example.com> F=<a@example.com> R=dnslookup T=remote_smtp S=912 "
        'H=mx.example.org [198.51.100.4]:25* X=TLS1.3:x:256 CV=yes K C="250 2.0.0 Ok: \\"queued\\" '
        'as 4F" QT=2s DT=1s'
    )
    assert found == Outcome(
        1.0,
        SCOPE,
        NEW,
        "remote_smtp",
        "bob@example.org",
        "b@example.com",
        "mx.example.org [198.51.100.4]:25",
        "sent",
        "2.0.0",
        '250 2.0.0 Ok: "queued" as 4F',
    )


@pytest.mark.parametrize(
    ("line", "service", "recipient", "original"),
    [
        (
            '-> carol@example.org R=r T=remote_smtp H=::1 [::1] C="250 ok"',
            "remote_smtp",
            "carol@example.org",
            "",
        ),
        (">> d@example.org (e@x.example) <f@x.example> R=r T=t", "t", "d@example.org", "f@x.example"),
        ("*> d@example.org R=r T=t", "t", "d@example.org", ""),
        ("=> bob <bob@example.com> R=localuser T=local_delivery", "local_delivery", "bob", "bob@example.com"),
        ("=> :blackhole: <x@example.com> R=system_aliases", "discard", ":blackhole:", "x@example.com"),
        ("=> discarded <x@example.com> R=client", "discard", "discarded", "x@example.com"),
        (
            '=> |/bin/vacation -m "a : b" joe <joe@example.com> R=r T=t',
            "pipe",
            '|/bin/vacation -m "a : b" joe',
            "joe@example.com",
        ),
        ("=> /srv/My Mail/ <joe@example.com> R=r T=t", "file", "/srv/My Mail/", "joe@example.com"),
        ("=> >joe@example.org <joe@example.com> R=r T=t", "autoreply", ">joe@example.org", "joe@example.com"),
        ('=> "a b R=x"@example.org R=r T=t', "t", '"a b R=x"@example.org', ""),
    ],
)
def test_deliveries(line: str, service: str, recipient: str, original: str) -> None:
    found = outcome(line)
    assert (found.service, found.recipient, found.original, found.status) == (
        service,
        recipient,
        original,
        "sent",
    )


@pytest.mark.parametrize(
    ("line", "relay", "dsn", "reply"),
    [
        (
            "R=d T=smtp H=mx.example.org [198.51.100.4] X=TLS1.3:x:256 CV=yes: SMTP error from "
            "remote mail server after "
            "RCPT TO:<bob@example.org>: 550 5.1.1 no such user",
            "mx.example.org [198.51.100.4]",
            "5.1.1",
            "550 5.1.1 no such user",
        ),
        (
            "R=d T=smtp: SMTP error from remote mail server after RCPT TO:<bob@example.org>: host "
            "mx.example.org "
            "[198.51.100.4]: 550-5.7.1 bad\\n550 5.7.1 reputation",
            "",
            "5.7.1",
            "550-5.7.1 bad\\n550 5.7.1 reputation",
        ),
        (
            "R=d T=smtp H=mx [198.51.100.4] : SMTP error from remote mail server after pipelined end "
            "of data: 554 spam",
            "mx [198.51.100.4]",
            "",
            "554 spam",
        ),
        (
            "R=d T=smtp H=mx [198.51.100.4] : SMTP error from remote mail server after MAIL "
            "FROM:<a@b> SIZE=9: 552 5.3.4 x",
            "mx [198.51.100.4]",
            "5.3.4",
            "552 5.3.4 x",
        ),
        (
            "R=d T=lmtp H=mx [198.51.100.4]: LMTP error after RCPT TO:<bob@example.org>: 550 5.2.2 full",
            "mx [198.51.100.4]",
            "5.2.2",
            "550 5.2.2 full",
        ),
        (": Unrouteable address", "", "", "Unrouteable address"),
        ("R=d T=smtp: retry timeout exceeded", "", "", "retry timeout exceeded"),
    ],
)
def test_failures(line: str, relay: str, dsn: str, reply: str) -> None:
    found = outcome(f"** bob@example.org <b@example.com> F=<a@example.com> {line}".replace("> :", ">:"))
    assert (found.recipient, found.original, found.status) == ("bob@example.org", "b@example.com", "bounced")
    assert (found.relay, found.dsn, found.reply) == (relay, dsn, reply)


@pytest.mark.parametrize(
    ("line", "service", "relay", "dsn", "reply"),
    [
        (
            "R=d T=smtp defer (-44) H=mx.example.org [198.51.100.4]: SMTP error from remote mail "
            "server after "
            "RCPT TO:<bob@example.org>: 451 4.7.1 greylisted",
            "smtp",
            "mx.example.org [198.51.100.4]",
            "4.7.1",
            "451 4.7.1 greylisted",
        ),
        (
            "R=d T=smtp defer (110): Connection timed out H=mx.example.org [198.51.100.4]:25*: SMTP "
            "timeout after EHLO",
            "smtp",
            "mx.example.org [198.51.100.4]:25",
            "",
            "SMTP timeout after EHLO",
        ),
        (
            "R=d T=smtp defer (111): Connection refused H=mx.example.org [198.51.100.4]",
            "smtp",
            "mx.example.org [198.51.100.4]",
            "",
            "Connection refused",
        ),
        ("R=d T=smtp defer (111): Connection refused", "smtp", "", "", "Connection refused"),
        ("routing defer (-51): retry time not reached", "", "", "", "retry time not reached"),
    ],
)
def test_deferrals(line: str, service: str, relay: str, dsn: str, reply: str) -> None:
    found = outcome(f"== bob@example.org {line}")
    assert (found.recipient, found.status, found.service) == ("bob@example.org", "deferred", service)
    assert (found.relay, found.dsn, found.reply) == (relay, dsn, reply)


def test_a_recipient_writes_no_reply() -> None:
    to = '"x>: 550 5.7.1 blocked"@example.org'
    found = outcome(
        f"** {to} R=d T=smtp H=mx [198.51.100.4]: SMTP error from remote mail server after RCPT "
        f"TO:<{to}>: 550 5.1.1 no"
    )
    assert (found.recipient, found.dsn, found.reply) == (to, "5.1.1", "550 5.1.1 no")


def test_thrown_away_by_an_acl() -> None:
    found = parse(f"{NEW} => blackhole (DATA ACL discarded message)")
    assert isinstance(found, Refused)
    assert (found.action, found.queue_id, found.reply) == ("discard", NEW, "DATA ACL discarded message")


@pytest.mark.parametrize("line", [f"{NEW} Completed", f"{OLD} Completed QT=3s"])
def test_completed(line: str) -> None:
    assert parse(line) == Removed(1.0, SCOPE, line.split(" ")[0])


def test_a_call() -> None:
    found = parse("cwd=/home/web33/www 4 args: /usr/sbin/sendmail -t -i -f 3 args: x")
    assert found == Called(1.0, SCOPE, "/home/web33/www", "/usr/sbin/sendmail -t -i -f 3 args: x")


@pytest.mark.parametrize(
    ("line", "queue_id", "action", "stage", "recipient", "reply"),
    [
        (
            "rejected RCPT <b@example.org>: relay not permitted",
            "",
            "reject",
            "RCPT",
            "b@example.org",
            "relay not permitted",
        ),
        ("rejected RCPT b@example.org: no", "", "reject", "RCPT", "b@example.org", "no"),
        ("temporarily rejected RCPT <b@example.org>", "", "reject", "RCPT", "b@example.org", ""),
        ("rejected after DATA: spam", NEW, "reject", "END-OF-MESSAGE", "", "spam"),
        ("rejected by local_scan(): no", NEW, "reject", "END-OF-MESSAGE", "", "no"),
        ("rejected MAIL <a@example.com>: why", "", "reject", "MAIL", "", "why"),
        ('temporarily rejected connection in "connect" ACL: "limit"', "", "reject", "CONNECT", "", '"limit"'),
        ("RCPT <b@example.org>: discarded by RCPT ACL", "", "discard", "RCPT", "b@example.org", "RCPT ACL"),
    ],
)
def test_refusals(line: str, queue_id: str, action: str, stage: str, recipient: str, reply: str) -> None:
    client = f"H=h.example.net (pc) [{TRUE}]:99 I=[192.0.2.1]:25 X=TLS1.2:x:256 CV=no "
    client += "F=<a@example.com> A=plain:alice"
    found = parse(f"{queue_id} {client} {line}".strip())
    assert found == Refused(
        1.0, SCOPE, queue_id, action, stage, TRUE, "alice", "a@example.com", recipient, reply
    )


@pytest.mark.parametrize(
    "client",
    [
        f"H=(x) [{FALSE}] F=<> A=plain:victim rejected RCPT <q@example.org>: z) [{TRUE}] F=<a@b>",
        f"H=(x y) [{FALSE}] F=<> A=plain:victim rejected RCPT <q@example.org>: z) [{TRUE}] F=<a@b>",
        f'H=(x) [{TRUE}] F=<"a> A=plain:victim rejected RCPT <x>: "@b>',
        f"H=(x [{FALSE}] F=<> A=plain:victim) [{TRUE}] F=<a@b>",
    ],
)
def test_no_refusal_names_another(client: str) -> None:
    found = parse(f"{client} rejected RCPT <v@example.org>: no")
    assert isinstance(found, Refused)
    assert found.client_address in ("", TRUE)
    assert found.login == ""


@pytest.mark.parametrize(
    ("line", "login", "ip"),
    [
        (
            f"plain_login authenticator failed for (pc) [{TRUE}]: 535 Incorrect authentication data "
            f"(set_id=joe)",
            "joe",
            TRUE,
        ),
        (
            f"dovecot_login authenticator failed for h.example.net ([{FALSE}]) [{TRUE}]:41 "
            f"I=[192.0.2.1]:465 Ci=3: "
            "535 Incorrect authentication data (set_id=joe@example.com)",
            "joe@example.com",
            TRUE,
        ),
        (
            f"login authenticator failed for H=(pc) [{TRUE}] U=root: 535 Incorrect authentication data",
            "",
            TRUE,
        ),
        ("plain authenticator failed for U=web: 535 Incorrect authentication data (set_id=joe)", "joe", ""),
        (
            f"login authenticator failed for (x) [{FALSE}]) [{TRUE}]: 535 Incorrect authentication "
            f"data (set_id=joe)",
            "joe",
            TRUE,
        ),
        (
            f"login authenticator failed for (x) [{FALSE}]: 535 Incorrect authentication data "
            f"(set_id=victim) [{TRUE}]: "
            "535 Incorrect authentication data (set_id=joe)",
            "",
            "",
        ),
    ],
)
def test_failed_logins(line: str, login: str, ip: str) -> None:
    assert parse(line) == LoggedIn(1.0, login, ip, "smtp", False)


@pytest.mark.parametrize(
    "line",
    [
        "Start queue run: pid=12",
        "exim 4.97 daemon started: pid=1, -q30m",
        "no host name found for IP address 192.0.2.8",
        f"{NEW} Message is frozen",
        f"{NEW} Unfrozen by errmsg timer",
        f"{NEW} removed by root",
        f"{NEW} H=mx.example.org [198.51.100.4] Connection refused",
        f"{NEW} mx.example.org [198.51.100.4] Connection timed out",
        f"{NEW} H=mx.example.org [198.51.100.4]: SMTP error from remote mail server after RCPT "
        f"TO:<a@b>: 450 x",
        "H=tata.example [192.0.2.4]:41584 sender verify fail for <t@example.com>: no",
        "login authenticator failed for (pc) [192.0.2.4]: 435 Unable to authenticate at present "
        "(set_id=joe): down",
        "  a line that goes on",
        "[2\\3] the rest of a long line",
    ],
)
def test_ignored(line: str) -> None:
    assert parse(line) is IGNORED


@pytest.mark.parametrize(
    "line", ["something new", f"{NEW} something new", f"{NEW} <= ", f"{NEW} == x", "cwd=x"]
)
def test_unknown(line: str) -> None:
    assert parse(line) is None


def test_the_first_part_of_a_split_line() -> None:
    found = parse(f'[1/2] {NEW} <= a@example.com U=web P=local S=9 T="a very')
    assert isinstance(found, Arrived)
    assert found.queue_id == NEW


@given(NASTY, st.sampled_from(["<= ", "=> ", "== ", "** ", "H=", "", "x authenticator failed for "]))
def test_whatever_is_said_the_queue_id_is_the_lines_own(text: str, begin: str) -> None:
    found = parse(f"{NEW} {begin}{text}")
    assert found is None or found is IGNORED or getattr(found, "queue_id", NEW) == NEW
    assert not isinstance(parse(begin + text), Arrived | Outcome)


def test_every_kind_is_ignored() -> None:
    for kind in exim.KINDS:
        assert isinstance(kind, Kind)
        assert parse(f"{NEW} {kind.prefix}x" if kind.queued else f"{kind.prefix}x") is IGNORED, kind
