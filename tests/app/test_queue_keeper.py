"""The keeper of the queue inside a service: reused ids, verdicts, terms, customers, a helper that is away.

A paper Postfix stands behind the real helper: programs of the same names that work on a file, so that a test
can have happen between two commands what a real one does once in thirty thousand messages.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.conftest import Logs
from app.live import T0, Clock, command, run, serving, until
from penstock.app import Service, figures
from penstock.core.events import Message
from penstock.core.incident import Incident, Suspect
from penstock.core.standing import State

ALICE = "login:alice@example.com"
BOB = "login:bob@example.com"
AT = int(T0)
PAPER = f"""#!{sys.executable}
import json, pathlib, sys
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[3:]
file = pathlib.Path(__file__).parent / "queue.json"
queue = json.loads(file.read_text())
if name == "postconf":
    print("5d")
elif name == "postqueue" and arguments == ["-j"]:
    for entry in queue["messages"]:
        print(json.dumps(entry))
elif name == "postsuper":
    deed, ids = arguments[0], set(sys.stdin.read().split())
    for change in queue.pop("before" + deed, []):
        queue["messages"] = [each for each in queue["messages"] if each["queue_id"] != change["queue_id"]]
        queue["messages"].append(change)
    gone = ids if deed == "-d" else set()
    queue["messages"] = [
        each for each in queue["messages"] if each["queue_name"] != "hold" or each["queue_id"] not in gone
    ]
    for entry in [each for each in queue["messages"] if each["queue_id"] in ids]:
        held = entry["queue_name"] == "hold"
        if deed == "-h" or held:
            entry["queue_name"] = "hold" if deed == "-h" else "deferred"
    queue["done"].append([deed, *sorted(ids)])
    file.with_suffix(".new").write_text(json.dumps(queue))
    file.with_suffix(".new").rename(file)
"""


def entry(queue_id: str, arrival: int = AT, sender: str = "x@example.com", queue: str = "deferred") -> Any:
    """A message of the paper Postfix."""
    return {
        "queue_name": queue,
        "queue_id": queue_id,
        "arrival_time": arrival,
        "message_size": 1000,
        "sender": sender,
        "recipients": [{"address": "bob@example.org"}],
    }


class Paper:
    """The paper Postfix in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "queue.json"
        for name in ("postqueue", "postsuper", "postcat", "postconf"):
            (folder / name).write_text(PAPER)
            (folder / name).chmod(0o755)
        self.write()

    def write(self, *messages: Any, **more: Any) -> None:
        new = self.file.with_suffix(".made")
        new.write_text(json.dumps({"messages": messages, "done": [], **more}))
        new.rename(self.file)

    def read(self) -> Any:
        return json.loads(self.file.read_text())

    def places(self) -> dict[str, str]:
        return {each["queue_id"]: each["queue_name"] for each in self.read()["messages"]}

    def config(self, more: str = "", **keys: str) -> str:
        helper = [sys.executable, "-m", "penstock.mta.queue_helper", "--programs", str(self.folder)]
        own = "\n".join(f'{key} = "{value}"' for key, value in keys.items())
        return f"{more}\n[queue]\nmta = 'postfix'\nhelper_command = {helper}\n{own}\n"


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    return Paper(tmp_path)


def sent(service: Service, queue_id: str, sender: str, at: float = T0) -> None:
    """The index knows whose it is."""
    service.sent.remember(Message(at, "mx", queue_id), sender)


def stand(service: Service, sender: str, to: State, until: float | None = None) -> None:
    now = service.clock()
    service.engine.roster.change_standing(sender, to, now, "admin:x", "a test", until, State.OPEN)


def live(
    folder: Path, paper: Paper, clock: Clock | None = None, more: str = "", **keys: str
) -> AbstractAsyncContextManager[Service]:
    return serving(folder, paper.config(more, **keys), clock)


