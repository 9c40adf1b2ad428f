"""``penstock replay`` as an operator runs it."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner, Result

import geo
from penstock.cli import main
from study.support import DAY, MONDAY, Platform
from study.test_html import EVIL, checked, measured

POLICY = """
[profiles.personal]
recipients = ["20/h"]
messages = []
bytes = []
outcomes = []
newcomer = []
pause = [{ refused = "10/h", for = "1h" }]
over_limit = "reject"
paused = "reject"

[detection]
mode = "off"
"""
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


def platform() -> Platform:
    """Bob writes now and then; alice sends to 60 people, which is over the limit."""
    made = Platform()
    for day in range(3):
        made.message(MONDAY + day * DAY + 36000, "bob@example.com", made.people(2))
    for i in range(30):
        made.message(MONDAY + DAY + 10 * i, "alice@example.com", made.people(2))
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return platform().write(tmp_path / "mail.log", dated=True)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.toml"
    path.write_text(POLICY)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)], env={"COLUMNS": "120"})


def told(*arguments: str | Path) -> Any:
    """What it prints as JSON."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failed(*arguments: str | Path) -> str:
    """What it says when it cannot."""
    result = run(*arguments)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    assert "Traceback" not in result.output
    return result.output


# --- what it tells --------------------------------------------------------------------------------


def test_it_tells_who_would_have_been_stopped(log: Path, config: Path) -> None:
    result = run(log, "--policy", config)
    assert result.exit_code == 0, result.output
    for said in (
        "2026-01-05T10:00:00Z to 2026-01-07T10:00:00Z: 198 lines in ",
        "33 messages of 2 senders to 66 recipients; 40 of these would not have passed",
        "Would have been paused: 1\n  login:alice@example.com from 2026-01-06T00:0",
        "Would have been refused by a limit: 1\n",
    ):
        assert said in result.stdout
    assert "bob" not in result.stdout.partition("Would have been paused")[2]


def test_everything_as_json(log: Path, config: Path) -> None:
    found = told(log, "--policy", config)
    assert (found["from"], found["to"]) == ("2026-01-05T10:00:00Z", "2026-01-07T10:00:00Z")
    assert (found["lines"], found["lines_understood"], found["messages"]) == (198, 198, 33)
    assert found["limited"][0]["limit"] == "recipients 20/h"
    assert [one["sender"] for one in found["incidents"]] == ["login:alice@example.com"]


def test_shadow_and_enforce(log: Path, config: Path) -> None:
    config.write_text(f'mode = "shadow"\n{POLICY}')
    found = told(log, "--policy", config)
    assert found["recipients_refused"] == 0 and found["incidents"] == []
    assert all(one["shadow"] for one in found["limited"])
    found = told(log, "--policy", config, "--enforce")
    assert (found["recipients_refused"], len(found["incidents"])) == (40, 1)


def test_what_is_deferred_comes_later(log: Path, config: Path, tmp_path: Path) -> None:
    config.write_text(POLICY.replace('"reject"', '"defer"'))
    result = run(log, "--policy", config, "--decisions", tmp_path / "decisions.jsonl")
    assert "0 of these would not have passed, 40 later than they did" in result.stdout
    lines = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert {line["decision"] for line in lines} == {"defer"}
    assert all(line["at"] < line["until"] < "2026-01-07" for line in lines)
    ids = {line.partition("]: ")[2].partition(":")[0] for line in log.read_text().splitlines()}
    assert {line["queue_id"] for line in lines} < ids


def test_a_geo_file_tells_of_impossible_journeys(tmp_path: Path) -> None:
    """Eight days from home, then strangers from three countries within minutes."""
    made, config = Platform(), tmp_path / "policy.toml"
    for day in range(9):
        made.message(MONDAY + day * DAY, "carol@example.com", ["friend@example.org"])
    for i in range(12):
        client = ("198.51.100.9", "203.0.113.9")[i % 2]
        made.message(MONDAY + 8 * DAY + 300 + 60 * i, "carol@example.com", made.people(1), client=client)
    log = made.write(tmp_path / "mail.log", dated=True)
    found = []
    for file in ("", str(geo.write(tmp_path / "City.mmdb"))):
        config.write_text(POLICY.replace('"off"', f'"shadow"\ngeo = "{file}"'))
        found.append(json.dumps(told(log, "--policy", config)["incidents"]))
    assert "3 countries today" not in found[0] and "3 countries today" in found[1]


