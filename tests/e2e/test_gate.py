"""Penstock beside a real Postfix: every decision, exact counts, crashes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest

from e2e.conftest import StartPenstock, StartPostfix
from rig.base import wait_until
from rig.penstock import Penstock
from rig.postfix import Postfix, asks
from rig.smtp import Client, Sink, message

ALICE = "login:alice@example.com"
TO = "bob@example.net"

CONTEXT = "default_action=DUNNO, policy_context=penstock/rcpt+eom"


def policy(over_limit: str = "defer", recipients: str = "1/h", **more: str) -> str:
    """A policy file with one tight limit."""
    extra = "\n".join(f"{key} = {value}" for key, value in more.items())
    return (
        "[profiles.personal]\n"
        f'recipients = ["{recipients}"]\nmessages = []\nbytes = []\npause = []\n'
        f'over_limit = "{over_limit}"\n{extra}\n'
    )


def recipients_of(penstock: Penstock, sender: str = ALICE) -> int:
    """Recipients charged to a sender in the last hour."""
    shown: dict[str, Any] = penstock.cli("show", sender)
    hour: int = shown["counts"]["recipients"]["hour"]
    return hour


def send(postfix: Postfix, to: list[str], login: str = "Alice@Example.com") -> Any:
    """One message of one SMTP session."""
    client = postfix.client(login)
    try:
        return client.send("alice@example.com", to, message())
    finally:
        client.close()


@pytest.fixture
def gate(start_penstock: StartPenstock, start_postfix: StartPostfix) -> Any:
    """Starts Penstock with a policy text and a Postfix that asks it."""

    def start(config: str, options: str = CONTEXT, **settings: str) -> tuple[Penstock, Postfix]:
        penstock = start_penstock(config)
        return penstock, start_postfix(settings={**asks(penstock.port, options), **settings})

    return start


@pytest.mark.parametrize(
    ("action", "code", "queue"),
    [("defer", 450, ""), ("reject", 554, ""), ("hold", 250, "hold"), ("discard", 250, "gone")],
)
def test_over_the_limit(gate: Any, sink: Sink, action: str, code: int, queue: str) -> None:
    penstock, postfix = gate(policy(action))
    first = send(postfix, [TO])
    assert first.recipients[TO][0] == 250
    sink.wait_for(1)
    second = send(postfix, ["carol@example.net"])
    assert second.recipients["carol@example.net"][0] == code
    assert bool(postfix.held()) == (queue == "hold")
    if code >= 400:
        told = second.recipients["carol@example.net"][1]
        assert "ref " in told and "1/h" not in told
        explained = penstock.cli("explain", told.split("(ref ")[1].split(")")[0])
        assert explained["sender"] == ALICE and explained["figures"]["limit"] == "1/h"
    assert recipients_of(penstock) == 1
    assert sink.deliveries() == Counter({TO: 1})


def test_mark_adds_a_header(gate: Any, sink: Sink) -> None:
    _, postfix = gate(policy("mark X-Penstock: over its limit"))
    for _ in range(2):
        assert len(send(postfix, [TO]).accepted) == 1
    sink.wait_for(2)
    marked = sorted("X-Penstock: over its limit" in mail.content for mail in sink.mails)
    assert marked == [False, True]


def test_reroute_takes_another_transport(gate: Any, sink: Sink) -> None:
    _, postfix = gate(policy("reroute discard:rerouted"))
    for _ in range(2):
        assert len(send(postfix, [TO]).accepted) == 1
    postfix.wait_for("relay=none, delay=0.")
    postfix.wait_empty()
    assert "postfix/discard" in postfix.log()
    assert sink.deliveries() == Counter({TO: 1})


def test_fifty_recipients_are_counted_once_each(gate: Any, sink: Sink) -> None:
    penstock, postfix = gate(policy(recipients="100/h"))
    everybody = [f"r{i}@example.net" for i in range(50)]
    sent = send(postfix, everybody)
    assert len(sent.accepted) == 50
    assert recipients_of(penstock) == 50
    status = penstock.cli("status")
    assert status["listeners"][0]["stages"] == {"RCPT": 50, "DATA": 1, "END-OF-MESSAGE": 1}
    sink.wait_for(1)


def test_a_recipient_named_twice_is_counted_once(gate: Any, sink: Sink) -> None:
    penstock, postfix = gate(policy(recipients="100/h"))
    send(postfix, [TO, TO, "carol@example.net"])
    assert recipients_of(penstock) == 2


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ("too big", CONTEXT),
        ("quit", CONTEXT),
        ("reset", CONTEXT),
        ("refused at data", CONTEXT),
        ("too big", "default_action=DUNNO"),
        ("reset", "default_action=DUNNO"),
    ],
)
def test_a_message_that_dies_gives_its_recipients_back(gate: Any, how: str, options: str) -> None:
    settings = {"message_size_limit": "4000"} if how == "too big" else {}
    penstock, postfix = gate(policy(recipients="100/h"), options, **settings)
    if how == "refused at data":
        postfix.set(smtpd_data_restrictions="check_sender_access inline:{bad@example.com=REJECT}")
    everybody = [f"r{i}@example.net" for i in range(50)]
    client = postfix.client("alice@example.com")
    if how == "too big":
        assert client.send("alice@example.com", everybody, message(body="x" * 5000)).data[0] == 552
    elif how == "refused at data":
        assert client.send("bad@example.com", everybody, message()).data[0] == 554
    else:
        client.envelope("alice@example.com", everybody)
        if how == "reset":
            client.reset()
    if how == "quit":
        client.close()
        client = postfix.client("alice@example.com")
    assert len(client.send("alice@example.com", [TO], message()).accepted) == 1
    client.close()
    wait_until(lambda: recipients_of(penstock) == 1, what="the dead message's recipients to be given back")


def test_one_recipient_refused_by_postfix_is_given_back(gate: Any) -> None:
    penstock, postfix = gate(policy(recipients="100/h"))
    present = postfix.command("postconf", "-h", "smtpd_recipient_restrictions").strip()
    postfix.set(
        smtpd_recipient_restrictions=present.replace(
            "}", "}, check_recipient_access inline:{bad@example.net=REJECT}", 1
        )
    )
    sent = send(postfix, ["good@example.net", "bad@example.net", "fine@example.net"])
    assert sent.recipients["bad@example.net"][0] == 554
    assert len(sent.accepted) == 2
    assert recipients_of(penstock) == 2


def test_shadow_passes_and_tells_what_it_would_have_done(gate: Any, sink: Sink) -> None:
    penstock, postfix = gate('mode = "shadow"\n' + policy("hold"))
    for _ in range(3):
        assert len(send(postfix, [TO]).accepted) == 1
    sink.wait_for(3)
    shown = penstock.cli("show", ALICE)
    assert shown["counts"]["shadowed"]["hour"] == 2
    assert [r["shadow"] for r in shown["refusals"]] == [True]
    assert "would have been held" in shown["refusals"][0]["sentence"]


def test_pause_and_resume_hold_through_kill_9(gate: Any) -> None:
    penstock, postfix = gate("")
    assert len(send(postfix, [TO]).accepted) == 1
    paused = penstock.cli("pause", "login:ALICE@example.com", "--reason", "stolen password", "--for", "2h")
    assert paused["durable"] and paused["state"] == "paused"
    penstock.kill()
    penstock.start()
    assert send(postfix, [TO]).recipients[TO][0] == 450
    assert recipients_of(penstock) == 1
    penstock.cli("resume", ALICE, "--reason", "password changed")
    penstock.kill()
    penstock.start()
    assert len(send(postfix, [TO]).accepted) == 1
    penstock.cli("lock", ALICE, "--reason", "again")
    assert send(postfix, [TO]).recipients[TO][0] == 554


def test_mail_flows_while_penstock_is_away(gate: Any, sink: Sink) -> None:
    penstock, postfix = gate("")
    penstock.kill()
    assert len(send(postfix, [TO]).accepted) == 1
    penstock.start()
    assert len(send(postfix, [TO]).accepted) == 1
    sink.wait_for(2)


class Load:
    """Clients that send one message after the other until told to stop."""

    def __init__(self, postfix: Postfix, clients: int) -> None:
        self.accepted: Counter[str] = Counter()
        self.refused = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(postfix, i)) for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def _send(self, postfix: Postfix, number: int) -> None:
        client: Client = postfix.client(f"user{number}@example.com")
        n = 0
        while not self._stop.is_set():
            address = f"r{number}-{n}@example.net"
            sent = client.send("x@example.com", [address], message())
            with self._lock:
                self.accepted.update(sent.accepted)
                self.refused += sent.recipients[address][0] != 250
            n += 1
        client.close()

    def count(self) -> int:
        """Messages taken over so far."""
        with self._lock:
            return self.accepted.total()

    def stop(self) -> None:
        """Let every client finish its message."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def test_kill_9_in_the_middle_of_a_load_loses_nothing(gate: Any, sink: Sink) -> None:
    """No message, no pause, no count beyond the documented window; Postfix goes on meanwhile."""
    penstock, postfix = gate(
        policy(recipients="100000/h"),
        smtpd_client_connection_rate_limit="0",
        default_process_limit="50",
        smtpd_hard_error_limit="100000",  # the paused one goes on asking, however long it takes
    )
    penstock.cli("pause", "login:user0@example.com", "--reason", "test")
    load = Load(postfix, 4)
    wait_until(lambda: load.count() >= 60, what="some mail")
    before = sum(recipients_of(penstock, f"login:user{i}@example.com") for i in (1, 2, 3))
    penstock.kill()
    at_kill = load.count()
    wait_until(lambda: load.count() >= at_kill + 3, what="mail while Penstock is down")
    penstock.start()
    assert load.refused > 0
    back = load.count()
    wait_until(lambda: load.count() >= back + 30, what="mail after the restart")
    assert penstock.cli("show", "login:user0@example.com")["standing"]["state"] == "paused"
    load.stop()
    sink.wait_for(load.count(), seconds=60)
    assert sink.deliveries() == load.accepted
    after = sum(recipients_of(penstock, f"login:user{i}@example.com") for i in (1, 2, 3))
    assert after >= before


def test_counts_survive_kill_9_but_for_the_last_50_ms(penstock: Penstock) -> None:
    """However busy the machine is: who writes down waits for his turn as long as the slowest answer did."""
    start, slowest = int(time.time()), 0.0
    with penstock.client() as client:
        for i in range(200):
            login, recipient = f"u{i % 20}@example.com", f"r{i}@example.net"
            asked = time.monotonic()
            client.ask(sasl_username=login, instance=f"1.{start:x}.{i:x}.0", recipient=recipient)
            slowest = max(slowest, time.monotonic() - asked)
    time.sleep(0.05 + slowest)
    penstock.kill()
    penstock.start()
    assert sum(recipients_of(penstock, f"login:u{i}@example.com") for i in range(20)) == 200