def test_another_message_under_a_reused_id_is_let_go_and_never_dropped(folder: Path, paper: Paper) -> None:
    async def story() -> None:
        async with live(folder, paper) as service:
            later = entry("A1B2C3", AT + 60, "bob@example.com")
            paper.write(entry("A1B2C3"), **{"before-h": [later]})
            sent(service, "A1B2C3", ALICE)
            stand(service, ALICE, State.PAUSED)
            await until(lambda: ["-H", "A1B2C3"] in paper.read()["done"])
            assert paper.places() == {"A1B2C3": "deferred"}
            paper.write(entry("A1B2C3"), **{"before-h": [later]})
            await command(folder, "queue", do="drop", target=ALICE)
            assert "-d" not in {deed for deed, *_ in paper.read()["done"]}
            assert paper.read()["messages"] == [later], "held by mistake, seen to be another's, let go"

    run(story())


def test_an_id_that_was_another_senders_before_is_nobodys(folder: Path, paper: Paper) -> None:
    async def story() -> None:
        async with live(folder, paper) as service:
            paper.write(entry("A1B2C3", AT + 600), entry("B2C3D4"))
            sent(service, "A1B2C3", ALICE)
            sent(service, "B2C3D4", ALICE)
            stand(service, ALICE, State.PAUSED)
            await until(lambda: paper.places() == {"A1B2C3": "deferred", "B2C3D4": "hold"})
            listed = await command(folder, "queue", do="list")
            assert {row["sender"]: row["held"] for row in listed["senders"]} == {None: 0, ALICE: 1}

    run(story())


@pytest.mark.parametrize(("policy", "left"), [("hold", 2), ("drop", 1), ("bounce", 2)])
def test_a_verdict_drops_what_the_policy_says(folder: Path, paper: Paper, policy: str, left: int) -> None:
    async def story() -> None:
        async with live(folder, paper, compromised=policy) as service:
            paper.write(entry("A1B2C3"), entry("B2C3D4"))
            sent(service, "A1B2C3", ALICE)
            sent(service, "B2C3D4", BOB)
            incident = Incident("I-AB12CD", T0, {ALICE: Suspect(ALICE, T0, T0, T0)})
            known = SimpleNamespace(incidents={incident.id: incident})
            service.engine.casework.incidents.take_over(known)  # type: ignore[arg-type]
            stand(service, ALICE, State.PAUSED)
            await until(lambda: paper.places().get("A1B2C3") == "hold")
            await command(folder, "verdict", id="I-AB12CD", verdict="compromised", note="stolen")
            deed = {"hold": "-h", "drop": "-d", "bounce": "-f"}[policy]
            await until(lambda: [deed, "A1B2C3"] in paper.read()["done"])
            await until(lambda: len(paper.places()) == left)
            assert paper.places()["B2C3D4"] == "deferred"

    run(story())


def test_ten_thousand_messages_go_in_batches(folder: Path, paper: Paper) -> None:
    async def story() -> None:
        async with live(folder, paper) as service:
            ids = [f"{n:06X}" for n in range(10_000)]
            paper.write(*map(entry, ids), entry("FFFFFF"))
            for queue_id in ids:
                sent(service, queue_id, ALICE)
            stand(service, ALICE, State.PAUSED)
            await until(lambda: service.queue and service.queue.held == 10_000, 50)
            assert service.queue is not None and service.queue.moved["frozen"] == 10_000
            answer = await command(folder, "queue", do="drop", target=ALICE)
            assert answer["messages"] == 10_000
            await until(lambda: paper.places() == {"FFFFFF": "deferred"}, 50)
            done = [(deed, len(batch)) for deed, *batch in paper.read()["done"]]
            assert done == [("-h", 1000)] * 10 + [("-d", 1000)] * 10

    run(story())


