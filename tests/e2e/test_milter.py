"""The milter beside a real Postfix: SMTP sessions, local submissions, every decision, crashes."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from typing import Any

import pytest

from e2e.conftest import StartPenstock, StartPostfix
from penstock.wire.trace import Tracer
from rig.base import PATH, wait_until
from rig.penstock import Penstock
from rig.postfix import Postfix
from rig.smtp import Sink, message

ALICE = "login:alice@example.com"
TO = "bob@example.net"
UID = 1033
SITE = f"uid:{UID}"

MILTER = "default_action=accept, protocol=6, connect_timeout=5s, command_timeout=10s, content_timeout=30s"
TIGHT = 'recipients = ["1/h"]\nmessages = []\nbytes = []\noutcomes = []\npause = []\n'


def policy(profile: str, action: str, listener: str, more: str = "") -> str:
    """A policy file with one recipient an hour and a milter."""
    return (
        f'[listen]\n{listener} = ["MILTER"]\n'
        f'[profiles.{profile}]\n{TIGHT}over_limit = "{action}"\nnewcomer = []\n{more}\n'
    )


def as_asked(address: str) -> str:
    """How Postfix writes a milter at an address."""
    where = address if address.startswith("unix:") else f"inet:{address}"
    return f"{{ {where}, {MILTER} }}"


class Platform:
    """Penstock with a milter, and a Postfix that asks it about SMTP clients and local submissions."""

    def __init__(self, penstock: Penstock, postfix: Postfix) -> None:
        self.penstock = penstock
        self.postfix = postfix
        self.left = 0

    def send(self, to: list[str], login: str = "Alice@Example.com", content: str | None = None) -> Any:
        """One message of one SMTP session."""
        client = self.postfix.client(login)
        try:
            return client.send("alice@example.com", to, content or message())
        finally:
            client.close()

    def submit(self, to: list[str], script: str = f"{UID}:mailer.php", **headers: str) -> None:
        """One message by sendmail(1), as PHP's mail() hands it in."""
        origin = {"X_PHP_Originating_Script": script} if script else {}
        command = ["sendmail", "-C", str(self.postfix.config), "-i", "-f", "www@example.com", *to]
        content = message(**(origin | headers)).encode()
        environment = {**os.environ, "PATH": PATH}
        subprocess.run(command, input=content, check=True, timeout=60, env=environment)

    def recipients_of(self, sender: str) -> int:
        """Recipients charged to a sender in the last hour."""
        hour: int = self.penstock.cli("show", sender)["counts"]["recipients"]["hour"]
        return hour

    def sender_of(self, content: str) -> str:
        """Whom the reference in a message's header names."""
        token = re.search(r"^X-Penstock-Ref: (\S+)$", content, re.MULTILINE)
        assert token is not None
        read = Tracer((self.penstock.state / "reference.key").read_bytes()).read(token[1])
        assert read is not None
        return read[0]

    def messages(self) -> dict[str, int]:
        """What became of messages at the milter; sessions that it let go left out."""
        found: dict[str, int] = self.penstock.cli("status")["milters"][0]["messages"]
        self.left = found.pop("left", 0)
        return found

    def wait_messages(self, **expected: int) -> None:
        """Wait until the milter has seen these."""
        wait_until(lambda: self.messages() == expected, what=f"messages {expected}")


@pytest.fixture
def platform(start_penstock: StartPenstock, start_postfix: StartPostfix) -> Any:
    """Starts both. MILTER in the policy becomes the address: a Unix socket in Postfix's queue, or TCP."""

    def start(config: str, address: str = "", **settings: str) -> Platform:
        penstock = start_penstock("")
        address = address or f"unix:{penstock.folder.path}/milter.sock"
        penstock.configure(config.replace("MILTER", address))
        penstock.restart()
        bound = penstock.cli("status")["milters"][0]["address"]
        asked = as_asked(bound)
        postfix = start_postfix(settings={"smtpd_milters": asked, "non_smtpd_milters": asked, **settings})
        return Platform(penstock, postfix)

    return start


# --- clients of SMTP --------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "127.0.0.1:0"])
@pytest.mark.parametrize(
    ("action", "code", "result"),
    [
        ("defer", 451, {"pass": 1}),
        ("reject", 550, {"pass": 1}),
        ("hold", 250, {"pass": 1, "hold": 1}),
        ("discard", 250, {"pass": 1, "discard": 1}),
        ("reroute discard:x", 250, {"pass": 1, "reroute": 1}),
    ],
)
def test_a_client_over_its_limit(
    platform: Any, sink: Sink, action: str, code: int, result: dict[str, int], address: str
) -> None:
    here = platform(policy("personal", action, "milter_smtp"), address)
    assert len(here.send([TO]).accepted) == 1
    sink.wait_for(1)
    sent = here.send(["carol@example.net"])
    assert sent.recipients["carol@example.net"][0] == code
    assert bool(here.postfix.held()) == (action[0] in "hr" and code == 250)
    if code >= 400:
        told = sent.recipients["carol@example.net"][1]
        assert "ref " in told and "1/h" not in told
        explained = here.penstock.cli("explain", told.split("(ref ")[1].split(")")[0])
        assert explained["sender"] == ALICE
    assert here.recipients_of(ALICE) == 1
    assert here.messages() == result
    assert sink.deliveries() == Counter({TO: 1})


