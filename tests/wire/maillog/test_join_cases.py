"""Real logs of awkward situations (beside the project, not part of it) → what happened to each message.

The golden files were written by reading the logs. They hold events only: ``m1`` is the first message,
``s1`` the first sender, ``r1`` the first recipient that is mentioned.
"""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest
from tests.wire.maillog.support import Notation

from penstock.core.events import Event, LoggedIn
from penstock.wire.maillog.join import Join
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.stamps import Clock

HERE = Path(__file__).parent
CASES = HERE.parents[2].parent / "shared/data/logs/postfix/cases"
GOLDEN = sorted((HERE / "golden").glob("*.txt"))


def events_of(lines: list[str], join: Join) -> list[Event]:
    reader = Reader(Clock(2021, UTC))
    facts = [fact for line in lines if (fact := reader.feed(line)) is not None]
    events = [event for fact in facts for event in join.feed(fact)]
    events += join.settle(4e9)
    return [event for event in events if not isinstance(event, LoggedIn) or event.service == "smtp"]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_case(golden: Path) -> None:
    log = CASES / f"{golden.stem}.log"
    if not log.exists():
        pytest.skip("the real logs are not beside the project (../shared/data)")
    join = Join()
    told = Notation().lines(events_of(log.read_text(errors="surrogateescape").split("\n"), join))
    told.append(f"end open={len(join)} orphans={join.orphans}")
    assert told == golden.read_text().splitlines()


@pytest.mark.skipif(not CASES.exists(), reason="the real logs are not beside the project (../shared/data)")
def test_every_case_has_its_golden_file() -> None:
    assert {path.stem for path in CASES.glob("*.log")} == {path.stem for path in GOLDEN}