def test_a_pause_that_ends_by_itself_lets_the_mail_go(folder: Path, paper: Paper) -> None:
    async def story() -> None:
        clock = Clock()
        async with live(folder, paper, clock) as service:
            paper.write(entry("A1B2C3"))
            sent(service, "A1B2C3", ALICE)
            stand(service, ALICE, State.PAUSED, until=T0 + 3600)
            await until(lambda: paper.places() == {"A1B2C3": "hold"})
            clock.now += 3601
            await until(lambda: paper.places() == {"A1B2C3": "deferred"})

    run(story())


def test_a_customers_pause_freezes_all_of_his_senders(folder: Path, paper: Paper) -> None:
    owners = '[directory.logins]\n"alice@example.com" = { customer = "4711" }\n'

    async def story() -> None:
        async with live(folder, paper, more=owners) as service:
            paper.write(entry("A1B2C3"), entry("B2C3D4"))
            sent(service, "A1B2C3", ALICE)
            sent(service, "B2C3D4", BOB)
            for key in (ALICE, BOB):
                service.engine.roster.get(key, T0)
            stand(service, "customer:4711", State.PAUSED)
            await until(lambda: paper.places() == {"A1B2C3": "hold", "B2C3D4": "deferred"})

    run(story())


def test_old_held_mail_is_warned_about(folder: Path, paper: Paper, logs: Logs) -> None:
    async def story() -> None:
        clock = Clock()
        async with live(folder, paper, clock) as service:
            assert service.queue is not None
            paper.write(entry("A1B2C3"))
            sent(service, "A1B2C3", ALICE)
            stand(service, ALICE, State.PAUSED)
            await until(lambda: service.queue and service.queue.held == 1)
            assert service.queue.problems == []
            clock.now += 4 * 86400
            stand(service, BOB, State.PAUSED)
            await until(lambda: service.queue and service.queue.problems)
            ok, told = figures.health(service)
            assert not ok and "once released it has one attempt" in told["problems"][0]

    run(story())
    assert [line["log_level"] for line in logs if line["event"] == "held mail"] == ["warning"]


def test_a_helper_that_is_away_is_a_problem_until_it_is_back(folder: Path, paper: Paper, logs: Logs) -> None:
    async def story() -> None:
        (paper.folder / "postqueue").rename(paper.folder / "away")
        async with live(folder, paper) as service:
            await until(lambda: service.queue and service.queue.problems)
            assert "postqueue is not installed" in figures.degraded(service)[0]
            with pytest.raises(AssertionError, match="postqueue is not installed"):
                await command(folder, "queue", do="list")
            (paper.folder / "away").rename(paper.folder / "postqueue")
            paper.write(entry("A1B2C3"))
            sent(service, "A1B2C3", ALICE)
            stand(service, ALICE, State.PAUSED)
            await until(lambda: paper.places() == {"A1B2C3": "hold"})
            await until(lambda: figures.degraded(service) == [])

    run(story())
    assert [line["log_level"] for line in logs if "not looked after" in line["event"]] == ["error"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"do": "eat", "target": ALICE}, "one of list, show, hold"),
        ({"do": "drop", "target": "alice"}, "neither a queue id nor a sender"),
        ({"do": "drop", "target": "A1B2C3"}, "no message A1B2C3 is in the queue"),
        ({"do": "show", "target": ALICE}, "is no queue id"),
    ],
)
def test_what_cannot_be_asked(folder: Path, paper: Paper, asked: dict[str, str], why: str) -> None:
    async def story() -> None:
        async with live(folder, paper):
            with pytest.raises(AssertionError, match=why):
                await command(folder, "queue", **asked)

    run(story())


def test_without_a_queue_to_look_after(folder: Path) -> None:
    async def story() -> None:
        async with serving(folder) as service:
            assert service.queue is None and service.engine.queued is None
            assert figures.degraded(service) == []
            service.engine.budget.take(ALICE, service.clock())
            assert "mail lies on hold and nobody lets it go" in figures.degraded(service)[0]
            with pytest.raises(AssertionError, match="the queue is not looked after"):
                await command(folder, "queue")

    run(story())
