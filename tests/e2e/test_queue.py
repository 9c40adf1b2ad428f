"""The MTA's queue, end to end: a real Postfix, its real tools behind the helper, floods, kill -9."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest

from e2e.conftest import StartPostfix
from penstock.cli.common import ask
from rig.base import PATH, wait_until
from rig.penstock import Penstock
from rig.postfix import asks
from rig.smtp import Sink, message

ALICE = "login:alice@example.com"
BOB = "login:bob@example.com"
LATER = "451 4.3.0 later"
CONTEXT = "default_action=DUNNO, policy_context=penstock/rcpt+eom"
POLICY = """
[profiles.{profile}]
recipients = ["100000/h"]
messages = []
bytes = []
outcomes = []
pause = []
newcomer = []
{more}
"""


class Platform:
    """Postfix that asks Penstock, Penstock that looks after Postfix's queue. What `slow` names must wait."""

    def __init__(self, servers: ExitStack, sink: Sink, start_postfix: StartPostfix) -> None:
        self.sink = sink
        self.penstock = Penstock("")
        self.postfix = start_postfix(settings=asks(self.penstock.port, CONTEXT))
        self._profiles = POLICY.format(profile="personal", more="")
        self.configure()
        servers.enter_context(self.penstock)

    def configure(self, rate: int = 60, more: str = "", **keys: str) -> None:
        helper = [sys.executable, "-m", "penstock.mta.queue_helper", "--config-dir", str(self.postfix.config)]
        own = "\n".join(f"{key} = {value}" for key, value in keys.items())
        self.penstock.configure(
            f"{self._profiles}\n{more}\n[queue]\nmta = 'postfix'\nconfig_dirs = ['{self.postfix.config}']\n"
            f"helper_command = {helper}\nrelease_per_minute = {rate}\n{own}\n"
        )

    def follow_log(self) -> None:
        """From the next start on."""
        log = self.postfix.folder.path / "mail.log"
        self.configure(more=f"[logs.mail]\nfile = '{log}'\nfrom_beginning = true\n")

    def relay(self) -> None:
        """Clients without a login have room, too."""
        self._profiles += POLICY.format(profile="relay", more="")
        self.configure()
        self.ask("reload")

    def defer(self, *names: str) -> None:
        """The world makes these recipients wait from now on, and nobody else."""
        self.sink.answers = {f"{name}@x.test": LATER for name in names}

    def send(self, login: str, *names: str) -> list[str]:
        """A message for each of these; their queue ids."""
        with self.postfix.client(f"{login}@example.com") as client:
            sent = [client.send(f"{login}@example.com", [f"{name}@x.test"]) for name in names]
        assert all(each.accepted for each in sent), sent
        return [each.queue_id for each in sent]

    def places(self) -> dict[str, str]:
        """Queue id → the queue that it lies in."""
        return {item["queue_id"]: item["queue_name"] for item in self.postfix.queue()}

    def wait_held(self, *ids: str) -> None:
        """Until exactly these are on hold."""
        wait_until(lambda: set(self.postfix.held()) == set(ids), 30, f"{len(ids)} held messages")

    def ask(self, command: str, **arguments: Any) -> Any:
        return ask(self.penstock.state, command, **arguments)

    def stand(self, sender: str, to: str) -> None:
        self.ask("standing", sender=sender, to=to, reason="a test")

    def queue(self, do: str, target: str = "") -> Any:
        return self.ask("queue", do=do, target=target)


@pytest.fixture
def platform(servers: ExitStack, sink: Sink, start_postfix: StartPostfix) -> Platform:
    return Platform(servers, sink, start_postfix)


