"""Content filters → one message; and what others try with ids and replies."""

from __future__ import annotations

from tests.wire.maillog.support import (
    AWAY,
    HOST,
    SPOOL,
    client,
    handed_over,
    lines,
    named,
    of_filter,
    outcome,
    queued,
    refused,
    removed,
    told,
)

from penstock.core.events import (
    Accepted,
)
from penstock.wire.maillog.facts import (
    Arrived,
    Expired,
    Fact,
    Outcome,
    PickedUp,
    Removed,
)
from penstock.wire.maillog.join import Join

ONCE = ["m1 accepted login:s1 n=1", "m1 delivered r1"]


def test_a_filter_that_names_the_new_id() -> None:
    assert (
        lines(
            client(1, login="a"),
            named(1, name=""),
            queued(1),
            of_filter(2),
            named(2, "B1", "made@example.com"),
            queued(2, "B1"),
            handed_over(2),
            removed(2),
            outcome(3, "sent", "B1"),
            removed(3, "B1"),
        )
        == ONCE
    )


def test_a_filter_that_forwards_the_old_id() -> None:
    assert (
        lines(
            client(1, login="a"),
            queued(1),
            of_filter(2, original="A1"),
            queued(2, "B1"),
            outcome(2, "sent", relay=SPOOL),
            outcome(3, "sent", "B1"),
        )
        == ONCE
    )


def test_a_filter_that_pipes_into_sendmail() -> None:
    assert (
        lines(
            client(1, login="a"),
            named(1),
            queued(1),
            PickedUp(2, HOST, "B1", 110, "a@example.com"),
            named(2, "B1"),
            queued(2, "B1"),
            outcome(2, "sent", service="pipe", relay="spamassassin"),
            removed(2),
            outcome(3, "sent", "B1"),
        )
        == ONCE
    )


def test_a_filter_under_exim_is_a_transport_of_any_name() -> None:
    exim = "mail/exim"
    first = Arrived(1, exim, "1a", "203.0.113.5", "plain:a", "", "a@example.com", "1@example.com", 500, 1, "")
    second = first._replace(at=2, queue_id="1b", client_address="", login="", user="mail")
    sent = Outcome(2, exim, "1a", "spamcheck", "r@example.net", "", "", "sent", "", "")
    away = sent._replace(at=3, queue_id="1b", service="remote_smtp", relay="mx.example.net [192.0.2.25]")
    assert lines(first, second, sent, Removed(2, exim, "1a"), away) == ONCE


def test_a_mailbox_that_forwards_has_delivered() -> None:
    assert lines(
        client(1, login="a"),
        named(1),
        queued(1),
        PickedUp(2, HOST, "B1", 5000, "a@example.com"),
        named(2, "B1"),
        queued(2, "B1"),
        outcome(2, "sent", service="lmtp", relay="mail[private/dovecot-lmtp]"),
        outcome(3, "sent", "B1", to="else@example.org"),
    ) == ["m1 accepted login:s1 n=1", "m1 delivered r1", "m1 delivered r2"]


def test_a_chain_of_filters_in_another_instance() -> None:
    out = "mail/postfix-out"
    assert (
        lines(
            client(1, login="a"),
            queued(1),
            of_filter(2),
            queued(2, "B1"),
            handed_over(2),
            removed(2),
            of_filter(4, "C1", scope=out),
            queued(4, "C1")._replace(scope=out),
            handed_over(4, "B1", "C1"),
            removed(4, "B1"),
            outcome(5, "sent", "C1", scope=out),
        )
        == ONCE
    )


def test_a_proxy_on_an_address_of_its_own_and_a_port_of_its_own() -> None:
    own = "198.51.100.9"
    relay = f"{own}[{own}]:2501"
    assert (
        lines(
            client(1, login="a"),
            queued(1),
            client(2, "B1", client_address=own),
            queued(2, "B1"),
            handed_over(2, relay=relay),
            outcome(3, "sent", "B1"),
        )
        == ONCE
    )


