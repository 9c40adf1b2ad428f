"""``penstock config``, and the documents that are made from it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from penstock.cli.config import config
from penstock.config import load, parse
from penstock.config.keys import SECTIONS
from penstock.config.reference import ACTIONS, man, markdown
from penstock.core.policy import Verb

DOCS = Path(__file__).parents[2] / "docs"
SECRET = "[directory.sql]\nurl = 'postgresql://u:hush@h/db'\nquery = ':login'\n"


def run(*args: object, env: dict[str, str | None] | None = None) -> Result:
    return CliRunner().invoke(config, [str(arg) for arg in args], env={"PENSTOCK_CONFIG": None} | (env or {}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.toml"
    path.write_text("")
    path.chmod(0o640)
    return path


def test_check_tells_that_a_policy_is_valid(file: Path) -> None:
    result = run("check", file)
    assert result.exit_code == 0
    assert result.output == (
        f"{file}: the policy is valid: 5 profiles, 0 exceptions, 0 logins, 0 networks; mode enforce\n"
    )


def test_check_tells_warnings(file: Path) -> None:
    file.write_text("on_error = 'reject'")
    result = run("check", file)
    assert result.exit_code == 0 and result.output.startswith("warning: on_error: ")
    assert json.loads(run("check", file, "--json").output)["warnings"]


def test_check_tells_every_error_on_a_line(file: Path) -> None:
    file.write_text('mode = "x"\nstate = "y"\n')
    result = run("check", file)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        'mode: "x": must be one of off, shadow, enforce',
        'state: "y": must be an absolute path',
    ]
    assert result.stderr == f"{file}: the policy is not valid: 2 errors\n"
    found = json.loads(run("check", file, "--json").output)
    assert not found["valid"] and [error["path"] for error in found["errors"]] == ["mode", "state"]


def test_the_environment_names_the_file(file: Path) -> None:
    file.write_text("mode = 'off'")
    assert run("check", env={"PENSTOCK_CONFIG": str(file)}).output.endswith("mode off\n")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert run("check", tmp_path / "none").exit_code == 1
    assert run("show", tmp_path / "none").exit_code == 1


def test_show_prints_a_policy_that_means_the_same(file: Path) -> None:
    file.write_text("[profiles.school]\nrecipients = ['5/h']\n[senders.'uid:3']\nprofile = 'school'\n")
    shown = run("show", file)
    assert shown.exit_code == 0
    assert parse(shown.output).policy == load(file).policy
    assert json.loads(run("show", file, "--json").output)["profiles"]["school"]["recipients"] == ["5/h"]


def test_show_blots_passwords_out_unless_asked(file: Path) -> None:
    file.write_text(SECRET)
    for flags in ((), ("--json",)):
        assert "hush" not in run("show", file, *flags).output
        assert "hush" in run("show", file, "--secrets", *flags).output


def test_show_json_writes_dates(file: Path) -> None:
    file.write_text("[senders.'uid:3']\nprofile = 'relay'\nuntil = 2999-01-01\n")
    assert json.loads(run("show", file, "--json").output)["senders"]["uid:3"]["until"] == "2999-01-01"


def test_committed_references_are_what_is_generated() -> None:
    assert run("reference").output == markdown() == (DOCS / "reference/policy.md").read_text()
    assert run("reference", "--man").output == man() == (DOCS / "reference/penstock.toml.5").read_text()


def test_every_key_and_action_is_documented() -> None:
    assert set(ACTIONS) == set(Verb)
    text, page = markdown(), man()
    for section in SECTIONS:
        assert section.doc in text
        for key in section.keys:
            assert key.doc and key.kind.words, key.name
            assert f"| `{key.name}` | {key.kind.words} |" in text
            assert f".B {key.name}\n" in page.replace("\\-", "-")


HOWTO = re.findall(r"```toml\n(.*?)```", (DOCS / "howto/policy.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("snippet", HOWTO)
def test_every_example_in_the_guide_loads(snippet: str) -> None:
    warnings = [w for w in parse(snippet, at=1_700_000_000).warnings if "directory.command.argv" not in w]
    assert warnings == []


def test_the_command_starts_without_reading_what_it_does_not_need() -> None:
    code = "import sys, penstock.cli.config; print(*(m for m in sys.modules if m.startswith('penstock.co')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
