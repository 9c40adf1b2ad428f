"""The composed service: faults inside, slow records, reload, time, alarms."""

from __future__ import annotations

import asyncio
import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

import geo
from app.conftest import Logs
from app.live import T0, Clock, Peer, command, peer, run, serving, until
from penstock.app import Service, figures, metrics, service
from penstock.core.decision import Decision
from penstock.core.events import Attempt
from penstock.core.flight import Channel
from penstock.core.journey import Place
from penstock.stores import counts
from penstock.stores.records import RecordStore

ALICE = "login:alice@example.com"
_instances = itertools.count(1)


def named(login: str = "alice", realm: str = "example.com") -> dict[str, str]:
    """A new message of a login to a new recipient."""
    n = next(_instances)
    return {
        "sasl_username": f"{login}@{realm}" if realm else login,
        "instance": f"{n:x}.655341{n % 100:02x}.1.0",
        "recipient": f"r{n}@example.org",
    }


# --- a fault inside -----------------------------------------------------------------------------


@pytest.mark.parametrize(("on_error", "answer"), [("pass", "DUNNO"), ("defer", "DEFER_IF_PERMIT 4.7.1 ")])
def test_a_failing_decision_is_answered_and_shouted_about(
    folder: Path, logs: Logs, on_error: str, answer: str
) -> None:
    async def story() -> None:
        async with serving(folder, f'on_error = "{on_error}"\n') as penstock:
            decide = penstock.engine.decide

            def fragile(attempt: Attempt, channel: Channel) -> Decision:
                if attempt.login == "bad@example.com":
                    raise ZeroDivisionError("on purpose")
                return decide(attempt, channel)

            penstock.engine.decide = fragile  # type: ignore[method-assign]
            async with peer(folder) as client:
                for login in ("good", "bad", "good", "bad"):
                    got = await client.ask(**named(login))
                    assert got.startswith(answer if login == "bad" else "DUNNO")
                    assert "division" not in got and "ZeroDivision" not in got
            traffic = (await command(folder, "status"))["listeners"][0]
            assert (traffic["errors"], traffic["protocol_errors"], traffic["stages"]) == (2, 0, {"RCPT": 4})

    run(story())
    shouted = [line for line in logs if line["event"].startswith("decision failed")]
    assert [(line["log_level"], line["sender"]) for line in shouted] == [("error", "bad@example.com")] * 2
    assert all(line["exc_info"] for line in shouted)


# --- durable before answered --------------------------------------------------------------------


class SlowRecords:
    """Holds every commit of a record store until the test lets it go."""

    def __init__(self, store: RecordStore) -> None:
        self.gate = threading.Event()
        self.gate.set()
        write = store._write

        def slowly() -> None:
            self.gate.wait(20)
            write()

        store._write = slowly  # type: ignore[method-assign]


def test_only_answers_that_rest_on_a_record_wait_for_it(folder: Path) -> None:
    """The DEFER of a pause waits until the pause is durable; other senders do not wait with it."""

    async def story() -> None:
        async with serving(folder) as penstock, peer(folder) as one, peer(folder) as two:
            assert await one.ask(**named()) == "DUNNO"
            slow = SlowRecords(penstock.records)
            slow.gate.clear()
            pausing = asyncio.create_task(command(folder, "standing", sender=ALICE, to="paused", reason="x"))
            await until(lambda: penstock.engine.roster.get(ALICE, T0).standing.stopped)
            for login in ("bob", "alice", "carol", "alice", "dave"):
                one.send(**named(login))
            assert await one.answer() == "DUNNO"  # bob's
            for _ in range(20):
                assert await two.ask(**named("eve")) == "DUNNO"
            with pytest.raises(TimeoutError):
                await one.answer(0.05)
            assert not pausing.done()
            slow.gate.set()
            verbs = [(await one.answer()).split()[0] for _ in range(4)]
            assert verbs == ["DEFER_IF_PERMIT", "DUNNO", "DEFER_IF_PERMIT", "DUNNO"]
            assert (await pausing)["durable"] is True

    run(story())


