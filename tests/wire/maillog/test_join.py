"""Facts → events: senders, acceptance, ends, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.maillog.support import (
    AWAY,
    HOST,
    client,
    lines,
    named,
    outcome,
    queued,
    refused,
    removed,
    told,
)

from penstock.core.events import (
    Accepted,
    Bounced,
    Delivered,
    Died,
    LoggedIn,
    Rejected,
    ScriptMailed,
)
from penstock.wire.maillog.facts import (
    Arrived,
    Called,
    Expired,
    Fact,
    PickedUp,
    Removed,
    Returned,
)
from penstock.wire.maillog.join import Join

# Senders


def test_a_login_is_an_event_and_the_sender() -> None:
    login, accepted, delivered = told(
        client(1, login="Alice@example.com"), named(1), queued(2, n=3), outcome(3, "sent"), removed(3)
    )
    assert login == LoggedIn(1, "Alice@example.com", "203.0.113.5", "smtp", True)
    assert isinstance(accepted, Accepted) and isinstance(delivered, Delivered)
    m = accepted.message
    assert (accepted.at, m.at, m.scope, m.queue_id) == (2, 1, HOST, "A1")
    assert (m.kind, m.name, m.client_address) == ("login", "Alice@example.com", "203.0.113.5")
    assert (m.envelope_from, m.message_id, m.recipients, m.size) == ("a@example.com", "1@example.com", 3, 500)
    assert delivered == Delivered(3, m, "r@example.net", AWAY)


def test_pickup_is_a_uid_and_a_client_without_login_an_address() -> None:
    assert lines(PickedUp(1, HOST, "A1", 1033, "www"), queued(1)) == ["m1 accepted uid:s1 n=1"]
    assert lines(client(1), queued(1)) == ["m1 accepted ip:s1 n=1"]


@pytest.mark.parametrize("sender", ["", "<>"])
def test_notices_from_outside_are_nobodys(sender: str) -> None:
    join = Join()
    assert lines(client(1), queued(1, sender=sender), Removed(2, HOST, "A1"), join=join) == [
        "m1 accepted nobody n=1"
    ]


@pytest.mark.parametrize("sender", ["", "<>", "SRS0=x=y=example.org=b@example.com"])
def test_nobody_here_writes_himself_free_with_an_empty_sender(sender: str) -> None:
    assert lines(client(1, login="a"), queued(1, sender=sender)) == ["m1 accepted login:s1 n=1"]
    picked = PickedUp(1, HOST, "A1", 33, sender)
    assert lines(picked, queued(1, sender=sender)) == ["m1 accepted uid:s1 n=1"]


@pytest.mark.parametrize("sender", ["SRS0=x=y=example.org=b@example.com", "srs1+x@example.com", "SRS0-x@e"])
def test_forwards_under_srs_are_nobodys_unless_somebody_logged_in(sender: str) -> None:
    assert lines(client(1), queued(1, sender=sender)) == ["m1 accepted nobody n=1"]
    assert lines(client(1, login="a"), queued(1, sender=sender)) == ["m1 accepted login:s1 n=1"]


def test_what_the_mta_makes_itself_is_nobodys() -> None:
    assert lines(named(1, "N1"), queued(1, "N1", ""), Returned(1, HOST, "A1", "N1", "non-delivery")) == [
        "m1 accepted nobody n=1"
    ]


def test_a_local_forward_is_a_delivery_and_a_message_of_nobody() -> None:
    assert lines(
        client(1, login="a"),
        queued(1),
        named(2, "F1"),
        queued(2, "F1"),
        outcome(2, "sent", service="local", relay="local", reply="forwarded as F1"),
        removed(2),
        outcome(3, "sent", "F1", "else@example.org"),
    ) == [
        "m1 accepted login:s1 n=1",
        "m2 accepted nobody n=1",
        "m1 delivered r1",
        "m2 delivered r2",
    ]


def test_cleanup_may_overtake_the_line_that_starts_the_message() -> None:
    assert lines(named(1.2), client(1.1, login="a"), queued(2)) == ["m1 accepted login:s1 n=1"]


def test_exim_tells_all_in_one_line() -> None:
    def arrived(queue_id: str, **more: Any) -> Arrived:
        a = Arrived(1, "mail/exim", queue_id, "", "", "", "a@example.com", "1@example.com", 500, 2, "")
        return a._replace(**more)

    join = Join()
    assert lines(
        arrived("1a", login="plain:a", client_address="192.0.2.1"),
        arrived("1b", user="www", message_id="2@example.com"),
        arrived("1c", client_address="192.0.2.1", message_id="3@example.com"),
        arrived("1d", user="exim", envelope_from="<>", parent="1a", message_id="4@example.com"),
        Removed(2, "mail/exim", "1a"),
        join=join,
    ) == [
        "m1 accepted login:s1 n=2",
        "m2 accepted uid:s2 n=2",
        "m3 accepted nobody n=2",
        "m4 accepted ip:s3 n=2",
    ]
    assert len(join) == 3


def test_logins_and_scripts_of_other_witnesses_pass_unchanged() -> None:
    login = LoggedIn(1, "a", "192.0.2.1", "imap", False)
    script = ScriptMailed(1, "/srv/a.php", 3, 1)
    assert told(login, script, Called(1, "mail/exim", "/srv", "x")) == [login, script]


# Acceptance and ends


def test_a_message_is_accepted_once_however_often_it_is_queued() -> None:
    assert lines(
        client(1, login="a"),
        queued(1),
        outcome(2, "deferred"),
        queued(900),
        outcome(901, "sent"),
        removed(901),
    ) == ["m1 accepted login:s1 n=1", "m1 deferred r1 first", "m1 delivered r1"]


def test_what_is_held_is_accepted_when_it_is_released() -> None:
    join = Join()
    assert told(client(1), refused(1, "hold", "header"), named(1), join=join) == []
    assert told(client(90_000, "Z9"), client(90_001, "Z8"), join=join) == [] and len(join) == 3
    assert lines(queued(90_002), outcome(90_003, "sent"), join=join)[:2] == [
        "m1 accepted ip:s1 n=1",
        "m1 delivered r1",
    ]


def test_only_a_deferral_that_says_something_new_is_news() -> None:
    busy, full = "421 try in 5 s", "452 mailbox full"
    assert lines(
        client(1, login="a"),
        queued(1),
        outcome(2, "deferred", reply=busy),
        outcome(3, "deferred", reply="421 try in 77 s"),
        outcome(4, "deferred", reply=full),
        outcome(5, "deferred", to="s@example.net", reply=full),
        outcome(6, "SOFTBOUNCE", reply=full),
        outcome(7, "bounced", dsn="5.2.2"),
        outcome(8, "deferred", reply=busy),
    )[1:] == ["m1 deferred r1 first", "m1 deferred r1 again", "m1 deferred r2 first", "m1 bounced r1 5.2.2"]


def test_when_a_message_expires_who_still_waits_has_bounced() -> None:
    events = told(
        client(1, login="a"),
        queued(1, n=3),
        outcome(2, "deferred", to="r@example.net", dsn="4.1.1", reply="first"),
        outcome(2, "deferred", to="s@example.net", dsn="4.1.1", reply="first"),
        outcome(3, "deferred", to="r@example.net", dsn="4.2.2", reply="last"),
        outcome(3, "sent", to="s@example.net"),
        Expired(4, HOST, "A1"),
        Expired(4, HOST, "A1"),
    )
    bounced = [event for event in events if isinstance(event, Bounced)]
    assert [(b.at, b.recipient, b.relay, b.status, b.reply) for b in bounced] == [
        (4, "r@example.net", AWAY, "4.2.2", "last")
    ]


def test_the_same_line_twice_counts_once_but_two_aliases_count_twice() -> None:
    sent = outcome(2, "sent", original="alias1@example.net")
    other = sent._replace(original="alias2@example.net")
    assert lines(client(1, login="a"), queued(1, n=2), sent, sent, other, removed(3), sent) == [
        "m1 accepted login:s1 n=2",
        "m1 delivered r1",
        "m1 delivered r1",
    ]


def test_probes_are_no_deliveries() -> None:
    assert told(named(1), outcome(1, "deliverable"), outcome(1, "undeliverable")) == []


def test_ids_recur_and_a_lost_removal_does_not_mix_two_messages() -> None:
    assert lines(
        client(1, login="a"),
        queued(1),
        outcome(1, "deferred"),
        client(5, login="b"),
        queued(5),
        outcome(6, "sent"),
        removed(6),
        client(7, login="c"),
        queued(7),
    ) == [
        "m1 accepted login:s1 n=1",
        "m1 deferred r1 first",
        "m2 accepted login:s2 n=1",
        "m2 delivered r1",
        "m3 accepted login:s3 n=1",
    ]


def test_the_same_id_in_another_instance_is_another_message() -> None:
    other = "mail/postfix-out"
    assert lines(
        client(1, login="a"),
        queued(1),
        client(1, login="b", scope=other),
        queued(1)._replace(scope=other),
        outcome(2, "sent"),
        outcome(3, "sent", scope=other),
    )[2:] == ["m1 delivered r1", "m2 delivered r1"]


def test_what_began_before_the_log_is_nobodys_and_no_news() -> None:
    join = Join()
    assert lines(queued(1), outcome(2, "sent"), outcome(2, "bounced", "A2"), join=join) == [
        "m1(nobody) delivered r1",
        "m2(nobody) bounced r1 ",
    ]
    assert join.orphans == 2


def test_an_outcome_without_the_queue_managers_line_still_tells_of_the_message() -> None:
    assert lines(client(1, login="a"), outcome(2, "sent"), queued(2)) == [
        "m1 accepted login:s1 n=0",
        "m1 delivered r1",
    ]


# Refusals


@pytest.mark.parametrize(
    ("action", "stage"),
    [
        ("reject", "header"),
        ("milter-reject", "END-OF-MESSAGE"),
        ("discard", "body"),
        ("milter-discard", "END-OF-MESSAGE"),
        ("discard", "RCPT"),
        ("reject", "DATA"),
    ],
)
def test_a_message_that_is_refused_at_its_end_has_died(action: str, stage: str) -> None:
    join = Join()
    events = told(client(1, login="a"), named(1), refused(2, action, stage), join=join)
    died = events[1]
    assert isinstance(died, Died) and died.message.name == "a" and died.why == "no"
    late: list[Fact] = [refused(3, action, stage), outcome(4, "bounced"), removed(4)]
    assert told(*late, join=join) == [] and len(join) == 0


def test_a_refused_recipient_is_charged_to_who_logged_in() -> None:
    open_login = told(client(1, login="a"), refused(2, "reject", "RCPT"))[1]
    assert open_login == Rejected(2, HOST, "a", "203.0.113.5", "r@example.net", "no")
    (unknown,) = told(refused(2, "reject", "RCPT", ""))
    assert isinstance(unknown, Rejected) and unknown.login == ""
    (told_by_line,) = told(refused(2, "milter-reject", "MAIL", "", login="b"))
    assert isinstance(told_by_line, Rejected) and told_by_line.login == "b"


@pytest.mark.parametrize("action", ["reject_warning", "filter", "redirect", "hold", "discard", "new-one"])
def test_what_refuses_nothing_is_no_event(action: str) -> None:
    assert told(refused(1, action, "RCPT", "")) == []


def test_a_message_that_dies_before_the_log_told_of_it() -> None:
    join = Join()
    facts = [refused(1, "reject", "END-OF-MESSAGE"), refused(2, "reject", "END-OF-MESSAGE")]
    assert lines(*facts, join=join) == ["m1(ip:s1) died"] and len(join) == 0
    assert lines(refused(1, "reject", "END-OF-MESSAGE", login="a")) == ["m1(login:s1) died"]
    unknown = refused(1, "discard", "END-OF-MESSAGE", client_address="")
    assert lines(unknown) == ["m1(nobody) died"]
