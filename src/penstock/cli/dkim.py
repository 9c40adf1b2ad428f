"""``penstock dkim``: keys to sign customers' mail with, and their DNS records."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.common import json_option, print_json

if TYPE_CHECKING:
    from penstock.wire.dkim.keys import Key

FOLDER = Path("/etc/penstock/dkim")


@click.group()
def dkim() -> None:
    """Make DKIM keys and print their DNS records."""


@dkim.command()
@click.argument("domain")
@click.argument("selector")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["rsa", "ed25519"]),
    default="rsa",
    show_default=True,
    help="Kind of key.",
)
@click.option(
    "--bits",
    type=click.IntRange(2048, 4096),
    default=2048,
    show_default=True,
    help="Of an RSA key. Verifiers need not take more.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Where the key goes, as DOMAIN.SELECTOR.pem. Its owner gets the folder's.",
)
@json_option
def keygen(domain: str, selector: str, kind: str, bits: int, folder: Path, as_json: bool) -> None:
    """Make a key for DOMAIN under SELECTOR, which only its owner may read, and print its DNS record."""
    from penstock.config.professional import domain_of, selector_of
    from penstock.config.report import BadValue
    from penstock.wire.dkim.keys import generate

    try:
        domain, selector = domain_of(domain), selector_of(selector)
    except BadValue as error:
        raise click.UsageError(str(error)) from None
    path = folder / f"{domain}.{selector}.pem"
    key = generate("rsa" if kind == "rsa" else "ed25519", bits)
    try:
        _write(path, key.pem())
    except FileExistsError:
        raise click.ClickException(f"{path} is there already; take another selector") from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None
    _tell(key, domain, selector, path, as_json)


@dkim.command()
@click.argument("domain")
@click.argument("selector")
@click.argument("key", type=click.Path(path_type=Path), required=False)
@json_option
def record(domain: str, selector: str, key: Path | None, as_json: bool) -> None:
    """Print the DNS record of the key in the file KEY [default: where keygen puts it]."""
    from penstock.config.professional import domain_of, selector_of
    from penstock.config.report import BadValue
    from penstock.config.secret import private_bytes
    from penstock.wire.dkim.keys import BadKey, load

    try:
        domain, selector = domain_of(domain), selector_of(selector)
        path = key or FOLDER / f"{domain}.{selector}.pem"
        found = load(private_bytes(path))
    except BadKey as error:
        raise click.ClickException(f"{path}: {error}") from None
    except BadValue as error:
        raise click.ClickException(str(error)) from None
    _tell(found, domain, selector, path, as_json)


def _write(path: Path, pem: bytes) -> None:
    """A new file for the owner of its folder alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(pem)


def _tell(key: Key, domain: str, selector: str, path: Path, as_json: bool) -> None:
    from penstock.wire.dkim.keys import record_of, zone_line

    if as_json:
        name = f"{selector}._domainkey.{domain}"
        print_json({"name": name, "type": "TXT", "value": record_of(key), "key": str(path), "kind": key.kind})
        return
    click.echo(zone_line(key, domain, selector))
    click.echo(f"the key: {path} ({key.kind})", err=True)
