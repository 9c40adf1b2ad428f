"""What the commands share: finding the running service, asking it, printing."""

from __future__ import annotations

import json
import os
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from penstock.unixpath import reachable

DEFAULT_STATE: Final = Path("/var/lib/penstock")
SOCKET: Final = "control.sock"
ASK_TIMEOUT: Final = 60.0

F = TypeVar("F", bound=Callable[..., Any])

state_option: Callable[[F], F] = click.option(
    "--state",
    type=click.Path(path_type=Path),
    envvar="PENSTOCK_STATE",
    help="State folder of the running service [default: as configured, else /var/lib/penstock].",
)
json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
reason_option: Callable[[F], F] = click.option(
    "--reason", required=True, metavar="TEXT", help="Why; kept with the change and shown by 'show'."
)


class Duration(click.ParamType[int]):
    """``2h`` → seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds of a duration as a policy writes it."""
        from penstock.core.limits import BadLimit, parse_duration

        try:
            return value if isinstance(value, int) else parse_duration(value)
        except BadLimit as error:
            self.fail(str(error), param, ctx)


class Sender(click.ParamType[str]):
    """A sender key, completed from the running service."""

    name = "sender"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Senders that contain what was typed."""
        del param
        try:
            found = ask(ctx.params.get("state"), "senders", match=incomplete, limit=50)
        except click.ClickException:
            return []
        return [click.shell_completion.CompletionItem(row["sender"]) for row in found["senders"]]


def state_folder(named: Path | None) -> Path:
    """The folder named on the command line, else in the policy file, else the default."""
    if named is not None:
        return named
    file = Path(os.environ.get("PENSTOCK_CONFIG") or "/etc/penstock/penstock.toml")
    try:
        found = tomllib.loads(file.read_text()).get("state")
    except (OSError, ValueError):
        found = None
    return Path(found) if isinstance(found, str) else DEFAULT_STATE


def ask(named: Path | None, command: str, **arguments: Any) -> Any:
    """Ask the running service; its refusals and its absence end the command with a sentence."""
    path = state_folder(named) / SOCKET
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(ASK_TIMEOUT)
            with reachable(path) as name:
                sock.connect(name)
            sock.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
            with sock.makefile("rb") as answers:
                line = answers.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        raise click.ClickException(
            f"no penstock serves from {path.parent}: start it with 'penstock serve', "
            "or name its folder with --state"
        ) from None
    except PermissionError:
        raise click.ClickException(
            f"{path}: permission denied (run as root or as a member of its group)"
        ) from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None
    try:
        answer = json.loads(line)
    except ValueError:
        raise click.ClickException(
            "the service closed the connection without an answer: see its log"
        ) from None
    if not answer["ok"]:
        raise click.ClickException(answer["error"])
    return answer["result"]


def print_json(value: Any) -> None:
    """JSON for a program (and for a person: indented)."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def warn_if_not_durable(result: dict[str, Any]) -> None:
    """A change that is only in memory would not survive a restart."""
    if not result.get("durable", True):
        click.echo(
            "WARNING: the change is in force but could not be written to disk; a restart would forget it. "
            "See 'penstock doctor'.",
            err=True,
        )
