"""The rig itself, and facts about the real Postfix that Penstock builds on.

A test here that fails after an upgrade of Postfix names a fact that is no longer one.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy

from e2e.conftest import StartPostfix
from rig.databases import MariaDB, PostgreSQL
from rig.penstock import Penstock
from rig.policy import DEFAULTS, Attributes, PolicyClient, PolicyServer
from rig.postfix import Postfix, asks
from rig.smtp import Sink, message

ALICE = "alice@example.com"
THREE = ["r0@example.org", "r1@example.org", "r2@example.org"]


def at(state: str, local: str, action: str) -> dict[tuple[str, str], str]:
    """One rule for `scripted`."""
    return {(state, local): action}


def scripted(rules: dict[tuple[str, str], str]):  # type: ignore[no-untyped-def]
    """An answer by state and local part of the recipient, DUNNO for the others."""

    def answer(attributes: Attributes) -> str:
        local = attributes["recipient"].partition("@")[0]
        return rules.get((attributes["protocol_state"], local), "DUNNO")

    return answer


@pytest.fixture
def postfix(start_postfix: StartPostfix, recorder: PolicyServer) -> Postfix:
    """A Postfix that asks the recorder about everything."""
    return start_postfix(settings=asks(recorder.port))


def test_policy_client_and_server_agree(recorder: PolicyServer) -> None:
    recorder.answer = lambda attributes: f"REJECT {attributes['sasl_username']}"
    with PolicyClient(recorder.port) as client:
        assert client.ask(sasl_username="a=b@example.com") == "REJECT a=b@example.com"
        assert client.ask(recipient_count=3, protocol_state="DATA") == f"REJECT {ALICE}"
    assert [each.connection for each in recorder.requests] == [1, 1]
    assert recorder.requests[1].attributes == DEFAULTS | {"recipient_count": "3", "protocol_state": "DATA"}


def test_recorder_stops_and_starts_again_on_its_port(recorder: PolicyServer) -> None:
    with PolicyClient(recorder.port) as client:
        recorder.stop()
        with pytest.raises(ConnectionError):
            client.ask()
    recorder.start()
    with PolicyClient(recorder.port) as again:
        assert again.ask() == "DUNNO"


def test_postgresql(postgresql: PostgreSQL) -> None:
    assert _answer(postgresql.url) == 42


def test_mariadb(mariadb: MariaDB) -> None:
    assert _answer(mariadb.url) == 42


def _answer(url: str) -> object:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE t (n INTEGER)"))
            connection.execute(sqlalchemy.text("INSERT INTO t VALUES (42)"))
            return connection.execute(sqlalchemy.text("SELECT n FROM t")).scalar()
    finally:
        engine.dispose()


def test_attributes_and_stages_of_one_message(postfix: Postfix, recorder: PolicyServer, sink: Sink) -> None:
    with postfix.client(ALICE, "192.0.2.9", "pc.example.net") as client:
        sent = client.send("a@example.com", THREE, message("hi"))
    assert sent.accepted == THREE
    asked = recorder.requests
    assert recorder.states() == ["RCPT", "RCPT", "RCPT", "DATA", "END-OF-MESSAGE"]
    assert list(asked[0].attributes) == list(DEFAULTS)
    assert asked[0]["sasl_username"] == ALICE and asked[0]["sasl_method"] == "XCLIENT"
    assert (asked[0]["client_address"], asked[0]["client_name"]) == ("192.0.2.9", "pc.example.net")
    assert [each["queue_id"] for each in asked] == ["", *[sent.queue_id] * 4]
    assert [each["recipient_count"] for each in asked] == ["0", "0", "0", "3", "3"]
    assert [each["recipient"] for each in asked] == [*THREE, "", ""]
    assert int(asked[-1]["size"]) > 0 == int(asked[-2]["size"])
    assert {each.connection for each in asked} == {1}
    assert sink.wait_for(3)[0].recipients == tuple(THREE)
    postfix.wait_empty()


def test_instance_names_a_transaction(postfix: Postfix, recorder: PolicyServer) -> None:
    with postfix.client(ALICE) as client:
        for _ in range(2):
            client.envelope("a@example.com", THREE[:2])
            client.reset()
        client.send("a@example.com", THREE[:1])
    instances = [each["instance"] for each in recorder.requests]
    assert all(re.fullmatch(r"[0-9a-f]+\.[0-9a-f]+\.[0-9a-f]+\.\d+", each) for each in instances)
    assert [each.rpartition(".")[2] for each in instances] == ["0", "0", "1", "1", "2", "2", "2"]
    assert len(set(instances)) == 3


def test_a_duplicate_recipient_counts_twice_for_postfix(
    postfix: Postfix, recorder: PolicyServer, sink: Sink
) -> None:
    with postfix.client(ALICE) as client:
        client.send("a@example.com", [THREE[0], THREE[0], THREE[1]])
    assert recorder.requests[-1]["recipient_count"] == "3"
    sink.wait_for(2)
    postfix.wait_empty()
    assert sink.deliveries() == {THREE[0]: 1, THREE[1]: 1}


def test_vrfy_has_no_instance(postfix: Postfix, recorder: PolicyServer) -> None:
    with postfix.client(ALICE) as client:
        client.command("VRFY bob@example.org")
    assert [(each["protocol_state"], each["instance"]) for each in recorder.requests] == [("VRFY", "")]


def test_a_later_refusal_lowers_recipient_count(start_postfix: StartPostfix, recorder: PolicyServer) -> None:
    settings = asks(recorder.port)
    settings["smtpd_recipient_restrictions"] += ", check_recipient_access inline:{r1@example.org=REJECT}"
    with start_postfix(settings=settings).client(ALICE) as client:
        client.send("a@example.com", THREE)
    assert recorder.states() == ["RCPT", "RCPT", "RCPT", "DATA", "END-OF-MESSAGE"]
    assert recorder.requests[-1]["recipient_count"] == "2"


def test_end_of_message_is_asked_before_content_is_refused(
    start_postfix: StartPostfix, recorder: PolicyServer
) -> None:
    checks = {"header_checks": "static:{REJECT content}"}
    with start_postfix(settings=asks(recorder.port) | checks).client(ALICE) as client:
        sent = client.send("a@example.com", THREE[:1])
    assert sent.data == (550, "5.7.1 content")
    assert recorder.states() == ["RCPT", "DATA", "END-OF-MESSAGE"]


def test_end_of_message_is_not_asked_for_an_oversized_message(
    start_postfix: StartPostfix, recorder: PolicyServer
) -> None:
    settings = asks(recorder.port) | {"message_size_limit": "20000"}
    with start_postfix(settings=settings).client(ALICE) as client:
        sent = client.send("a@example.com", THREE[:1], message(body="x\n" * 15_000))
    assert sent.data is not None and sent.data[0] == 552
    assert recorder.states() == ["RCPT", "DATA"]


def test_hold_takes_the_whole_message(postfix: Postfix, recorder: PolicyServer, sink: Sink) -> None:
    recorder.answer = scripted(at("RCPT", "r1", "HOLD ref=ab12"))
    with postfix.client(ALICE) as client:
        sent = client.send("a@example.com", THREE)
    assert sent.accepted == THREE and postfix.held() == [sent.queue_id]
    assert "hold: RCPT" in postfix.log() and "ref=ab12" in postfix.log() and not sink.mails
    postfix.release(sent.queue_id)
    sink.wait_for(3)
    postfix.wait_empty()
    assert len(sink.mails) == 1


def test_after_discard_the_message_is_not_asked_about_again(
    postfix: Postfix, recorder: PolicyServer, sink: Sink
) -> None:
    recorder.answer = scripted(at("RCPT", "r1", "DISCARD ref=ab12"))
    with postfix.client(ALICE) as client:
        assert client.send("a@example.com", THREE).accepted == THREE
        assert recorder.states() == ["RCPT", "RCPT"]
        client.send("a@example.com", ["later@example.org"])
    sink.wait_for(1)
    assert sink.deliveries() == {"later@example.org": 1}


@pytest.mark.parametrize(
    ("action", "reply"),
    [
        (
            "REJECT over the limit",
            (554, "5.7.1 <r1@example.org>: Recipient address rejected: over the limit"),
        ),
        ("DEFER_IF_PERMIT 4.7.1 later", (450, "4.7.1 <r1@example.org>: Recipient address rejected: later")),
        ("FROBNICATE", (451, "4.3.5 Server configuration error")),
    ],
)
def test_one_recipient_refused(
    postfix: Postfix, recorder: PolicyServer, sink: Sink, action: str, reply: tuple[int, str]
) -> None:
    recorder.answer = scripted(at("RCPT", "r1", action))
    with postfix.client(ALICE) as client:
        sent = client.send("a@example.com", THREE)
    assert sent.recipients[THREE[1]] == reply
    sink.wait_for(2)
    assert sink.deliveries() == {THREE[0]: 1, THREE[2]: 1}


def test_filter_and_prepend(start_postfix: StartPostfix, recorder: PolicyServer, sink: Sink) -> None:
    with Sink() as elsewhere:
        postfix = start_postfix(settings=asks(recorder.port))
        filtered = at("RCPT", "r1", f"FILTER smtp:[127.0.0.1]:{elsewhere.port}")
        recorder.answer = scripted(filtered | at("RCPT", "r2", "PREPEND X-Penstock: seen"))
        with postfix.client(ALICE) as client:
            client.send("a@example.com", THREE)
        mail = elsewhere.wait_for(3)[0]
    assert "X-Penstock: seen\n" in mail.content and not sink.mails


def test_a_dead_policy_service_does_not_stop_mail(
    postfix: Postfix, recorder: PolicyServer, sink: Sink
) -> None:
    """Each question costs retry_delay (1 s at least); after it the answer is default_action."""
    with postfix.client(ALICE) as client:
        client.envelope("a@example.com", THREE[:1])
        recorder.stop()
        started = time.monotonic()
        assert client.command(f"RCPT TO:<{THREE[1]}>")[0] == 250
        assert time.monotonic() - started < 5
        recorder.start()
        assert client.command(f"RCPT TO:<{THREE[2]}>")[0] == 250
        assert client.data(message())[0] == 250
    assert [each["recipient"] for each in recorder.requests] == [THREE[0], THREE[2], "", ""]
    assert recorder.requests[-1]["recipient_count"] == "3"
    assert sink.wait_for(3)


def test_a_question_is_sent_again_when_the_connection_breaks(
    postfix: Postfix, recorder: PolicyServer
) -> None:
    def hang_up_once(attributes: Attributes) -> str:
        if len(recorder.requests) == 1:
            raise ConnectionError
        return "DUNNO"

    recorder.answer = hang_up_once
    with postfix.client(ALICE) as client:
        client.envelope("a@example.com", THREE[:1])
    first, second = recorder.requests
    assert first.attributes == second.attributes and first.connection != second.connection


def test_different_options_mean_different_connections(
    start_postfix: StartPostfix, recorder: PolicyServer
) -> None:
    settings = asks(recorder.port, "policy_context=penstock/rcpt, default_action=DUNNO")
    settings["smtpd_end_of_data_restrictions"] = asks(recorder.port)["smtpd_end_of_data_restrictions"]
    with start_postfix(settings=settings).client(ALICE) as client:
        client.send("a@example.com", THREE[:1])
    assert [(each.connection, each["policy_context"]) for each in recorder.requests] == [
        (1, "penstock/rcpt"),
        (1, "penstock/rcpt"),
        (2, ""),
    ]


def test_options_in_master_cf_need_braces_around_name_and_value(
    start_postfix: StartPostfix, recorder: PolicyServer
) -> None:
    postfix = start_postfix(options=asks(recorder.port))
    assert (
        "-o { smtpd_data_restrictions = check_policy_service {" in (postfix.config / "master.cf").read_text()
    )
    with postfix.client(ALICE) as client:
        assert client.send("a@example.com", THREE[:1]).accepted
    assert recorder.states() == ["RCPT", "DATA", "END-OF-MESSAGE"]


def test_postconf_takes_a_policy_service_without_spaces(
    start_postfix: StartPostfix, recorder: PolicyServer
) -> None:
    postfix = start_postfix()
    entry = f"check_policy_service,{{inet:127.0.0.1:{recorder.port},default_action=DUNNO}}"
    name = f"127.0.0.1:{postfix.port}/inet/smtpd_recipient_restrictions"
    postfix.command("postconf", "-P", f"{name}={entry}")
    postfix.reload()
    with postfix.client(ALICE) as client:
        assert client.send("a@example.com", THREE[:1]).accepted
    assert recorder.states() == ["RCPT"]
    postfix.command("postconf", "-PX", name)
    assert entry not in (postfix.config / "master.cf").read_text()


def test_warn_if_reject_does_not_shadow_hold(start_postfix: StartPostfix, recorder: PolicyServer) -> None:
    settings = {name: f"warn_if_reject {value}" for name, value in asks(recorder.port).items()}
    postfix = start_postfix(settings=settings)
    recorder.answer = scripted(at("RCPT", "r0", "REJECT no") | at("RCPT", "r1", "HOLD held"))
    with postfix.client(ALICE) as client:
        assert client.send("a@example.com", THREE[:1]).accepted
        held = client.send("a@example.com", THREE[1:]).queue_id
    assert "reject_warning: RCPT" in postfix.log() and postfix.held() == [held]


def test_a_failing_next_hop_defers_or_bounces(postfix: Postfix, sink: Sink) -> None:
    sink.answers = {"r0@example.org": "550 5.1.1 unknown", "r1@example.org": "451 4.3.0 later"}
    with postfix.client(ALICE) as client:
        client.send("a@example.com", THREE)
    postfix.wait_for("status=bounced")
    postfix.wait_for("status=deferred")
    sink.answers = {}
    sink.wait_for(3)  # r2, the bounce to a@, and r1 at the second try
    assert sink.deliveries() == {"r1@example.org": 1, "r2@example.org": 1, "a@example.com": 1}


def test_change_of_settings_reaches_the_next_session(
    start_postfix: StartPostfix, recorder: PolicyServer
) -> None:
    postfix = start_postfix()
    postfix.set(**asks(recorder.port))
    with postfix.client(ALICE) as client:
        assert client.send("a@example.com", THREE[:1]).accepted
    assert recorder.states() == ["RCPT", "DATA", "END-OF-MESSAGE"]


def test_load_from_several_threads(postfix: Postfix, sink: Sink) -> None:
    def session(number: int) -> int:
        with postfix.client(f"user{number}@example.com") as client:
            names = [[f"u{number}-{turn}-{n}@example.org" for n in range(3)] for turn in range(10)]
            return sum(len(client.send("a@example.com", each).accepted) for each in names)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(session, range(4))) == 120
    sink.wait_for(120)
    postfix.wait_empty()
    assert set(sink.deliveries().values()) == {1}


def test_penstock_answers_again_after_a_crash(penstock: Penstock) -> None:
    with penstock.client() as client:
        assert client.ask() == "DUNNO"
    penstock.kill()
    penstock.start()
    with penstock.client() as client:
        assert client.ask(instance="1a2b.66f0c0df.5a5a5.0") == "DUNNO"
    assert penstock.terminate() == 0
