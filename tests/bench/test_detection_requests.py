"""The corpus as policy requests: what Postfix asks, in order, and Penstock answers."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from bench.detection.corpus import Corpus
from bench.detection.score import rows

from penstock.core.events import Attempt
from penstock.wire.postfix_policy import PolicyCodec
from rig.penstock import Penstock


@pytest.fixture(scope="module")
def attempts(corpus: Corpus) -> list[Attempt]:
    """What Penstock understands when it is fed with the corpus as Postfix would ask."""
    codec = PolicyCodec("mx1")
    with (corpus.folder / "requests.txt").open("rb") as asked:
        return [
            attempt for block in iter(lambda: asked.read(8192), b"") for attempt in codec.feed(block, 0.0)
        ]


def begun(attempt: Attempt) -> float:
    """Seconds since the epoch, from ``instance``."""
    _, second, micros, _ = attempt.instance.split(".")
    return int(second, 16) + int(micros, 16) / 1e6


def test_each_recipient_and_each_message_of_a_login_is_asked_about_once(
    corpus: Corpus, attempts: list[Attempt]
) -> None:
    labels = [row for row in rows(corpus.folder / "labels.jsonl") if row["account"].startswith("login:")]
    ends = [attempt for attempt in attempts if attempt.stage == "END-OF-MESSAGE"]
    recipients = Counter(attempt.instance for attempt in attempts if attempt.stage == "RCPT")
    assert len(ends) + sum(recipients.values()) == len(attempts)
    assert recipients == {end.instance: end.recipient_count for end in ends}
    assert {end.queue_id: (f"login:{end.login}", end.recipient_count) for end in ends} == {
        label["queue_id"]: (label["account"], label["recipients"]) for label in labels
    }


def test_requests_are_as_postfix_sends_them(attempts: list[Attempt]) -> None:
    """SMTPD_POLICY_README: no queue id before the first recipient is accepted, the count only at the end,
    and then a recipient only if it is the only one."""
    asked: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        asked.setdefault(attempt.instance, []).append(attempt)
    for message in asked.values():
        assert [one.stage for one in message] == ["RCPT"] * (len(message) - 1) + ["END-OF-MESSAGE"]
        assert [one.queue_id == "" for one in message] == [True] + [False] * (len(message) - 1)
        assert all(one.recipient and not one.recipient_count for one in message[:-1])
        assert message[-1].recipient == (message[0].recipient if len(message) == 2 else "")
        assert len({(one.login, one.sender, one.client_address) for one in message}) == 1


def test_requests_are_in_order_of_time(corpus: Corpus, attempts: list[Attempt]) -> None:
    first = list({attempt.instance: begun(attempt) for attempt in attempts}.values())
    assert first == sorted(first)
    at = {label["queue_id"]: label["at"] for label in rows(corpus.folder / "labels.jsonl")}
    ends = [attempt for attempt in attempts if attempt.stage == "END-OF-MESSAGE"]
    assert all(-60 < begun(end) - at[end.queue_id] <= 0 for end in ends)


def test_the_live_service_answers_them(corpus: Corpus) -> None:
    with (corpus.folder / "requests.txt").open() as asked:
        blocks = list(islice(asked.read(1_000_000).split("\n\n"), 300))
    with Penstock() as service, service.client() as client:
        for block in blocks:
            client.send(block.encode() + b"\n\n")
            assert client.answer()
