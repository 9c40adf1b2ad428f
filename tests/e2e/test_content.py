"""What is read of content, with a real Postfix: one spam from five accounts, a spam filter's score."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from e2e.test_milter import TO, UID, Platform, platform
from penstock.core.acquaintance import Acquaintance
from penstock.engine.fingerprints import LEARNS, day_read
from penstock.stores.acquaintances import write
from rig.base import wait_until
from rig.smtp import Sink, message
from wire.content.mails import INVITATION, PACKINGS, PITCH, personal

__all__ = ["platform"]

POLICY = """
[listen]
{listener} = ["MILTER"]
[profiles.personal]
recipients = []
messages = []
newcomer = []
[content]
clients = true
score_header = "X-Spam-Score"
score_limit = 8
"""


def experienced(state: Path) -> None:
    """As if content had been read for weeks."""
    known, now = Acquaintance(bytes(32)), time.time()
    for ago in range(1, 2 * LEARNS):
        known.meet(day_read(known, int(now // 86400) - ago))
    known.since = now - 365 * 86400
    write(state / "acquaintance.bin", known, now)


def mail(text: str, n: int) -> str:
    """A message of some packing."""
    kind, encoding, body = PACKINGS[n % len(PACKINGS)](text)
    return message("hello", body.decode(), Content_Type=kind, Content_Transfer_Encoding=encoding)


def send(here: Platform, i: int, to: str, content: str) -> None:
    """One message of one account."""
    login = f"user{i}@house{i}.example"
    client = here.postfix.client(login)
    try:
        assert len(client.send(login, [to], content).accepted) == 1
    finally:
        client.close()


def scored(here: Platform, sender: str) -> int:
    """Messages of the week that the filter scored high."""
    return sum(day["spam_scored"] for day in here.penstock.cli("show", sender)["week"])


def test_one_spam_from_five_accounts_is_one_incident(platform: Any, sink: Sink) -> None:
    here = platform(POLICY.format(listener="milter_smtp"))
    here.penstock.stop()
    experienced(here.penstock.state)
    here.penstock.start()
    chance = random.Random(3)
    for i in range(5, 10):
        send(here, i, f"friend{i}@example.org", mail(INVITATION, i))
    for i in range(5):
        for n in range(4):
            send(here, i, f"s{n}.{i}@example.net", mail(personal(PITCH, chance, 0.06), i + n))
    (incident,) = here.penstock.cli("incidents")["incidents"]
    assert incident["campaign"].startswith(("text:", "link:"))
    assert incident["senders"] == 5
    sink.wait_for(25)
    files = here.penstock.state.iterdir()
    stored = b"".join(path.read_bytes() for path in files if path.is_file())
    assert b"leather gloves" not in stored and b"tournament" not in stored


def test_a_filter_s_score_is_counted(platform: Any, sink: Sink) -> None:
    here = platform(POLICY.format(listener="milter_smtp"))
    for score in ("3.1", "8.0", "12.5 (++++++++++++)"):
        send(here, 0, TO, message(X_Spam_Score=score))
    assert scored(here, "login:user0@house0.example") == 2
    sink.wait_for(3)


def test_local_mail_is_read_as_well(platform: Any, sink: Sink) -> None:
    here = platform(POLICY.format(listener="milter"))
    here.submit([TO], X_Spam_Score="30", body=PITCH)
    sink.wait_for(1)
    wait_until(lambda: scored(here, f"script:{UID}:mailer.php") == 1, what="a score")


def test_content_of_clients_is_not_shown_unless_it_is_wanted(platform: Any, sink: Sink) -> None:
    here = platform(POLICY.format(listener="milter_smtp").replace("clients = true", "clients = false"))
    send(here, 0, TO, message(X_Spam_Score="30"))
    sink.wait_for(1)
    assert scored(here, "login:user0@house0.example") == 0
