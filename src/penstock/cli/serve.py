"""``penstock serve``: run the service in the foreground."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from penstock.config import Address, Settings


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), envvar="PENSTOCK_CONFIG",
              help="Policy file [default: /etc/penstock/penstock.toml if there is one].")  # fmt: skip
@click.option("--state", type=click.Path(path_type=Path), envvar="PENSTOCK_STATE", help="State folder.")
@click.option("--listen", multiple=True, metavar="NAME=ADDRESS",
              help="policy=, milter=, milter_smtp= (may be repeated), http= or http=off, with HOST:PORT or "
                   "unix:/PATH; replaces what the policy file says for that name.")  # fmt: skip
@click.option(
    "--log", "log_format", type=click.Choice(["console", "json"]), default="console", show_default=True
)
def serve(config_file: Path | None, state: Path | None, listen: tuple[str, ...], log_format: str) -> None:
    """Answer Postfix's policy requests until SIGTERM; SIGHUP reads the policy file again.

    Without a policy file the built-in policy protects already.
    """
    from penstock.app import StartError, run
    from penstock.config import ConfigError, default_path, load
    from penstock.logs import set_up

    set_up(log_format)
    try:
        settings = load(config_file or default_path(), opens=False)
    except ConfigError as error:
        raise click.ClickException(
            "the policy file is not valid:\n" + "\n".join(map(str, error.problems))
        ) from None
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    settings = replace(settings, state=state or settings.state)
    try:
        run(listening(settings, listen))
    except StartError as error:
        raise click.ClickException(str(error)) from None


_NAMES: Final = ("policy", "milter", "milter_smtp", "http")


def listening(settings: Settings, listen: tuple[str, ...]) -> Settings:
    """The settings with the listeners of the command line."""
    from penstock.config import BadValue, parse_address

    found: dict[str, list[Address]] = {name: [] for name in _NAMES}
    http = settings.listen.http
    for text in listen:
        name, equals, address = text.partition("=")
        if not equals or name not in _NAMES:
            raise click.BadParameter(
                f"{text!r}: write policy=, milter=, milter_smtp= or http=ADDRESS", param_hint="--listen"
            )
        try:
            if name == "http":
                http = None if address == "off" else parse_address(address)
            else:
                found[name].append(parse_address(address))
        except BadValue as error:
            raise click.BadParameter(str(error), param_hint="--listen") from None
    old = settings.listen
    new = replace(
        old,
        policy=tuple(found["policy"]) or old.policy,
        milter=tuple(found["milter"]) or old.milter,
        milter_smtp=tuple(found["milter_smtp"]) or old.milter_smtp,
        http=http,
    )
    return replace(settings, listen=new)