def test_the_same_log_and_policy_tell_the_same(tmp_path: Path) -> None:
    """Whatever order Python gives to sets; detection included."""
    made = platform()
    for i in range(60):
        made.message(MONDAY + 2 * DAY + 20 * i, "carol@example.com", made.people(3), bounced=2)
    log = made.write(tmp_path / "mail.log", dated=True)
    config = tmp_path / "policy.toml"
    config.write_text(POLICY.replace('"reject"', '"defer"').replace('"off"', '"enforce"'))
    told = []
    for seed in ("1", "2"):
        decisions = tmp_path / f"{seed}.jsonl"
        command = [sys.executable, "-m", "penstock", "replay", log, "--json", "--policy", config]
        done = subprocess.run(
            [*map(str, command), "--decisions", str(decisions)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        summary = json.loads(done.stdout)
        del summary["seconds"]
        told.append((summary, decisions.read_text()))
    assert told[0] == told[1]
    assert told[0][1], "somebody had to wait"


def stream(lines: int) -> Iterator[str]:
    """A log of thirty senders who write to ever new people, one of whom is far over every limit."""
    for i in range(lines // 5):
        at = datetime.fromtimestamp(MONDAY + 25 * i, UTC).strftime("%b %e %H:%M:%S")
        who = "flood@example.com" if i % 4 == 0 else f"user{i % 30}@example.com"
        says = (
            ("submission/smtpd", f"client=unknown[192.0.2.7], sasl_method=PLAIN, sasl_username={who}"),
            ("cleanup", f"message-id=<{i}@example.com>"),
            ("qmgr", f"from=<{who}>, size=4321, nrcpt=1 (queue active)"),
            ("smtp", f"to=<r{i}@d{i % 999}.example>, relay=mx.example.org[203.0.113.9]:25, delay=1, "
             "delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 1A2B3C)"),
            ("qmgr", "removed"),
        )  # fmt: skip
        yield "".join(f"{at} mx postfix/{daemon}[7]: {i:012X}: {text}\n" for daemon, text in says)


MEASURED = """
import resource, sys
from penstock.cli import main
try:
    main(sys.argv[1:], standalone_mode=False)
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, file=sys.stderr)
"""


@pytest.mark.timeout(300)
def test_memory_is_bounded_by_senders_not_by_lines(tmp_path: Path) -> None:
    """Streamed. What waits is given up after a day, so the first day fills all there is to fill."""
    config = tmp_path / "policy.toml"
    config.write_text('[detection]\nmode = "enforce"\n')
    peaks = []
    for lines in (20_000, 60_000):
        command = [sys.executable, "-c", MEASURED, "replay", "-", "--json", "--policy", str(config)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            out, err = process.communicate("".join(stream(lines)))
        assert json.loads(out)["lines"] == lines
        peaks.append(int(err))
    assert peaks[1] - peaks[0] < 6, "MiB"


def test_decisions_are_lines(log: Path, config: Path, tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    told(log, "--policy", config, "--decisions", path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(line["recipients"] for line in lines) == 40
    assert {line["sender"] for line in lines} == {"login:alice@example.com"}
    assert {"at", "queue_id", "sender", "decision", "recipients", "until"} <= set(lines[0])


# --- what it reads --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", PACKED)
def test_packed_logs(log: Path, config: Path, how: str) -> None:
    packed = log.with_name(f"other.{how}")
    packed.write_bytes(PACKED[how](log.read_bytes()))
    assert told(packed, "--policy", config)["recipients_refused"] == 40


def test_a_folder_with_rotated_files(log: Path, config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    lines = log.read_bytes().splitlines(keepends=True)
    (folder / "mail.log.2.gz").write_bytes(gzip.compress(b"".join(lines[:60])))
    (folder / "mail.log.1").write_bytes(b"".join(lines[60:150]))
    (folder / "mail.log").write_bytes(b"".join(lines[150:]))
    found = told(folder, "--policy", config)
    assert (found["lines"], found["recipients_refused"]) == (198, 40)


def test_standard_input(log: Path, config: Path) -> None:
    command = [sys.executable, "-m", "penstock", "replay", "-", "--json", "--policy", str(config)]
    with log.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["recipients_refused"] == 40
    assert done.stderr == b"", "no progress bar where nobody looks"


def test_year_and_time_zone_of_bare_stamps(config: Path, tmp_path: Path) -> None:
    bare = platform().write(tmp_path / "bare.log")
    found = told(bare, "--policy", config, "--year", "2024", "--timezone", "Asia/Tokyo")
    assert found["from"] == "2024-01-05T01:00:00Z"


# --- errors ---------------------------------------------------------------------------------------


def test_files_that_cannot_be_read(log: Path, config: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert str(missing) in failed(missing, "--policy", config)
    assert str(missing) in failed(log, "--policy", missing)
    broken = tmp_path / "broken.toml"
    broken.write_text("[profiles.personal]\nrecipients = 5\nmode = [")
    assert "broken.toml" in failed(log, "--policy", broken)
    assert '"Mars/Olympus" is no time zone' in failed(log, "--policy", config, "--timezone", "Mars/Olympus")


@pytest.mark.parametrize("option", ["--report", "--decisions"])
def test_files_that_cannot_be_written_are_known_before_the_work(
    log: Path, config: Path, tmp_path: Path, option: str
) -> None:
    where = tmp_path / "missing" / "file"
    assert failed(log, "--policy", config, option, where) == f"Error: {where}: No such file or directory\n"
    assert failed(tmp_path / "no.log", "--policy", config, option, where) == (
        f"Error: {where}: No such file or directory\n"
    )
    assert "a result cannot be written: No space left on device" in failed(
        log, "--policy", config, option, "/dev/full"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no message of any sender in 0 lines"),
        (b"Jan  5 00:00:00 mx sshd[1]: hello\n", "in 1 line; 1 of other programs"),
        (b"Jan  5 00:00:00 mx postfix/qmgr[1]: what is this\n", "not understood: qmgr 1"),
        (bytes(range(256)) * 300, "no message of any sender"),
        (b"A" * 3_000_000, "no message of any sender in "),
    ],
    ids=["empty", "foreign", "unknown", "bytes", "one long line"],
)
def test_logs_without_mail(content: bytes, said: str, config: Path, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(content)
    assert said in failed(log, "--policy", config)
    result = run(log, "--policy", config, "--json")
    assert result.exit_code == 1 and json.loads(result.stdout)["messages"] == 0


def test_a_truncated_archive_is_read_as_far_as_it_goes(log: Path, config: Path, tmp_path: Path) -> None:
    packed = tmp_path / "cut.log.gz"
    whole = gzip.compress(log.read_bytes())
    packed.write_bytes(whole[: len(whole) * 3 // 4])
    found = told(packed, "--policy", config)
    assert 0 < found["lines"] < 198
    assert "cut.log.gz: read only in part" in found["problems"][0]


def test_a_directory_that_is_down_is_a_warning(log: Path, config: Path, tmp_path: Path) -> None:
    config.write_text(f'{POLICY}\n[directory.command]\nargv = ["/nonexistent/who"]\n')
    found = told(log, "--policy", config)
    assert found["recipients_refused"] == 40
    assert "directory.command: " in found["problems"][0]


def test_what_attackers_write_cannot_command_the_terminal(config: Path, tmp_path: Path) -> None:
    made = Platform()
    for i in range(60):
        made.message(MONDAY + i, "a\x1b]0;pwned\x07\x1b[2J@example.com", made.people(1))
    result = run(made.write(tmp_path / "mail.log"), "--policy", config)
    assert result.exit_code == 0, result.output
    assert "pwned" in result.stdout and "\x1b" not in result.stdout and "\x07" not in result.stdout


# --- the report -----------------------------------------------------------------------------------


@pytest.fixture
def report(tmp_path: Path, config: Path) -> str:
    """A report with incidents, limits, what shadow rules would have done, and evil names."""
    made = platform()
    config.write_text(f'{POLICY}\n[profiles.script]\nmode = "shadow"\nrecipients = ["5/h"]\n')
    for i in range(40):
        made.script(MONDAY + DAY + 10 * i, 1033, made.people(1))
        made.message(
            MONDAY + 2 * DAY + i, f"a-very-long-name.{EVIL.replace(' ', '')}@example.com", made.people(1)
        )
    path = tmp_path / "report.html"
    told(made.write(tmp_path / "mail.log", dated=True), "--policy", config, "--report", path)
    return path.read_text()


def test_the_report_is_one_file_that_tells_all(report: str) -> None:
    seen = checked(report)
    assert not seen & {"script", "link", "img", "iframe", "object"}
    for said in (
        "Paused",
        "Refused by a limit",
        "In shadow mode",
        "recipients 20/h",
        "recipients 5/h",
        "uid:<wbr>1033",
    ):
        assert said in report
    assert ">2026-01-06</span><small>00:0" in report and "<script>alert" not in report


@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_it_within_the_window_and_without_complaint(
    report: str, width: int, tmp_path: Path
) -> None:
    found, complaints = measured(report, width, tmp_path)
    assert (found <= width, complaints) == (True, "")


def test_a_report_of_a_quiet_time(tmp_path: Path, config: Path) -> None:
    made = Platform()
    made.message(MONDAY, "bob@example.com", made.people(1))
    path = tmp_path / "report.html"
    told(made.write(tmp_path / "mail.log", dated=True), "--policy", config, "--report", path)
    assert "Nobody would have been paused." in path.read_text()