def test_a_pause_freezes_that_senders_mail_and_a_resume_lets_it_go_slowly(platform: Platform) -> None:
    names = [f"a{n}" for n in range(6)]
    platform.defer(*names, "b")
    mine, others = platform.send("alice", *names), platform.send("bob", "b")
    platform.stand(ALICE, "paused")
    platform.wait_held(*mine)
    assert platform.places()[others[0]] != "hold", "nobody else's mail is touched"
    platform.defer()
    platform.sink.wait_for(1)
    assert platform.sink.deliveries() == Counter({"b@x.test": 1})
    listed = {row["sender"]: row for row in platform.queue("list")["senders"]}
    assert (listed[ALICE]["messages"], listed[ALICE]["held"]) == (6, 6)
    platform.configure(rate=1)
    platform.ask("reload")
    platform.stand(ALICE, "open")
    platform.sink.wait_for(2)
    assert set(platform.postfix.held()) == set(mine[1:]), "the oldest goes first, one a minute"
    assert platform.ask("status")["queue"]["releasing"] == 5
    platform.configure(rate=60000)
    platform.ask("reload")
    platform.sink.wait_for(7)
    platform.postfix.wait_empty()
    assert platform.sink.deliveries() == Counter(f"{name}@x.test" for name in (*names, "b"))
    week = platform.ask("show", sender=ALICE)["week"]
    assert sum(day["recipients"] for day in week) == 6, "released mail is not counted again"
    assert sum(day["refused"] for day in week) == 0


def test_a_kill_between_the_steps_loses_nothing(platform: Platform) -> None:
    """The log is followed: whose the mail of the last second was, a kill -9 may have taken from the index."""
    platform.follow_log()
    platform.penstock.restart()
    platform.defer("a", "c", "b")
    mine = platform.send("alice", "a", "c")
    platform.send("bob", "b")
    platform.stand(ALICE, "paused")
    platform.penstock.kill()
    platform.penstock.start()
    platform.wait_held(*mine)
    platform.penstock.kill()
    platform.penstock.start()
    platform.stand(ALICE, "open")
    platform.penstock.kill()
    platform.defer()
    platform.penstock.start()
    platform.sink.wait_for(3)
    platform.postfix.wait_empty()
    assert platform.sink.deliveries() == Counter({"a@x.test": 1, "c@x.test": 1, "b@x.test": 1})


def test_drop_deletes_all_of_a_senders_mail_and_nobody_elses(platform: Platform) -> None:
    platform.defer(*(f"a{n}" for n in range(5)), "b")
    mine, others = platform.send("alice", *(f"a{n}" for n in range(5))), platform.send("bob", "b")
    platform.stand(ALICE, "locked")
    platform.wait_held(*mine)
    refused = _cli(platform, "drop", ALICE, text="n\n")
    assert refused.returncode == 1 and "5 messages of login:alice@example.com" in refused.stderr
    assert len(platform.postfix.held()) == 5
    dropped = _cli(platform, "drop", ALICE, text="y\n")
    assert dropped.stdout == "deleted: 5 messages of login:alice@example.com\n", dropped
    assert list(platform.places()) == others
    assert platform.ask("status")["queue"]["dropped"] == 5


def test_of_a_flood_what_is_queued_is_frozen_and_dropped(platform: Platform) -> None:
    """Two thousand messages of a client in one go, an innocent's in the same queue."""
    platform.postfix.set(defer_transports="smtp")
    platform.relay()
    flood = ["smtp-source", "-s", "10", "-m", "2000", "-l", "2000", "-f", "x@example.com", "-t", "y@x.test"]
    subprocess.run([*flood, f"127.0.0.1:{platform.postfix.port}"], env={"PATH": PATH}, check=True, timeout=60)
    others = platform.send("bob", "b")
    platform.stand("ip:127.0.0.1", "paused")
    wait_until(lambda: len(platform.postfix.held()) == 2000, 60, "the frozen flood")
    assert platform.places()[others[0]] == "deferred"
    assert platform.queue("drop", "ip:127.0.0.1")["messages"] == 2000
    wait_until(lambda: list(platform.places()) == others, 60, "an end of the flood")
    platform.postfix.set(defer_transports="")
    platform.postfix.flush()
    platform.sink.wait_for(1)
    assert platform.sink.deliveries() == Counter({"b@x.test": 1})


