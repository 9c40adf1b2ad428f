"""The front of the log parsers: stamps, hosts and programs of lines, dispatch, and the counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.wire.maillog import lines
from penstock.wire.maillog.facts import Client, Fact, Removed
from penstock.wire.maillog.kinds import Found
from penstock.wire.maillog.lines import MOST_DAEMONS, NO_PROGRAM, NO_STAMP, OTHERS, Reader
from penstock.wire.maillog.stamps import Clock

T0 = datetime(2026, 1, 27, 6, 36, 56, tzinfo=UTC).timestamp()
GONE = "4F5C64474F: removed"


@pytest.fixture
def reader() -> Reader:
    return Reader(Clock(2026, UTC), "here")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str, str]]:
    """What reaches the parsers of Exim, PHP and Dovecot."""
    found: list[tuple[float, str, str]] = []

    def parse(at: float, scope: str, text: str) -> Found:
        found.append((at, scope, text))
        return Removed(at, scope, text)

    for program in ("exim", "php", "dovecot"):
        monkeypatch.setitem(lines.PROGRAMS, program, parse)
    return found


@pytest.mark.parametrize(
    "line",
    [
        f"Jan 27 06:36:56 mail postfix/qmgr[812]: {GONE}",
        f"Jan 27 06:36:56 mail postfix/qmgr: {GONE}",
        f"<22>Jan 27 06:36:56 mail postfix/qmgr[812]: {GONE}",
        f"2026-01-27T06:36:56+00:00 mail postfix/qmgr[812]: {GONE}",
        f"2026-01-27T06:36:56Z mail postfix/qmgr[812]: {GONE}",
        f"<22>2026-01-27T07:36:56.000000+01:00 mail postfix/qmgr[812]: {GONE}",
        f"Jan 27 06:36:56 mail postfix/qmgr[812]: {GONE} ",
        f"Jan 27 06:36:56 mail postfix/qmgr[812]: {GONE}\r\n",
    ],
)
def test_the_forms_of_a_line(reader: Reader, line: str) -> None:
    for _ in range(3):  # also from what it remembers
        assert reader.feed(line) == Removed(T0, "mail/postfix", "4F5C64474F")
    assert (reader.understood, reader.ignored, reader.foreign, reader.unknown) == (3, 0, 0, {})


def test_parts_of_seconds_are_kept(reader: Reader) -> None:
    assert reader.feed(f"2026-01-27T06:36:56.125000+00:00 mail postfix/qmgr[812]: {GONE}") == Removed(
        T0 + 0.125, "mail/postfix", "4F5C64474F"
    )


def test_fields_of_the_journal(reader: Reader) -> None:
    found = reader.feed_parts(T0, "mail", "postfix/submission/smtpd", "4F5C64474F: client=unknown[192.0.2.7]")
    assert found == Client(T0, "mail/postfix", "4F5C64474F", "192.0.2.7", "", "")
    assert reader.feed_parts(T0, "mail", "sshd", "anything") is None
    assert reader.feed_parts(T0, "mail", "", f"Jan 27 06:36:56 mail postfix/qmgr[812]: {GONE} ") is None
    assert (reader.understood, reader.foreign, reader.unknown[NO_PROGRAM]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("program", "scope"),
    [
        ("postfix/qmgr", "mail/postfix"),
        ("postfix-out/qmgr", "mail/postfix-out"),
        ("postfix-192.0.2.1/qmgr", "mail/postfix-192.0.2.1"),
        ("relay/qmgr", "mail/relay"),
        ("postfix/any/service/qmgr", "mail/postfix"),
    ],
)
def test_instances(reader: Reader, program: str, scope: str) -> None:
    assert reader.feed(f"Jan 27 06:36:56 mail {program}[1]: {GONE}") == Removed(T0, scope, "4F5C64474F")


def test_lines_of_other_programs_are_foreign(reader: Reader) -> None:
    for program in ("sshd[1]", "kernel", "amavis[22]", "qmgr[1]", "CRON[7]"):
        assert reader.feed(f"Jan 27 06:36:56 mail {program}: {GONE}") is None
    assert (reader.understood, reader.foreign, reader.unknown) == (0, 5, {})


def test_a_line_within_a_line_is_text(reader: Reader) -> None:
    inner = f"Jan 27 06:36:56 mail postfix/qmgr[812]: {GONE}"
    reader.feed(inner)
    for outer in (
        f"Jan 27 06:36:56 mail sshd[1]: {inner}",
        f"Jan 27 06:36:56 mail postfix/smtpd[1]: {inner}",
    ):
        assert reader.feed(outer) is None


def test_unknown_lines_are_counted_by_daemon_with_a_sample(reader: Reader) -> None:
    reader.feed("Jan 27 06:36:56 mail postfix/smtpd[1]: something new")
    reader.feed("Jan 27 06:36:57 mail postfix/smtpd[1]: something newer " + "x" * 1000)
    reader.feed("Jan 27 06:36:57 mail postfix/newdaemon[1]: hello")
    reader.feed("Jan 27 06:36:57 mail without a program")
    reader.feed("Jan 27 06:36:57")
    reader.feed("ir/)")
    reader.feed("")
    assert reader.unknown == {"smtpd": 2, "newdaemon": 1, NO_PROGRAM: 2, NO_STAMP: 1}
    assert reader.samples["smtpd"].startswith("Jan 27 06:36:57 mail postfix/smtpd[1]: something newer x")
    assert max(map(len, reader.samples.values())) == 300
    assert reader.ignored == 1


def test_folded_lines_are_ignored(reader: Reader) -> None:
    reader.feed("Jan 27 06:36:57 mail last message repeated 3 times")
    reader.feed("Jan 27 06:36:57 mail --- last message repeated 1 time ---")
    reader.feed("Jan 27 06:36:57 mail postfix/smtpd[1]: message repeated 2 times: [ x ]")
    assert (reader.ignored, reader.unknown) == (3, {})


def test_memory_is_bounded(reader: Reader) -> None:
    for number in range(9_000):
        reader.feed(f"Jan 27 06:36:56 mail{number} postfix/odd{number}[{number}]: x")
        reader.feed(f"Jan 27 06:36:56 mail {'x' * number}[1]: x")
    assert len(reader.unknown) == len(reader.samples) <= MOST_DAEMONS + 1
    assert reader.unknown[OTHERS] > 8_000
    assert len(reader._routes) <= lines.MOST_ROUTES


def test_files_of_exim_and_php_are_known_by_their_first_characters(
    heard: list[tuple[float, str, str]], reader: Reader
) -> None:
    reader.feed("2026-01-27 06:36:56 1abcde-000001-01 Completed")
    reader.feed("2026-01-27 06:36:56.500 +0100 [4711] 1abcde-000001-01 Completed")
    reader.feed("[27-Jan-2026 06:36:56 UTC] mail() on [/srv/x.php:3]: To: a@example.com")
    assert heard == [
        (T0, "here/exim", "1abcde-000001-01 Completed"),
        (T0 - 3600 + 0.5, "here/exim", "1abcde-000001-01 Completed"),
        (T0, "here/php", "mail() on [/srv/x.php:3]: To: a@example.com"),
    ]


def test_exim_through_syslog_may_bring_its_own_stamp(
    heard: list[tuple[float, str, str]], reader: Reader
) -> None:
    reader.feed("Jan 27 06:36:56 mail exim[7]: 2026-01-27 06:36:55 [7] 1abcde-000001-01 Completed")
    reader.feed("Jan 27 06:36:56 mail exim[7]: 1abcde-000001-01 Completed")
    assert heard == [(T0, "mail/exim", "1abcde-000001-01 Completed")] * 2


def test_other_programs_have_their_rows(heard: list[tuple[float, str, str]], reader: Reader) -> None:
    reader.feed("Jan 27 06:36:56 mail dovecot: imap-login: Login: user=<al>")
    reader.feed("Jan 27 06:36:56 mail dovecot[12]: auth: x")
    reader.feed_parts(T0, "mail", "dovecot", "imap: y")
    assert [text for _, _, text in heard] == ["imap-login: Login: user=<al>", "auth: x", "imap: y"]


def test_an_entry_of_exims_own_file_may_go_on_over_several_lines(reader: Reader) -> None:
    reader.feed("  before any entry")
    reader.feed("2026-01-27 06:36:56 1abcde-000001-01 Completed")
    reader.feed("  X-Header: of a refused message")
    reader.feed("\tand its fold")
    assert (reader.understood, reader.ignored, reader.unknown) == (1, 2, {NO_STAMP: 1})


def test_dovecots_own_file_names_no_host(heard: list[tuple[float, str, str]], reader: Reader) -> None:
    told = [
        "pop3-login: Info: Login: user=<al@example.com>, method=PLAIN, rip=192.0.2.7",
        "imap(al@example.com)<23303><44zQzN25SOFEt9oI>: Info: Logged out",
        "lmtp(17, al@example.com): Info: saved mail to INBOX",
        "master: Warning: Killed with signal 15",
        "imap(" + "x" * 400 + "): Info: Logged out",
    ]
    for text in told:
        reader.feed(f"Jan 27 06:36:56 {text}")
    assert heard == [(T0, "here/dovecot", text) for text in told]
    reader.feed(f"Jan 27 06:36:56 master postfix/qmgr[812]: {GONE}")
    reader.feed("Jan 27 06:36:56 someprogram: without a host")
    assert (len(heard), reader.understood, reader.unknown) == (5, 6, {NO_PROGRAM: 1})


def test_lines_of_several_hosts_and_kinds_of_stamps_in_one_go(reader: Reader) -> None:
    fed = [
        f"Jan 27 06:36:56 mail postfix/qmgr[812]: {GONE}",
        f"mail postfix/qmgr[812]: {GONE}",
        f"Jan 27 06:36:57 mail postfix/qmgr[812]: {GONE}",
        f"2026-01-27T06:36:58.500000+00:00 mail postfix/qmgr[812]: {GONE}",
        f"2026-01-27T06:36:58.750000+00:00 mail postfix/qmgr[812]: {GONE}",
        "Jan 27 06:36:59 mail sshd[1]: x",
        "Jan 27 06:36:59 mail sshd[1]: x",
        f"Jan 27 06:36:59 other postfix-out/qmgr[812]: {GONE}",
    ]
    facts = reader.feed_lines(fed[:4]) + reader.feed_lines(fed[4:])
    assert [fact.at - T0 for fact in facts] == [0, 1, 2.5, 2.75, 3]
    assert facts[-1] == Removed(T0 + 3, "other/postfix-out", "4F5C64474F")
    assert (reader.understood, reader.foreign, reader.unknown) == (5, 2, {NO_STAMP: 1})


HOSTILE = [
    "<" * 5000,
    "<22>" * 2000,
    "<99999999>x",
    "<22>",
    "[" * 5000,
    "[27-Jan-2026 06:36:56 UTC]",
    "Jan 27 06:36:56 " * 500,
    "Jan 27 06:36:56 mail postfix/qmgr[812]",
    "Jan 27 06:36:56 mail postfix/qmgr[812]:",
    "Jan 27 06:36:56 mail postfix/qmgr[812]: ",
    "Jan 27 06:36:56 mail: ",
    "Jan 27 06:36:56 : ",
    "2026-01-27T06:36:56 ",
    "2026-01-27T06:36:56.",
    "2026-01-27 06:36:56",
    "2026-01-27T" + "9" * 5000,
    "²026-01-27T06:36:56.²²²²²²+00:00 mail x: y",
    "2026-01-27T06:36:56." + "9" * 5000 + "Z",
    "\udcff\udcfe" * 100,
    "\0" * 100,
    "a last message repeated " * 3000,
]


@pytest.mark.parametrize("line", HOSTILE)
def test_whatever_a_line_is_nothing_is_raised(reader: Reader, line: str) -> None:
    facts: list[Fact | None] = [reader.feed(line), reader.feed(line + "\n")]
    facts.append(reader.feed_parts(T0, line, line, line))
    assert facts == [None] * 3
    assert reader.understood == 0
    assert reader.ignored + reader.foreign + reader.unknown.total() == 3


def test_counts_add_up(reader: Reader) -> None:
    fed = [f"Jan 27 06:36:56 mail postfix/qmgr[812]: {GONE}", "Jan 27 06:36:56 mail sshd: x", "", "junk"]
    fed += ["Jan 27 06:36:56 mail postfix/smtpd[1]: connect from unknown[192.0.2.7]"] * 2
    for line in fed:
        reader.feed(line)
    assert (reader.understood, reader.foreign, reader.ignored, reader.unknown.total()) == (1, 1, 3, 1)