def test_a_reply_keeps_its_percent_signs(platform: Any) -> None:
    texts = '[texts.en]\nover_limit = "100% used, %s %%"\n'
    here = platform(policy("personal", "reject", "milter_smtp", texts))
    here.send([TO])
    assert "5.7.1 100% used, %s %% (ref " in here.send([TO]).recipients[TO][1]


def test_some_recipients_of_a_message(platform: Any, sink: Sink) -> None:
    here = platform(policy("personal", "defer", "milter_smtp").replace("1/h", "2/h"))
    sent = here.send([f"r{i}@example.net" for i in range(4)])
    assert [code for code, _ in sent.recipients.values()] == [250, 250, 451, 451]
    sink.wait_for(2)
    assert here.recipients_of(ALICE) == 2
    assert here.penstock.cli("status")["milters"][0]["refused"] == {"defer": 2}


def test_a_held_message_is_released_exactly_once(platform: Any, sink: Sink) -> None:
    here = platform(policy("personal", "hold", "milter_smtp"))
    here.send([TO])
    sink.wait_for(1)
    here.send(["carol@example.net"])
    (held,) = here.postfix.held()
    here.postfix.release(held)
    sink.wait_for(2)
    here.postfix.wait_empty()
    assert sink.deliveries() == Counter({TO: 1, "carol@example.net": 1})
    assert here.recipients_of(ALICE) == 1


def test_mail_that_postfix_takes_from_its_queue_again_is_not_counted_again(platform: Any, sink: Sink) -> None:
    here = platform(policy("script", "hold", "milter"))
    here.submit([TO])
    here.submit(["carol@example.net"])
    here.wait_messages(**{"pass": 1, "hold": 1})
    (held,) = here.postfix.held()
    here.postfix.command("postsuper", "-r", held)
    sink.wait_for(2)
    assert here.recipients_of(SITE) == 1
    assert here.messages() == {"pass": 1, "hold": 1}


def test_a_message_that_dies_gives_its_recipients_back(platform: Any, sink: Sink) -> None:
    here = platform(policy("personal", "defer", "milter_smtp").replace("1/h", "9/h"))
    client = here.postfix.client("alice@example.com")
    client.envelope("alice@example.com", [f"r{i}@example.net" for i in range(5)])
    client.reset()
    wait_until(lambda: here.recipients_of(ALICE) == 0, what="an aborted message to be given back")
    assert len(client.send("alice@example.com", [TO]).accepted) == 1
    client.envelope("alice@example.com", [f"r{i}@example.net" for i in range(5)])
    client.smtp.close()
    wait_until(lambda: here.recipients_of(ALICE) == 1, what="a lost message to be given back")


def test_bytes_of_a_client_count_as_announced(platform: Any, sink: Sink) -> None:
    here = platform(policy("personal", "defer", "milter_smtp"))
    client = here.postfix.client("alice@example.com")
    assert client.command("MAIL FROM:<alice@example.com> SIZE=160000")[0] == 250
    assert client.command(f"RCPT TO:<{TO}>")[0] == 250
    assert client.data(message())[0] == 250
    client.close()
    sink.wait_for(1)
    assert here.penstock.cli("show", ALICE)["counts"]["kib"]["hour"] == 157


def test_headers_are_added(platform: Any, sink: Sink) -> None:
    reports = "[reports]\nheader = true\n"
    here = platform(policy("personal", "mark X-Over: yes", "milter_smtp", reports))
    here.send([TO])
    sink.wait_for(1)
    here.send([TO])
    first, second = (mail.content for mail in sink.wait_for(2))
    assert here.sender_of(first) == ALICE and "X-Over" not in first
    assert re.search(r"^X-Over: yes \(ref \S+\)$", second, re.MULTILINE)


def test_where_the_policy_listener_is_asked_clients_are_let_go_at_once(platform: Any, sink: Sink) -> None:
    here = platform(policy("personal", "reject", "milter"))
    for _ in range(3):
        assert len(here.send([TO]).accepted) == 1
    sink.wait_for(3)
    assert here.messages() == {} and here.left >= 3