def test_a_flood_that_its_evidence_pauses_is_dropped_on_the_verdict(platform: Platform) -> None:
    """Spam traps give it away; nobody pauses or drops anything by hand."""
    traps = [f"trap{n}@x.test" for n in range(3)]
    platform.postfix.set(defer_transports="smtp")
    platform.relay()
    platform.configure(compromised="'drop'", more=f"[detection]\nfalse_pauses = 100\ntraps = {traps}\n")
    platform.ask("reload")
    sink = f"127.0.0.1:{platform.postfix.port}"
    flood = ["smtp-source", "-s", "10", "-m", "2000", "-l", "2000", "-f", "x@example.com", "-t", "y@x.test"]
    subprocess.run([*flood, sink], env={"PATH": PATH}, check=True, timeout=60)
    others = platform.send("bob", "b")
    for trap in traps:
        one = ["smtp-source", "-m", "1", "-f", "x@example.com", "-t", trap, sink]
        subprocess.run(one, env={"PATH": PATH}, check=False, timeout=60)
    wait_until(lambda: len(platform.postfix.held()) >= 2000, 60, "the frozen flood")
    assert platform.places()[others[0]] == "deferred"
    (incident,) = platform.ask("incidents", sender="ip:127.0.0.1")["incidents"]
    platform.ask("verdict", id=incident["id"], verdict="compromised", note="an infected machine")
    wait_until(lambda: list(platform.places()) == others, 60, "an end of the flood")


def test_drop_takes_what_is_not_held_too(platform: Platform) -> None:
    platform.defer("a", "b")
    platform.send("alice", "a")
    others = platform.send("bob", "b")
    assert platform.queue("drop", ALICE)["messages"] == 1
    assert list(platform.places()) == others


def test_the_commands_in_words(platform: Platform) -> None:
    platform.defer("a", "b")
    (mine,) = platform.send("alice", "a")
    platform.send("bob", "b")
    held = _cli(platform, "hold", ALICE)
    assert held.stdout == f"put on hold: 1 message of {ALICE}\n"
    whole = _cli(platform).stdout.splitlines()
    assert whole[1].split()[:4] == [ALICE, "1", "1", "0"] and whole[2].split()[:4] == [BOB, "1", "0", "0"]
    assert whole[3].startswith("2 messages, 1 on hold")
    one = _cli(platform, ALICE).stdout.splitlines()
    assert one[1].split()[:2] == [mine, "hold"] and "a@x.test" in one[1]
    assert one[2].startswith("1 message, 1 on hold")
    status = platform.penstock.run("status", "--state", str(platform.penstock.state)).stdout
    assert "postfix queue: 1 message on hold" in status and "1 frozen" in status
    assert _cli(platform, "release", mine).stdout == f"released: 1 message of {mine}\n"
    none = _cli(platform, "drop", "login:nobody@example.com", text="y\n")
    assert none.returncode == 1 and "no mail of login:nobody@example.com is in the queue" in none.stderr


def test_one_message_is_shown_held_released_and_dropped(platform: Platform) -> None:
    platform.defer("a", "c")
    with platform.postfix.client("alice@example.com") as client:
        sent = client.send("alice@example.com", ["a@x.test"], message("hi \x1b[2J", "a body\n" * 900))
    first, second = sent.queue_id, platform.send("alice", "c")[0]
    shown = _cli(platform, "show", first)
    assert "\x1b" not in shown.stdout and "Subject: hi" in shown.stdout and "a body" in shown.stdout
    assert "[…]" in shown.stdout and len(shown.stdout) < 5000 and ALICE in shown.stdout
    assert platform.queue("hold", first)["messages"] == 1
    platform.wait_held(first)
    platform.stand(ALICE, "paused")
    platform.wait_held(first, second)
    platform.stand(ALICE, "open")
    platform.wait_held(first)  # what somebody put on hold stays there when the sender resumes
    platform.defer()
    platform.stand(ALICE, "paused")
    assert platform.queue("release", first)["messages"] == 1
    platform.sink.wait_for(1)
    assert platform.sink.deliveries()["a@x.test"] == 1, "it goes although its sender is paused"
    with pytest.raises(Exception, match=f"no message {first} is in the queue"):
        platform.queue("drop", first)


