"""PHP's mail.log and an access log beside the mail log: replay and study name the script."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from penstock.config import parse
from penstock.study.reading import Reading
from penstock.study.replay import Replay
from penstock.study.run import study
from penstock.study.sources import open_sources
from penstock.wire.maillog.join import Join
from penstock.wire.weblog import Roots
from penstock.zones import zone_of
from study.support import MONDAY, Platform
from support import FakeDirectory, policy

UTC_ = zone_of("UTC")
BAD, FORM = "script:/srv/a/mailer.php", "script:/srv/a/form.php"


def write(folder: Path) -> list[str]:
    """Three messages of a user: PHP tells of the first, the web server of the second, nobody of the third."""
    platform = Platform()
    for minutes in (0, 10, 20):
        platform.script(MONDAY + 60 * minutes, 1033, ["x@example.org"])
    platform.write(folder / "mail.log")
    first = datetime.fromtimestamp(MONDAY, UTC)
    (folder / "php.log").write_text(
        f"[{first:%d-%b-%Y %H:%M:%S} UTC] mail() on [/srv/a/mailer.php:3]: To: x@example.org -- Headers: \n"
    )
    second = datetime.fromtimestamp(MONDAY + 600, UTC)
    (folder / "access.log").write_text(
        f'a.example:80 192.0.2.1 - - [{second:%d/%b/%Y:%H:%M:%S +0000}] "POST /form.php HTTP/1.1" 200 1\n'
    )
    return [str(folder / name) for name in ("mail.log", "php.log", "access.log")]


def test_a_replay(tmp_path: Path) -> None:
    roots = Roots({"a.example": "/srv/a"})
    reading = Reading(open_sources(write(tmp_path)), UTC_, 2026, MONDAY + 86400, roots)
    replay = Replay(policy("1000/h"), FakeDirectory())
    replay.feed(reading.events(Join()))
    replay.finish()
    senders = replay._engine.roster.senders
    assert {BAD, FORM, "uid:1033"} <= set(senders)
    for key in (BAD, FORM):
        assert [each.key for each in senders[key].lineage()] == [key, "uid:1033"]
    assert not reading.unknown


def test_a_study(tmp_path: Path) -> None:
    builtin = parse("").policy
    done = study(open_sources(write(tmp_path)[:2]), UTC_, 2026, MONDAY + 86400, builtin.naming, builtin)
    (group,) = done.groups
    assert (group.name, group.senders) == ("scripts", 2)
    assert BAD in {one.sender for one in group.touched}