def test_a_record_that_is_durable_just_in_time_leaves_nothing_behind(folder: Path) -> None:
    """The record may become durable between the look and the wait: what follows is answered too."""

    async def story() -> None:
        async with serving(folder) as penstock, peer(folder) as client:
            await command(folder, "standing", sender=ALICE, to="paused", reason="x")
            records, durable = penstock.records, penstock.records.durable

            class JustInTime:
                durable = 0

                def when_durable(self, ticket: int, call: Any) -> None:
                    JustInTime.durable = durable
                    records.when_durable(ticket, call)

            penstock._keepers[0].records = JustInTime()
            for login in ("alice", "bob", "alice", "carol"):
                client.send(**named(login))
            verbs = [(await client.answer(2)).split()[0] for _ in range(4)]
            assert verbs == ["DEFER_IF_PERMIT", "DUNNO", "DEFER_IF_PERMIT", "DUNNO"]

    run(story())


def test_closing_answers_what_waits_for_its_record(folder: Path) -> None:
    async def story() -> None:
        async with peer_of_closing(folder) as (client, slow, pausing):
            client.send(**named())
            with pytest.raises(TimeoutError):
                await client.answer(0.05)
            asyncio.get_running_loop().call_later(0.1, slow.gate.set)
        assert (await client.answer()).startswith("DEFER_IF_PERMIT")
        assert await client.reader.read() == b""
        assert (await pausing)["durable"]

    run(story())


