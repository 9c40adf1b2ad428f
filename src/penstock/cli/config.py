"""``penstock config``: check a policy file, show what it comes to, print its reference."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from penstock.config import ConfigError, Settings

_FILE = click.argument(
    "file", required=False, type=click.Path(path_type=Path), envvar="PENSTOCK_CONFIG", metavar="[FILE]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def config() -> None:
    """Check, show and explain the policy file.

    FILE defaults to $PENSTOCK_CONFIG, else to /etc/penstock/penstock.toml if there is one, else to
    the built-in policy.
    """


@config.command()
@_FILE
@_JSON
def check(file: Path | None, as_json: bool) -> None:
    """Tell whether FILE is a valid policy, or everything that is wrong with it."""
    from penstock.config import ConfigError, default_path, load

    file = file or default_path()
    try:
        settings = load(file)
    except ConfigError as wrong:
        _tell_errors(file, wrong, as_json)
        raise SystemExit(1) from None
    _tell_valid(file, settings, as_json)


def _tell_errors(file: Path | None, wrong: ConfigError, as_json: bool) -> None:
    from penstock.core.words import count

    if as_json:
        told = [{"path": problem.path, "message": problem.text} for problem in wrong.problems]
        _print_json({"file": _name(file), "valid": False, "errors": told, "warnings": []})
        return
    for problem in wrong.problems:
        click.echo(problem)
    errors = count(len(wrong.problems), "error")
    click.echo(f"{_name(file)}: the policy is not valid: {errors}", err=True)


def _tell_valid(file: Path | None, settings: Settings, as_json: bool) -> None:
    from penstock.core.words import count

    counts = {
        "profile": len(settings.policy.profiles),
        "exception": len(settings.policy.overrides),
        "login": len(settings.directory.logins),
        "network": len(settings.directory.networks),
    }
    if as_json:
        found = {"file": _name(file), "valid": True, "errors": [], "warnings": list(settings.warnings)}
        _print_json(found | {"mode": settings.mode} | {f"{name}s": n for name, n in counts.items()})
        return
    for warning in settings.warnings:
        click.echo(f"warning: {warning}")
    said = ", ".join(count(n, name) for name, n in counts.items())
    click.echo(f"{_name(file)}: the policy is valid: {said}; mode {settings.mode}")


@config.command()
@_FILE
@_JSON
@click.option("--secrets", is_flag=True, help="Print passwords, which are blotted out otherwise.")
def show(file: Path | None, as_json: bool, secrets: bool) -> None:
    """Print the effective policy of FILE: what it says and all that it leaves to the built-in one."""
    from penstock.config import ConfigError, default_path, effective_toml, load

    file = file or default_path()
    try:
        settings = load(file)
    except ConfigError as wrong:
        _tell_errors(file, wrong, as_json)
        raise SystemExit(1) from None
    document = settings.document if secrets else settings.without_secrets()
    if as_json:
        _print_json(document)
        return
    click.echo(f"# The effective policy of {_name(file)}. As a policy file it means the same.")
    click.echo(effective_toml(document), nl=False)


@config.command()
@click.option("--man", "as_man", is_flag=True, help="Print the man page penstock.toml(5).")
def reference(as_man: bool) -> None:
    """Print the reference of all keys, in Markdown."""
    from penstock.config.reference import man, markdown

    click.echo(man() if as_man else markdown(), nl=False)


def _name(file: Path | None) -> str:
    return str(file) if file is not None else "built-in policy"


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_moment))


def _moment(value: object) -> str:
    assert isinstance(value, date)
    return value.isoformat()