def test_bounced_mail_comes_back(platform: Platform) -> None:
    platform.defer("a")
    mine = platform.send("alice", "a")
    platform.stand(ALICE, "paused")
    platform.wait_held(*mine)
    assert platform.queue("bounce", ALICE)["messages"] == 1
    returned = platform.sink.wait_for(1)[0]
    assert returned.sender in ("", "<>") and returned.recipients == ("alice@example.com",)
    platform.postfix.wait_empty()


def test_a_local_submission_by_an_ordinary_user_is_held_listed_and_released_once(
    servers: ExitStack, sink: Sink, start_postfix: StartPostfix
) -> None:
    """Who handed it in is known from Postfix's log alone."""
    platform = Platform(servers, sink, start_postfix)
    platform.follow_log()
    platform.penstock.restart()
    platform.defer("a")
    local = ["sendmail", "-C", str(platform.postfix.config), "-i", "-f", "site@example.com", "a@x.test"]
    subprocess.run(local, input=message(), text=True, check=True, timeout=30)
    wait_until(lambda: platform.queue("list", "uid:0")["matching"] == 1, what="the submission in the queue")
    platform.stand("uid:0", "paused")
    wait_until(lambda: len(platform.postfix.held()) == 1, what="the held submission")
    platform.defer()
    platform.stand("uid:0", "open")
    sink.wait_for(1)
    platform.postfix.wait_empty()
    assert sink.deliveries() == Counter({"a@x.test": 1})


def test_beyond_the_budget_what_would_be_held_is_refused(platform: Platform) -> None:
    """And what the gate itself put on hold goes out on resume."""
    platform._profiles = POLICY.format(profile="personal", more='paused = "hold"')
    platform.configure(rate=60000, held_messages="3")
    platform.ask("reload")
    platform.stand(ALICE, "paused")
    with platform.postfix.client("alice@example.com") as client:
        sent = [client.send("alice@example.com", [f"a{n}@x.test"]) for n in range(5)]
    assert [bool(each.accepted) for each in sent] == [True, True, True, False, False]
    assert sent[3].recipients["a3@x.test"][0] == 554
    assert len(platform.postfix.held()) == 3
    assert platform.ask("status")["queue"]["refused"] == 2
    wait_until(lambda: platform.ask("status")["queue"]["held"] == 3, what="a look at the queue")
    platform.stand(ALICE, "open")
    platform.sink.wait_for(3)
    platform.postfix.wait_empty()
    assert platform.sink.deliveries() == Counter(f"a{n}@x.test" for n in range(3))


def test_what_was_held_over_a_limit_goes_by_itself_when_there_is_room(platform: Platform) -> None:
    """Oldest first, once, counted once, also after a kill; what a person holds stays."""
    few = POLICY.replace("100000/h", "2/20s").replace("messages = []", 'over_limit = "hold"\nmessages = []')
    platform._profiles = few.format(profile="personal", more="")
    platform.configure(rate=60000)
    platform.ask("reload")
    mine = platform.send("alice", "a0", "a1", "a2", "a3")
    platform.sink.wait_for(2)
    assert set(platform.postfix.held()) == set(mine[2:])
    wait_until(lambda: platform.ask("status")["queue"]["held"] == 2, what="a look at the queue")
    platform.penstock.kill()
    platform.penstock.start()
    (others,) = platform.send("bob", "b")
    platform.sink.wait_for(3)
    platform.postfix.set(defer_transports="smtp")
    (kept,) = platform.send("carol", "c")
    platform.queue("hold", kept)
    platform.postfix.set(defer_transports="")
    platform.sink.wait_for(5)
    assert set(platform.postfix.held()) == {kept}
    assert platform.sink.deliveries() == Counter(f"{name}@x.test" for name in ("a0", "a1", "a2", "a3", "b"))
    assert others not in platform.places()
    week = platform.ask("show", sender=ALICE)["week"]
    assert [sum(day[what] for day in week) for what in ("recipients", "messages", "refused")] == [4, 4, 2]


def _cli(platform: Platform, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock", "queue", *arguments, "--state", str(platform.penstock.state)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
