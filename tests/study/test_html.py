"""The report: escaped, complete, alone; what a real browser makes of it."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path

import pytest

from penstock.study.findings import Study
from penstock.study.html import Column, Curve, Mark, bars, cell, curves, escape, heat, page, table, tag
from penstock.study.html.plots import percent, short
from penstock.study.study_page import study_page
from study.conftest import studied
from study.support import DAY, MONDAY, NEWS, Platform

EVIL = "<script>alert(1)</script>\"'&\u202e"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "br", "wbr"}


class Checker(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(document: str) -> set[str]:
    """The elements of a well-formed document."""
    checker = Checker()
    checker.feed(document)
    checker.close()
    assert checker.open == []
    return checker.seen


@pytest.fixture(scope="module")
def report(found: Study) -> str:
    return study_page(found, UTC)


def test_a_report_is_one_file_that_loads_nothing(report: str) -> None:
    seen = checked(report)
    assert not seen & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"https?://|url\(|@import|\son\w+=", report)
    assert len(report) < 400_000


def test_a_report_shows_all_that_was_found(report: str, found: Study) -> None:
    for said in ("Logins", "Scripts", "Total volume", "Proposed policy", "hijacked?", "1 in 100: "):
        assert said in report
    assert NEWS.replace(":", ":<wbr>").replace("@", "@<wbr>") in report
    assert html.escape(found.policy) in report
    assert report.count("<svg") == report.count("<desc>") == 8


def test_what_attackers_write_is_text(tmp_path: Path) -> None:
    platform = Platform()
    for day in range(3):
        platform.message(MONDAY + day * DAY, EVIL.replace(" ", ""), [f"a@{EVIL}.example"])
    document = study_page(studied(platform, tmp_path / "mail.log"), UTC)
    assert "script" not in checked(document)
    assert "<script" not in document
    assert "\u202e" not in document


def test_escaping() -> None:
    assert escape(EVIL) == "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;\\u202e"
    assert escape(escape("<")) == "&lt;"
    assert tag("p", "<", tag("b", 1), class_='"', title=None) == '<p class="&quot;">&lt;<b>1</b></p>'
    assert "&lt;" in table("<", [Column("<")], [[cell("<", "<", badge="<")]])
    assert "<b>" not in page("<b>", "<b>", "<b>", escape("<b>"), [], "<b>").partition("</style>")[2]


def test_plots_of_nothing_and_of_one() -> None:
    assert "<svg" in curves("t", "s", [Curve("a", [])], [], "x")
    assert "<svg" in curves("t", "s", [Curve("a", [(1, 1.0)])], [Mark(1, 0.01, "one")], "x")
    assert "<svg" in bars("t", "s", [], 1)
    assert "<svg" in heat("t", "s", [("Mon", [0.0] * 24)], "recipients")


def test_numbers_on_axes() -> None:
    assert [short(n) for n in (1, 10, 1_000, 12_500, 10**6, 10**9)] == ["1", "10", "1k", "12.5k", "1M", "1G"]
    assert [percent(x) for x in (1, 0.1, 0.001, 0.0001)] == ["100%", "10%", "0.1%", "0.01%"]


def measured(document: str, width: int, folder: Path) -> tuple[int, str]:
    """(width of the document in a window so wide, what the browser complained about)."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    harness = folder / "harness.html"
    harness.write_text(
        f'<!doctype html><iframe style="width:{width}px;height:800px;border:0" '
        f'srcdoc="{html.escape(document)}"></iframe>'
        "<script>onload=()=>{document.title='width='+"
        "document.querySelector('iframe').contentDocument.documentElement.scrollWidth}</script>"
    )
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
         "--enable-logging=stderr", "--dump-dom", harness.as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    found = re.search(r"<title>width=(\d+)</title>", done.stdout)
    assert found, done.stderr
    return int(found[1]), "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("width", [320, 360, 1200])
def test_a_browser_shows_it_within_the_window_and_without_complaint(
    report: str, width: int, tmp_path: Path
) -> None:
    found, complaints = measured(report, width, tmp_path)
    assert (found <= width, complaints) == (True, "")


def test_the_browser_would_have_noticed(tmp_path: Path) -> None:
    wide = '<!doctype html><div style="width:999px">wide</div><script>console.error("bad")</script>'
    found, complaints = measured(wide, 360, tmp_path)
    assert found >= 999
    assert "bad" in complaints
