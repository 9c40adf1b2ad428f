"""Incidents, verdicts and what is learned, against a running service."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from penstock.core.evidence import Finding
from penstock.core.incident import Incident, Suspect
from penstock.core.standing import INITIAL, Standing, State
from penstock.stores.records import RecordStore
from penstock.stores.schema import sqlite_url
from rig.base import answers, free_port
from rig.penstock import Penstock

CONFIG = """
[profiles.personal]
recipients = []
messages = []
bytes = []
newcomer = []
pause = []
usual = { novel = 1 }

[detection]
mode = "enforce"
false_pauses = 1000
"""
NAMES = ("anna", "bert", "carl", "dora", "emil")
FINDINGS = (
    Finding("networks", 6.5, "it wrote to 20 new recipients from a network that is not its own", "network"),
    Finding("novelty", 5.0, "40 recipients today are new to it, usual is up to 4", "flow"),
)
PORT = free_port()


def code_of(name: str) -> str:
    return f"I-00000{NAMES.index(name)}"


def key_of(name: str) -> str:
    return f"login:{name}@example.com"


def stolen(name: str, at: float) -> tuple[Incident, Standing]:
    """An account that the evidence has paused an hour ago."""
    suspect = Suspect(key_of(name), at, at - 60, at + 30, "", "personal", 2.3, -9.2, FINDINGS, {"novel": 40})
    suspect.slowed_at, suspect.paused_at, suspect.leak, suspect.stopped = at, at + 30, 12, 400
    incident = Incident(code_of(name), at, {key_of(name): suspect})
    return incident, Standing(State.PAUSED, at + 30, "penstock:evidence", FINDINGS[0].text)


async def prepare(running: Penstock) -> None:
    """What an earlier run has left in the records."""
    store = RecordStore(sqlite_url(running.state / "records.db"))
    store.start(asyncio.get_running_loop(), time.time())
    for name in NAMES:
        incident, standing = stolen(name, time.time() - 3600)
        store.put_incident(incident)
        store.put_suspect(incident.id, incident.worst)
        store.put_standing(key_of(name), INITIAL, standing)
    await store.close()


@pytest.fixture(scope="module")
def penstock() -> Iterator[Penstock]:
    """A service with five stolen accounts, one for each test that judges one."""
    with Penstock(CONFIG, "--listen", f"http=127.0.0.1:{PORT}") as running:
        running.terminate()
        asyncio.run(prepare(running))
        running.start()
        yield running


def cli(penstock: Penstock, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--state", str(penstock.state)])


def told(penstock: Penstock, *arguments: str) -> str:
    result = cli(penstock, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def parsed(penstock: Penstock, *arguments: str) -> Any:
    return json.loads(told(penstock, *arguments, "--json"))


def ask(penstock: Penstock, name: str, recipient: str = "x@example.org") -> str:
    with penstock.client() as client:
        login = f"{name}@example.com"
        return client.ask(sasl_username=login, recipient=recipient, instance=f"{time.monotonic_ns():x}.1.0")


def metrics(penstock: Penstock) -> str:
    penstock.ready(lambda: answers(PORT))
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_incidents_are_listed(penstock: Penstock) -> None:
    row = next(line for line in told(penstock, "incidents").splitlines() if code_of("anna") in line)
    assert "open" in row and key_of("anna") in row and "networks, novelty" in row and " 12 " in row
    found = parsed(penstock, "incidents", "--open", "--sender", "ANNA")["incidents"]
    assert [row["id"] for row in found] == [code_of("anna")]
    assert parsed(penstock, "incidents", "--sender", "nobody")["incidents"] == []
    assert parsed(penstock, "incidents", "--all")["known"] >= 5


def test_one_incident_reads_like_a_note(penstock: Penstock) -> None:
    text = told(penstock, "incidents", code_of("anna").lower())
    for part in (
        f"{code_of('anna')}, open: {key_of('anna')}",
        "+6.5  networks: it wrote to 20 new recipients",
        "10 to 1 that a stranger sends",
        "12 new recipients got through",
        f"{key_of('anna')} is paused",
        f"penstock verdict {code_of('anna')} legitimate",
    ):
        assert part in text
    found = parsed(penstock, "incidents", code_of("anna"))
    suspect = found["suspects"][0]
    assert suspect["counts"] == {"novel": 40} and suspect["findings"][0]["signal"] == "networks"
    assert suspect["suspicion"] == 2.3 and found["lesson"] is None


def test_whom_it_stops_is_told_its_incident(penstock: Penstock) -> None:
    answer = ask(penstock, "anna")
    assert answer.startswith("DEFER")
    reference = answer.rpartition(" ")[2].strip("()[].")
    text = told(penstock, "explain", reference)
    assert f"(incident {code_of('anna')})" in text and f"penstock incidents {code_of('anna')}" in text
    shown = told(penstock, "show", key_of("anna"))
    assert f"incident {code_of('anna')}, open" in shown
    assert parsed(penstock, "show", key_of("anna"))["incident"]["id"] == code_of("anna")
    assert parsed(penstock, "incidents", code_of("anna"))["stopped"] == 401


def test_legitimate_lets_it_go_on_and_is_learned(penstock: Penstock) -> None:
    text = told(
        penstock, "verdict", code_of("bert"), "legitimate", "--note", "his new shop", "--until", "2099-03-01"
    )
    assert f"{code_of('bert')} is judged legitimate: {key_of('bert')}" in text
    assert f"{key_of('bert')} is open" in text and "until 2099-03-01T00:00:00Z" in text
    assert ask(penstock, "bert") == "DUNNO"
    lesson = next(x for x in parsed(penstock, "learned")["lessons"] if x["incident"] == code_of("bert"))
    assert lesson["signals"] == ["networks", "novelty"] and lesson["senders"] == [key_of("bert")]
    assert lesson["note"] == "his new shop" and sum(lesson["steps"].values()) == pytest.approx(
        -0.0273, abs=1e-3
    )
    text = told(penstock, "learned")
    assert "networks and novelty will not be held against" in text and "signals now: networks × 0.9" in text
    assert "his new shop" in told(penstock, "incidents", code_of("bert"))
    history = parsed(penstock, "show", key_of("bert"))["history"]
    assert {"verdict", "standing"} <= {row["what"] for row in history}


def test_compromised_keeps_it_paused(penstock: Penstock) -> None:
    found = parsed(penstock, "verdict", code_of("carl"), "compromised")
    assert found["verdict"] == "compromised" and found["durable"] and "paused" in found["standing"]
    assert ask(penstock, "carl").startswith("DEFER")
    assert "Once the password is changed" in told(penstock, "incidents", code_of("carl"))
    assert code_of("carl") not in told(penstock, "incidents")
    assert code_of("carl") in told(penstock, "incidents", "--all")


def test_what_was_learned_is_taken_back(penstock: Penstock) -> None:
    assert parsed(penstock, "verdict", code_of("dora"), "legitimate", "--learn", "profile")["lesson"][
        "profile"
    ]
    assert parsed(penstock, "show", key_of("dora"))["override"]["profile"] == "newsletter"
    assert "Forgotten: " in told(penstock, "learned", "--forget", code_of("dora"))
    assert parsed(penstock, "show", key_of("dora"))["override"] is None
    assert code_of("dora") not in told(penstock, "learned")
    again = cli(penstock, "learned", "--forget", code_of("dora"))
    assert again.exit_code == 1 and "nothing is learned" in again.output


def test_all_of_it_outlives_a_kill(penstock: Penstock) -> None:
    parsed(penstock, "verdict", code_of("emil"), "legitimate", "--until", "2099-03-01")
    penstock.kill()
    penstock.start()
    found = parsed(penstock, "incidents", code_of("emil"))
    assert found["verdict"] == "legitimate" and found["lesson"]["until"] == "2099-03-01T00:00:00Z"
    assert ask(penstock, "emil") == "DUNNO"


def test_the_services_own_incident(penstock: Penstock) -> None:
    """From the policy port to the note; without a log nobody is slowed, because no outcome would be seen."""
    for i in range(60):
        ask(penstock, "fred", f"r{i}@example.net")
    found = parsed(penstock, "incidents", "--sender", "fred@")["incidents"]
    assert len(found) == 1 and found[0]["leak"] >= 50 and found[0]["state"].startswith("open")
    text = told(penstock, "incidents", found[0]["id"])
    assert "Somebody else may be using login:fred@example.com" in text


def test_quality_by_month_and_signal(penstock: Penstock) -> None:
    parsed(penstock, "verdict", code_of("bert"), "legitimate")
    parsed(penstock, "verdict", code_of("carl"), "compromised")
    found = parsed(penstock, "quality")
    total = found["total"]
    assert total["legitimate"] >= 1 and total["compromised"] == 1 and total["false_pauses"] >= 1
    assert (total["leak_median"], total["delay_median"]) == (12, 90)
    assert found["signals"]["networks"]["incidents"] == 5 and found["signals"]["networks"]["factor"] < 1
    text = told(penstock, "quality", "--months", "1")
    assert "month" in text and "networks" in text and "1.5 min" in text


def test_metrics_of_incidents(penstock: Penstock) -> None:
    parsed(penstock, "verdict", code_of("bert"), "legitimate")
    parsed(penstock, "verdict", code_of("carl"), "compromised")
    penstock.restart()
    text = metrics(penstock)
    for line in (
        'penstock_incidents{state="compromised"} 1',
        'penstock_signal_incidents{signal="networks",verdict="compromised"} 1',
        'penstock_leak_recipients{quantile="0.95"} 12',
        'penstock_detection_delay_seconds{quantile="0.5"} 90',
        'penstock_signal_factor{signal="networks"} 0.9',
        "penstock_lessons ",
        "penstock_false_pauses ",
    ):
        assert line in text, line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["incidents", "I-ZZZZZZ"], "no incident I-ZZZZZZ is known"),
        (["incidents", "what"], "is not an incident's ID"),
        (["verdict", "I-ZZZZZZ", "legitimate"], "no incident I-ZZZZZZ is known"),
        (["verdict", "I-000000", "perhaps"], "'perhaps' is not one of"),
        (["verdict", "I-000000", "legitimate", "--learn", "all"], "'all' is not one of"),
        (["verdict", "I-000000", "legitimate", "--until", "tomorrow"], "does not match"),
        (["verdict", "I-000000", "legitimate", "--until", "2001-01-01"], "must lie in the future"),
        (["learned", "--forget", "?"], "is not an incident's ID"),
        (["quality", "--months", "0"], "0 is not in the range"),
    ],
)
def test_mistakes_are_told(penstock: Penstock, arguments: list[str], says: str) -> None:
    result = cli(penstock, *arguments)
    assert result.exit_code != 0 and says in result.output
