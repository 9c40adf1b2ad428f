"""``penstock dkim``: keys that only their owner may read, records for the DNS."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from penstock.cli import main
from penstock.wire.dkim.keys import load


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["dkim", *arguments])


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_is_made_and_its_record_printed(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "dkim"
    made = run("keygen", "Acme.Example.", "P2026", "--type", kind, "--folder", str(folder))
    assert made.exit_code == 0, made.output
    path = folder / "acme.example.p2026.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path.read_bytes()).kind == kind
    assert made.stdout.startswith(f'p2026._domainkey.acme.example. IN TXT ( "v=DKIM1; k={kind}; p=')
    again = run("record", "acme.example", "p2026", str(path))
    assert again.stdout == made.stdout
    told = json.loads(run("record", "acme.example", "p2026", str(path), "--json").stdout)
    assert told["name"] == "p2026._domainkey.acme.example" and told["value"].startswith(f"v=DKIM1; k={kind};")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    arguments = ("keygen", "acme.example", "s1", "--type", "ed25519", "--folder", str(tmp_path))
    assert run(*arguments).exit_code == 0
    before = (tmp_path / "acme.example.s1.pem").read_bytes()
    again = run(*arguments)
    assert again.exit_code == 1 and "is there already; take another selector" in again.output
    assert (tmp_path / "acme.example.s1.pem").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("keygen", "../etc", "s1"), "must be a domain"),
        (("keygen", "acme.example", "../s1"), "must be a selector"),
        (("record", "acme.example", "s1", "/nowhere/key.pem"), "cannot be read"),
        (("record", "acme.example", "s 1"), "must be a selector"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], told: str) -> None:
    done = run(*arguments)
    assert done.exit_code != 0 and told in done.output


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    run("keygen", "acme.example", "s1", "--type", "ed25519", "--folder", str(tmp_path))
    (tmp_path / "acme.example.s1.pem").chmod(0o644)
    done = run("record", "acme.example", "s1", str(tmp_path / "acme.example.s1.pem"))
    assert done.exit_code == 1 and "others may read or write it (mode 0644)" in done.output