class peer_of_closing:
    """A service that is closed while a client and a command wait for a record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = serving(folder)

    async def __aenter__(self) -> tuple[Peer, SlowRecords, asyncio.Task[Any]]:
        penstock = await self.context.__aenter__()
        self.client_context = peer(self.folder)
        client = await self.client_context.__aenter__()
        slow = SlowRecords(penstock.records)
        slow.gate.clear()
        pausing = asyncio.create_task(command(self.folder, "standing", sender=ALICE, to="paused", reason="x"))
        await until(lambda: penstock.engine.roster.get(ALICE, T0).standing.stopped)
        return client, slow, pausing

    async def __aexit__(self, *exception: object) -> None:
        await self.context.__aexit__(None, None, None)


def test_a_poisoned_record_does_not_stop_the_others(folder: Path, logs: Logs) -> None:
    """Text that the database cannot hold costs its own record at most, never the thread."""

    async def story() -> None:
        async with serving(folder) as penstock, peer(folder) as client:
            reason = b"caf\xe9".decode("utf-8", "surrogateescape")  # a terminal in Latin-1
            told = await command(folder, "standing", sender=ALICE, to="paused", reason=reason)
            assert told["durable"] and "caf" in told["why"]
            for text in (reason, "\udcff", "\x00", "K7F3-9QX2"):
                with pytest.raises(AssertionError, match="no refusal has the reference"):
                    await command(folder, "explain", reference=text)
            penstock.records.put_standing(
                "login:\udcff", *(penstock.engine.roster.get(ALICE, T0).standing,) * 2
            )
            told = await command(folder, "standing", sender="login:bob", to="locked", reason="é \U0001f512")
            assert told["durable"]
            assert (await client.ask(**named())).startswith("DEFER_IF_PERMIT")
        async with serving(folder):
            assert (await command(folder, "show", sender=ALICE))["standing"]["state"] == "paused"
            assert (await command(folder, "show", sender="login:bob"))["standing"]["why"] == "é \U0001f512"
            assert not (await command(folder, "status"))["problems"]

    run(story())


# --- reload -------------------------------------------------------------------------------------

TIGHT = '[profiles.personal]\nrecipients = ["{}/h"]\nmessages = []\nbytes = []\npause = []\nnewcomer = []\n'


def test_reload_holds_at_once_for_known_senders(folder: Path, logs: Logs) -> None:
    async def story() -> None:
        policy = folder / "penstock.toml"
        async with serving(folder, TIGHT.format(3)) as penstock, peer(folder) as client:

            async def verbs(n: int) -> list[str]:
                return [(await client.ask(**named())).split()[0] for _ in range(n)]

            assert await verbs(4) == ["DUNNO"] * 3 + ["DEFER_IF_PERMIT"]
            policy.write_text(TIGHT.format(5))
            await command(folder, "reload")
            assert await verbs(3) == ["DUNNO"] * 2 + ["DEFER_IF_PERMIT"]
            policy.write_text(TIGHT.format(5) + f'[senders."{ALICE}"]\nrecipients = ["6/h"]\n')
            penstock.hang_up()
            await until(lambda: ALICE in penstock.engine.roster.policy.overrides)
            assert await verbs(2) == ["DUNNO", "DEFER_IF_PERMIT"]
            policy.write_text(TIGHT.format(5) + '[directory.logins."alice@example.com"]\nprofile = "relay"\n')
            await command(folder, "reload")
            assert await verbs(10) == ["DUNNO"] * 10
            assert (await command(folder, "show", sender=ALICE))["profile"] == "relay"
            policy.write_text('[profiles.personal]\nrecipients = ["1/x"]\nmesages = []\n[nonsense]\n')
            logs.clear()
            with pytest.raises(AssertionError) as refused:
                await command(folder, "reload")
            for part in ("recipients[0]", 'unknown unit "x"', "mesages", "messages", "nonsense"):
                assert part in str(refused.value)
            penstock.hang_up()
            await until(lambda: len([line for line in logs if "old policy" in line["event"]]) == 2)
            assert all(len(line["problems"]) == 3 for line in logs if "old policy" in line["event"])
            policy.unlink()
            with pytest.raises(AssertionError, match=r"penstock.toml: cannot be read: No such file"):
                await command(folder, "reload")
            assert await verbs(1) == ["DUNNO"]
            assert (await command(folder, "show", sender=ALICE))["profile"] == "relay"

    run(story())


def test_a_geo_file_is_read_at_the_start_and_again_at_a_reload(folder: Path, tmp_path: Path) -> None:
    async def story() -> None:
        file = geo.write(tmp_path / "City.mmdb")
        async with serving(folder, f'[detection]\ngeo = "{file}"\n') as penstock:

            def place() -> Place | None:
                of = penstock.engine.detector.journeys.places
                return of("192.0.2.7") if of is not None else None

            assert place() == geo.BERLIN
            geo.write(file, {"192.0.2.0/24": geo.LAGOS})
            await command(folder, "reload")
            assert place() == geo.LAGOS
            file.write_bytes(b"cut short")
            with pytest.raises(AssertionError, match="not in MaxMind's format"):
                await command(folder, "reload")
            assert place() == geo.LAGOS
            (folder / "penstock.toml").write_text("[detection]\n")
            await command(folder, "reload")
            assert place() is None

    run(story())


@pytest.mark.parametrize(
    ("keep", "said"), [(0.5, "is not in MaxMind's format"), (None, "cannot be read: No such file")]
)
def test_a_geo_file_that_cannot_be_used_at_the_start_is_told_and_left_out(
    folder: Path, tmp_path: Path, logs: Logs, keep: float | None, said: str
) -> None:
    """Cut short by a crash, or gone: mail is guarded all the same, and a reload with a good file heals it."""

    async def story() -> None:
        file = geo.write(tmp_path / "City.mmdb")
        text, data = f'[detection]\ngeo = "{file}"\n', file.read_bytes()
        file.unlink()
        if keep is not None:
            file.write_bytes(data[: int(keep * len(data))])
        async with serving(folder, text, opens=False) as penstock, peer(folder) as client:
            journeys = penstock.engine.detector.journeys
            assert await client.ask(**named(), client_address="192.0.2.7") == "DUNNO"
            assert journeys.places is None
            (problem,) = (await command(folder, "status"))["problems"]
            assert problem.startswith(f"geo file {file}: {said}") and "reload" in problem
            assert _metric(penstock, "degraded", ("geo",)) == 1
            assert not figures.health(penstock)[0] and figures.ready(penstock)[0]
            with pytest.raises(AssertionError, match=said):
                await command(folder, "reload")
            assert (await command(folder, "status"))["problems"] == [problem]
            file.write_bytes(data)
            await command(folder, "reload")
            assert (await command(folder, "status"))["problems"] == []
            assert _metric(penstock, "degraded", ("geo",)) == 0
            for address in ("192.0.2.7", "198.51.100.9"):
                assert await client.ask(**named(), client_address=address) == "DUNNO"
            assert journeys.places is not None and "NG" in journeys._trips[ALICE].countries

    run(story())
    told = [line for line in logs if line["event"] == "the geo file cannot be used"]
    assert [line["log_level"] for line in told] == ["error"] and said in told[0]["why"]


NAMES = '[names]\ndefault_realm = "example.com"\nrealm_aliases = {"old.example" = "example.com"}\n'


def test_a_change_of_names_merges_accounts(folder: Path) -> None:
    """Counts, standing and exceptions move to the account, and stay there through a restart."""

    async def story() -> None:
        roomy = TIGHT.format(100)
        async with serving(folder, roomy) as penstock, peer(folder) as client:
            for login, realm in (("alice", ""), ("alice", "old.example"), ("alice", "example.com")):
                assert await client.ask(**named(login, realm)) == "DUNNO"
            for login, realm in (("bob", ""), ("carol", "old.example")):
                assert await client.ask(**named(login, realm)) == "DUNNO"
            await command(folder, "standing", sender="login:alice", to="paused", reason="stolen")
            await command(folder, "limit", sender="login:bob", recipients=["1/h"], reason="small")
            (folder / "penstock.toml").write_text(roomy + NAMES)
            await command(folder, "reload")
            assert (await client.ask(**named("alice", "old.example"))).startswith("DEFER_IF_PERMIT")
            await _merged(folder)
            assert penstock.engine.roster.senders.keys().isdisjoint({"login:alice", "login:bob"})
        for _ in range(2):
            async with serving(folder), peer(folder) as client:
                assert (await client.ask(**named("alice", "example.com"))).startswith("DEFER_IF_PERMIT")
                await _merged(folder)

    async def _merged(folder: Path) -> None:
        shown = await command(folder, "show", sender=ALICE)
        assert shown["counts"]["recipients"]["hour"] == 3
        assert (shown["standing"]["state"], shown["standing"]["why"]) == ("paused", "stolen")
        shown = await command(folder, "show", sender="login:bob@example.com")
        assert (shown["counts"]["recipients"]["hour"], shown["override"]["why"]) == (1, "small")
        paused = await command(folder, "senders", state="paused")
        assert [row["sender"] for row in paused["senders"]] == [ALICE]

    run(story())


def test_names_changed_while_stopped_leave_no_pause_behind(folder: Path) -> None:
    async def story() -> None:
        async with serving(folder, TIGHT.format(100)), peer(folder) as client:
            assert await client.ask(**named("alice", "")) == "DUNNO"
            await command(folder, "standing", sender="login:alice", to="paused", reason="stolen")
            await command(folder, "limit", sender="login:alice", recipients=["7/h"], reason="small")
        for _ in range(2):
            async with serving(folder, TIGHT.format(100) + NAMES), peer(folder) as client:
                assert (await client.ask(**named("alice", ""))).startswith("DEFER_IF_PERMIT")
                shown = await command(folder, "show", sender=ALICE)
                assert shown["counts"]["recipients"]["hour"] == 1
                assert shown["override"]["limits"] == ["recipients 7/h"]

    run(story())


# --- time ---------------------------------------------------------------------------------------


def test_a_pause_ends_by_itself(folder: Path) -> None:
    """`--for 2h --then probation`: paused, then a fraction of the limits, then open; also asleep."""

    async def story() -> None:
        clock = Clock()

        async def state() -> str:
            found: str = (await command(folder, "show", sender=ALICE))["standing"]["state"]
            return found

        policy = TIGHT.format(100) + 'outcomes = ["unknown-user 25/h", "complaints 3/d"]\n'
        async with serving(folder, policy, clock), peer(folder) as client:
            await client.ask(**named())
            terms = {"for": 7200, "then": "probation"}
            told = await command(folder, "standing", sender=ALICE, to="paused", reason="test", **terms)
            assert (told["state"], told["then"]) == ("paused", "probation")
            clock.now += 7199
            assert (await client.ask(**named())).startswith("DEFER_IF_PERMIT")
            clock.now += 1
            assert await client.ask(**named()) == "DUNNO"
            assert await state() == "probation"
            shown = await command(folder, "show", sender=ALICE)
            allowed = [(limit["unit"], limit["allowed"]) for limit in shown["limits"]]
            assert allowed == [("recipients", 25), ("unknown-user", 25), ("complaints", 3)]
            assert shown["history"][0]["by"] == "penstock:term"
        async with serving(folder, TIGHT.format(100), clock), peer(folder) as client:
            assert await state() == "probation"
            clock.now += 86400
            assert await state() == "open"
            terms = {"for": 60}
            await command(folder, "standing", sender=ALICE, to="locked", reason="test", **terms)
            assert (await client.ask(**named())).startswith("REJECT")
        clock.now += 3600
        async with serving(folder, TIGHT.format(100), clock), peer(folder) as client:
            assert await client.ask(**named()) == "DUNNO"

    run(story())


def test_an_exception_ends_by_itself(folder: Path) -> None:
    async def story() -> None:
        clock = Clock()
        async with serving(folder, TIGHT.format(1), clock), peer(folder) as client:
            await command(folder, "limit", sender=ALICE, recipients=["5/h"], reason="party", **{"for": 600})
            assert [await client.ask(**named()) for _ in range(3)] == ["DUNNO"] * 3
            clock.now += 601
            assert (await client.ask(**named())).startswith("DEFER_IF_PERMIT")
            shown = await command(folder, "show", sender=ALICE)
            assert shown["override"] is None
            assert "penstock:term" in {change["by"] for change in shown["history"]}

    run(story())


def test_silence_is_an_alarm(folder: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SWEEP", 0.005)

    def events(text: str) -> int:
        return sum(text in line["event"] for line in logs)

    async def story() -> None:
        clock = Clock()
        async with serving(folder, '[listen]\nsilence = "10m"\n', clock) as penstock, peer(folder) as client:
            for turn in range(2):
                assert await client.ask(**named()) == "DUNNO"
                await until(lambda turn=turn: events("traffic again") == turn)  # type: ignore[misc]
                assert figures.health(penstock) == (True, {"status": "ok", "problems": []})
                clock.now += 601
                await until(lambda turn=turn: events("no traffic") == turn + 1)  # type: ignore[misc]
                good, told = figures.health(penstock)
                assert not good and "no traffic on unix:" in told["problems"][0]
                assert "for 601 s" in told["problems"][0]
                clock.now += 60
                await asyncio.sleep(0.03)
                assert events("no traffic") == turn + 1, "said once"
                assert _metric(penstock, "degraded", ("traffic",)) == 1
                assert _metric(penstock, "silence_seconds", (f"unix:{folder}/policy",)) == 661
            await client.ask(**named())
            await until(lambda: events("traffic again") == 2)
            assert _metric(penstock, "degraded", ("traffic",)) == 0

    run(story())


def _metric(penstock: Service, name: str, labels: tuple[str, ...]) -> float:
    return next(dict(values)[labels] for _, each, _, _, values in metrics.samples(penstock) if each == name)


# --- the log of counts --------------------------------------------------------------------------


def test_segments_are_compacted(folder: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    """Small segments: the folder stays small, and nothing is lost."""
    monkeypatch.setattr(counts, "SEGMENT_BYTES", 2_000)

    async def story() -> None:
        async with serving(folder, TIGHT.format(100_000)) as penstock, peer(folder) as client:
            rounds = 0
            while not list((folder / "state").glob("snapshot-*")) or rounds < 600:
                rounds += 1
                assert await client.ask(**named(f"u{rounds % 30}")) == "DUNNO"
                if rounds % 10 == 0:
                    penstock.counts.flush()
                    await asyncio.sleep(0.002)
        left = len(list((folder / "state").glob("counts-*.log")))
        async with serving(folder, TIGHT.format(100_000)) as penstock:
            total = 0
            for i in range(30):
                shown = await command(folder, "show", sender=f"login:u{i}@example.com")
                total += shown["counts"]["recipients"]["hour"]
            assert total == rounds
            await until(lambda: len(list((folder / "state").glob("counts-*.log"))) < min(left, 4) + 1)

    run(story())
    assert not [line for line in logs if line["log_level"] in ("error", "critical")]
