"""Real logs of Postfix, read beside the project: how many lines are known, and whether the fields agree."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from penstock.core.events import LoggedIn
from penstock.wire.maillog.facts import Client, Expired, Named, Outcome, PickedUp, Queued, Refused, Returned
from penstock.wire.maillog.kinds import IGNORED
from penstock.wire.maillog.lines import Reader
from penstock.wire.maillog.postfix import DAEMONS
from penstock.wire.maillog.stamps import Clock

LOGS = Path(__file__).parents[3].parent / "shared" / "data" / "logs"

pytestmark = pytest.mark.skipif(
    not LOGS.is_dir(), reason=f"the folder of real logs, {LOGS.parts[-4:]}, is absent"
)

ENOUGH = 0.995


def lines_of(path: Path) -> Iterator[str]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="surrogateescape")
    yield from text.splitlines()


def known_share(reader: Reader) -> float:
    """Of the lines of Postfix daemons, how many are understood or knowingly ignored."""
    known = reader.understood + reader.ignored
    unknown = sum(count for daemon, count in reader.unknown.items() if daemon in DAEMONS)
    return known / (known + unknown)


def test_lines_of_a_real_server_are_known() -> None:
    reader = Reader(Clock(2021, UTC))
    facts = [reader.feed(line) for path in sorted((LOGS / "postfix").glob("*.gz")) for line in lines_of(path)]
    assert known_share(reader) >= ENOUGH, reader.samples
    for kind in (Client, Named, Outcome, Queued):
        assert sum(isinstance(fact, kind) for fact in facts) > 300
    times = [fact.at for fact in facts if fact is not None]
    assert max(times) - min(times) < 3 * 86_400


def test_lines_of_awkward_situations_are_known() -> None:
    reader = Reader(Clock(2021, UTC))
    for path in sorted((LOGS / "postfix" / "cases").iterdir()):
        for line in lines_of(path):
            reader.feed(line)
    assert known_share(reader) >= ENOUGH, reader.samples


@pytest.mark.parametrize("name", sorted(path.name for path in (LOGS / "auth").glob("*ostfix*")))
def test_lines_about_logins_are_read(name: str) -> None:
    reader = Reader(Clock(2021, UTC))
    for line in lines_of(LOGS / "auth" / name):
        fact = reader.feed(line)
        assert not isinstance(fact, LoggedIn) or (fact.login and not fact.ok)


def read_yaml(path: Path) -> tuple[str, str, dict[str, str]]:
    """(pattern's name, line, fields) of a small file of one level, all that these are."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        key, colon, value = line.strip().partition(":")
        if colon and not key.startswith("#"):
            value = value.strip()
            found[key] = json.loads(value) if value.startswith('"') else value
    pattern = re.search(r"POSTFIX_(\w+)", found.pop("pattern"))
    assert pattern
    return pattern[1].lower().replace("_", "-"), found.pop("data"), found


DETAIL = re.compile(r"([\w-]+)=(<[^>]*>|[^, ]*)")


def details(fields: dict[str, str]) -> dict[str, str]:
    """The ``key=value`` part of the line, as the file has it."""
    return {key: value.strip("<>") for key, value in DETAIL.findall(fields.get("postfix_keyvalue_data", ""))}


def agrees(fact: Any, fields: dict[str, str]) -> None:
    """Compares what the file says with the fact: the mapping of their words to ours."""
    more = details(fields)
    assert fact.queue_id == fields["postfix_queueid"].replace("NOQUEUE", "")
    match fact:
        case Client():
            assert more["client"].endswith(f"[{fact.client_address}]")
        case Named():
            assert fact.message_id == fields["postfix_message-id"].strip("<>")
        case Queued():
            said = (more["from"], int(more["size"]), int(more["nrcpt"]))
            assert (fact.envelope_from, fact.size, fact.recipients) == said
        case PickedUp():
            assert (str(fact.uid), fact.envelope_from) == (more["uid"], more["from"])
        case Expired():
            assert fields["postfix_status"] == "expired"
        case Returned():
            whom, why = fields["postfix_bounce_recipient"], fields["postfix_bounce_reason"]
            said_what = "postmaster" if whom == "postmaster" else why.replace("delivery status", "success")
            assert (fact.notice, fact.what) == (fields["postfix_bounce_queueid"], said_what)
        case Outcome():
            said = (more["to"], more.get("orig_to", ""), more["relay"], more["dsn"])
            assert (fact.recipient, fact.original, fact.relay, fact.dsn) == said
            assert fact.status == fields.get("postfix_status", fact.status)
            replies = [value for key, value in fields.items() if key.endswith("_response")]
            assert not replies or fact.reply == replies[0]
        case Refused():
            refusal_agrees(fact, fields, more)


def refusal_agrees(fact: Refused, fields: dict[str, str], more: dict[str, str]) -> None:
    milter = fields.get("postfix_milter_result")
    action = fields.get("postfix_action", f"milter-{milter}").replace("milter-header-", "")
    assert fact.action == action
    assert (fact.envelope_from, fact.recipient) == (more.get("from", ""), more.get("to", ""))
    told = fields.get("postfix_milter_message", "")
    assert fact.client_address == fields.get("postfix_client_ip", told.rpartition("[")[2].partition("]")[0])
    assert fact.stage == fields.get("postfix_smtp_stage", told.partition(" ")[0])
    assert fields.get("postfix_status_message", told.partition("]: ")[2]) in fact.reply


FACTS = {"postfix_message-id", "postfix_bounce_queueid", "postfix_milter_result", "postfix_response"}


def says_a_fact(program: str, fields: dict[str, str]) -> bool:
    """Whether the file's fields are of a line that is a fact to us."""
    if program == "postscreen" or "postfix_queueid" not in fields:
        return False
    if program == "postsuper":
        return fields["postfix_postsuper_action"] == "removed"
    if program == "smtpd" and "postfix_action" not in fields:
        return "postfix_smtp_stage" not in fields
    more = details(fields)
    return bool(
        FACTS & fields.keys()
        or fields.get("postfix_action", "info") not in ("info", "warning", "prepend")
        or {"relay", "nrcpt", "uid", "status"} & more.keys()
        or "postfix_status" in fields
        or (program == "qmgr" and "postfix_message" not in fields)
    )


PARTS_OF_LINES = ("relay", "delays", "command-counter-data", "tls-features")
NAMES = {"script": "postfix-script"}


@pytest.mark.parametrize("name", sorted(path.stem for path in (LOGS / "grok").glob("*.yaml")))
def test_fields_agree_with_the_patterns_of_others(name: str) -> None:
    program, line, fields = read_yaml(LOGS / "grok" / f"{name}.yaml")
    if program in PARTS_OF_LINES:
        return
    found = DAEMONS[NAMES.get(program, program)](0.0, "mail/postfix", line)
    if found is IGNORED:
        assert not says_a_fact(program, fields), line
    else:
        assert found is not None, line
        agrees(found, fields)