# --- local submissions ------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["hold", "discard", "reject", "defer"])
def test_a_script_over_its_limit(platform: Any, sink: Sink, action: str) -> None:
    """A held message waits, a deferred one stays with pickup, a rejected one bounces: nothing is lost."""
    here = platform(policy("script", action, "milter"))
    here.submit([TO])
    sink.wait_for(1)
    here.submit(["carol@example.net"])
    if action == "defer":  # pickup tries again every second
        wait_until(lambda: here.messages().get("defer"), what="a deferred message")
    else:
        here.wait_messages(**{"pass": 1, action: 1})
    if action == "hold":
        (held,) = here.postfix.held()
        here.postfix.release(held)
        sink.wait_for(2)
        assert sink.deliveries()["carol@example.net"] == 1
    elif action == "reject":
        here.postfix.wait_for("milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 5.7.1 Too many")
        (bounce,) = [mail for mail in sink.wait_for(2) if mail.recipients == ("www@example.com",)]
        assert "Too many recipients" in bounce.content
    elif action == "defer":
        here.postfix.wait_for("milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 4.7.1 Too many")
        assert list((here.postfix.folder.path / "queue" / "maildrop").iterdir())
    assert sink.deliveries()[TO] == 1
    assert here.recipients_of(SITE) == 1


def test_bytes_of_local_mail_are_counted(platform: Any, sink: Sink) -> None:
    here = platform(policy("script", "hold", "milter"))
    here.submit([TO], X_Pad="y" * 900, body=("z" * 78 + "\n") * 2000)
    sink.wait_for(1)
    kib = here.penstock.cli("show", SITE)["counts"]["kib"]["hour"]
    assert 155 <= kib <= 160


def test_a_paused_script_user_while_another_passes(platform: Any, sink: Sink) -> None:
    here = platform(policy("script", "hold", "milter").replace('"1/h"', '"100/h"'))
    here.penstock.cli("pause", SITE, "--reason", "flood")
    here.submit([TO])
    here.submit(["carol@example.net"], script="1044:contact.php")
    sink.wait_for(1)
    wait_until(lambda: len(here.postfix.held()) == 1, what="the paused user's message to be held")
    assert sink.deliveries() == Counter({"carol@example.net": 1})


def test_what_stops_one_recipient_of_a_local_message_stops_them_all(platform: Any, sink: Sink) -> None:
    here = platform(policy("script", "hold", "milter").replace("1/h", "3/h"))
    here.submit([f"r{i}@example.net" for i in range(5)])
    here.wait_messages(hold=1)
    (message_,) = here.postfix.queue()
    assert len(message_["recipients"]) == 5
    here.submit([f"r{i}@example.net" for i in range(3)])
    sink.wait_for(3)
    assert here.recipients_of(SITE) == 3


def test_local_mail_of_nobody_known_passes_and_is_counted(platform: Any, sink: Sink) -> None:
    here = platform(policy("script", "reject", "milter"))
    for _ in range(3):
        here.submit([TO], script="")
    sink.wait_for(3)
    assert here.messages() == {"unnamed": 3}


def test_local_mail_carries_a_reference(platform: Any, sink: Sink) -> None:
    here = platform(policy("script", "hold", "milter", "[reports]\nheader = true\n"))
    here.submit([TO])
    (mail,) = sink.wait_for(1)
    assert here.sender_of(mail.content) == f"script:{UID}:mailer.php"


# --- crashes ----------------------------------------------------------------------------------


def test_mail_flows_after_kill_9(platform: Any, sink: Sink) -> None:
    here = platform(policy("personal", "reject", "milter_smtp"))
    here.penstock.kill()
    assert len(here.send([TO]).accepted) == 1
    here.submit([TO])
    sink.wait_for(2)
    here.penstock.start()
    assert len(here.send([TO]).accepted) == 1
    assert here.messages() == {"pass": 1}


def test_killed_in_the_middle_of_a_message_the_message_is_delivered(platform: Any, sink: Sink) -> None:
    here = platform(policy("personal", "reject", "milter_smtp"))
    client = here.postfix.client("alice@example.com")
    client.envelope("alice@example.com", [TO])
    here.penstock.kill()
    assert client.data(message())[0] == 250
    client.close()
    sink.wait_for(1)


def test_a_stop_waits_for_the_message_that_is_coming_in(platform: Any, sink: Sink) -> None:
    here = platform(policy("personal", "hold", "milter_smtp"))
    here.send([TO])
    client = here.postfix.client("alice@example.com")
    client.envelope("alice@example.com", ["carol@example.net"])
    assert here.penstock.process is not None
    here.penstock.process.terminate()
    assert client.data(message())[0] == 250
    client.close()
    assert here.penstock.process.wait(20) == 0
    assert len(here.postfix.held()) == 1