def test_a_bounce_behind_the_filter_is_charged_to_who_sent() -> None:
    assert lines(
        client(1, login="a"),
        queued(1),
        of_filter(2),
        queued(2, "B1"),
        handed_over(2),
        removed(2),
        outcome(3, "bounced", "B1", dsn="5.1.1"),
    ) == ["m1 accepted login:s1 n=1", "m1 bounced r1 5.1.1"]


def test_what_a_filter_is_refused_is_told_by_the_first_id_only() -> None:
    assert lines(
        client(1, login="a"),
        named(1),
        queued(1),
        of_filter(2),
        named(2, "B1"),
        refused(2, "reject", "header", "B1"),
        outcome(2, "bounced", relay=SPOOL, dsn="5.7.1"),
    ) == ["m1 accepted login:s1 n=1", "m1 bounced r1 5.7.1"]


def test_who_waited_for_the_filter_does_not_expire_once_it_took_over() -> None:
    assert lines(
        client(1, login="a"),
        queued(1, n=2),
        outcome(2, "deferred", relay="none"),
        outcome(2, "deferred", to="s@example.net", relay="none"),
        of_filter(9),
        queued(9, "B1"),
        handed_over(9),
        Expired(10, HOST, "A1"),
    )[3:] == ["m1 bounced r2 "]


def test_mail_of_a_local_program_is_its_own_message() -> None:
    assert lines(of_filter(1), named(1, "B1"), queued(1, "B1"), outcome(2, "sent", "B1")) == [
        "m1 accepted ip:s1 n=1",
        "m1 delivered r1",
    ]


def test_acceptance_does_not_wait_longer_than_a_filter_takes_to_answer() -> None:
    join = Join()
    assert told(client(1), queued(1), join=join) == []
    (late,) = told(client(30, "A2", client_address="192.0.2.1"), queued(30, "A2"), join=join)
    assert isinstance(late, Accepted) and (late.at, late.message.queue_id) == (30, "A1")


def test_postsuper_requeues_under_a_new_id() -> None:
    assert lines(
        client(1, login="a"),
        refused(1, "hold", "END-OF-MESSAGE"),
        client(9, "B1", client_address="", original="A1"),
        queued(9, "B1"),
        outcome(9, "sent", "B1"),
    ) == ["m1 accepted login:s1 n=1", "m1 delivered r1"]


# Attacks


def test_the_reply_of_a_stranger_puts_nothing_on_anothers_account() -> None:
    stranger = client(2, "B1", client_address="192.0.2.25")
    assert lines(
        client(1, login="victim"),
        queued(1),
        stranger,
        queued(2, "B1", "x@example.net"),
        handed_over(3, relay=AWAY),
        outcome(4, "bounced", "B1", dsn="5.1.1"),
    )[1:] == ["m1 delivered r1", "m2 accepted ip:s2 n=1", "m2 bounced r2 5.1.1".replace("r2", "r1")]


def test_a_repeated_message_id_gives_no_more_recipients_than_were_paid() -> None:
    decoy: list[Fact] = [client(1, login="a"), named(1), queued(1, n=3)]
    flood: list[Fact] = []
    for n in range(5):
        flood += [of_filter(2 + n, f"B{n}"), named(2 + n, f"B{n}"), queued(2 + n, f"B{n}")]
    assert lines(*decoy, *flood) == ["m1 accepted login:s1 n=3"] + [
        f"m{n} accepted ip:s2 n=1" for n in (2, 3)
    ]


def test_a_script_that_repeats_itself_is_no_filter() -> None:
    facts: list[Fact] = []
    for n in range(3):
        facts += [PickedUp(1 + n, HOST, f"B{n}", 33, "w"), named(1 + n, f"B{n}"), queued(1 + n, f"B{n}")]
    assert lines(*facts) == [f"m{n} accepted uid:s1 n=1" for n in (1, 2, 3)]


def test_a_loop_of_mail_ends() -> None:
    join = Join()
    told(of_filter(1, "A1"), queued(1), of_filter(2, "B1"), queued(2, "B1"), join=join)
    told(handed_over(3, "A1", "B1"), handed_over(3, "B1", "A1"), handed_over(3, "A1", "A1"), join=join)
    assert len(told(outcome(4, "sent", "B1"), outcome(4, "sent", "A1"), join=join)) == 2
