"""``penstock setup``: have the mail server ask us."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from penstock.mta.postconf import Config, Edit, Postfix, PostfixError
    from penstock.mta.postfix import Plan, Use, Wish
    from penstock.mta.postfix_apply import Applied, Undone
    from penstock.mta.smarthost import Smarthost

LISTEN = "127.0.0.1:10040"
SLOW = "Start Penstock first: until it answers, each question costs a second, then mail goes on."


@click.group()
def setup() -> None:
    """Have the mail server ask Penstock."""


@setup.command()
@click.option(
    "--for",
    "use",
    type=click.Choice(["submission", "smarthost", "professional"]),
    default="submission",
    show_default=True,
    help="submission: customers log in (ports 587, 465). smarthost: their servers relay through port 25. "
    "professional: customers with a tag hand in at a port of their own.",
)
@click.option(
    "--listen",
    metavar="ADDRESS",
    help=f"Where Penstock listens [default: {LISTEN}; for professional: the policy file's milter_smarthost].",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    envvar="PENSTOCK_CONFIG",
    help="For professional: the policy file, if not the installed one.",
)
@click.option(
    "--config-dir", type=click.Path(path_type=Path), help="Postfix's folder, if not its own default."
)
@click.option(
    "--service",
    "also",
    multiple=True,
    metavar="NAME",
    help="Also this SMTP server, such as smtp. For professional: this one (default: 2525); a port is made.",
)
@click.option("--milter", metavar="ADDRESS", help="Ask our milter there about mail of sendmail(1), too.")
@click.option("--milter-smtp", metavar="ADDRESS", help="For SMTP clients a milter, not the policy service.")
@click.option("--milter-last", is_flag=True, help="Our milters behind others, to see a spam filter's score.")
@click.option("--trial", is_flag=True, help="Only warn (warn_if_reject); HOLD and DISCARD act all the same.")
@click.option("--apply", "do_apply", is_flag=True, help="Do it: save copies, change, check, reload.")
@click.option("--undo", "do_undo", is_flag=True, help="Take it back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def postfix(
    use: Use,
    listen: str | None,
    policy: Path | None,
    config_dir: Path | None,
    also: tuple[str, ...],
    milter: str | None,
    milter_smtp: str | None,
    milter_last: bool,
    trial: bool,
    do_apply: bool,
    do_undo: bool,
    as_json: bool,
) -> None:
    """Print what Postfix needs to ask Penstock, line by line; with --apply, do it.

    Mail goes on if Penstock is away: default_action=DUNNO. A trial that touches no mail is
    mode = "shadow" in penstock.toml; --trial is Postfix's own and does not shadow HOLD and DISCARD.
    """
    from penstock.mta.endpoint import Endpoint
    from penstock.mta.postconf import Postfix, PostfixError
    from penstock.mta.postfix import Wish

    if do_apply and do_undo:
        raise click.UsageError("--apply and --undo exclude each other")
    try:
        asked = Endpoint.parse(listen or LISTEN)
        local, smtp = (Endpoint.parse(each) if each else None for each in (milter, milter_smtp))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listen, --milter or --milter-smtp") from None
    server = Postfix(config_dir)
    try:
        if use == "professional" and not do_undo:
            if milter or milter_smtp or trial:
                raise click.UsageError("--for professional: other milters and trials need a run of their own")
            wish = Wish(use, also=also, smarthost=_customers(policy, listen))
        else:
            wish = Wish(use, asked, trial, also, local, smtp, milter_last)
        _undo(server, as_json) if do_undo else _set_up(server, wish, do_apply, as_json)
    except PostfixError as error:
        _fail(error, as_json)
    except OSError as error:
        _fail(PostfixError(f"{error.filename or server.folder}: {error.strerror}"), as_json)


def _customers(policy: Path | None, listen: str | None) -> Smarthost:
    """What the policy file says of professional customers; ``listen`` goes before what it says of itself."""
    from penstock.cli.smarthost import smarthost_of
    from penstock.config import ConfigError, default_path, load
    from penstock.mta.postconf import PostfixError

    try:
        settings = load(policy or default_path())
    except ConfigError as wrong:
        said = "; ".join(map(str, wrong.problems))
        raise PostfixError(f"The policy is not valid: {said}", "Correct it: penstock config check") from None
    return smarthost_of(settings, [listen] if listen else settings.listen.milter_smarthost)


def _set_up(server: Postfix, wish: Wish, do_apply: bool, as_json: bool) -> None:
    from penstock.mta.postfix import plan, require_version
    from penstock.mta.postfix_apply import apply, require_root

    if do_apply:
        require_root()
    require_version(server.version())
    config = server.read()
    found = plan(config, wish)
    done = None
    if do_apply and found.edits and not found.problems:
        done = apply(server, found, datetime.now().strftime("%Y%m%d-%H%M%S"))
    unanswered = [each for each in wish.asked if not each.answers(config.queue)]
    if as_json:
        _print_json(_document(server, config, wish, found, done) | {"answers": not unanswered})
    else:
        _tell(server, config, wish, found, done)
        for each in unanswered:
            _paragraph(f"Note: nothing answers at {each} now. {SLOW}")
    raise SystemExit(1 if found.problems else 0)


def _tell(server: Postfix, config: Config, wish: Wish, found: Plan, done: Applied | None) -> None:
    where = ", ".join(found.places) or "nothing"
    click.echo(f"# Postfix {config.version} in {server.folder}, for {wish.use}: {where}")
    for problem in found.problems:
        _paragraph(f"Problem: {problem}")
    if found.done:
        asked = " and ".join(map(str, wish.asked))
        first = "" if wish.use == "professional" else " before anything permits"
        click.echo(f"Set up already: Postfix asks {asked}{first}. Nothing to change.")
    for edit in found.edits:
        _tell_edit(server, edit)
    if found.edits and done is None:
        _tell_reload(server)
    for note in found.notes:
        _paragraph(f"Note: {note}")
    if done is not None:
        _tell_applied(done)
    elif found.edits and not found.problems:
        click.echo("Nothing has been changed. Paste the lines as root, or run this again with --apply.")
    elif found.problems:
        click.echo("Nothing has been changed; --apply works once the problems are solved.", err=True)


def _tell_edit(server: Postfix, edit: Edit) -> None:
    click.echo(f"\n# {edit.why}\n{server.line('postconf', *edit.arguments())}")


def _tell_reload(server: Postfix) -> None:
    click.echo(
        f"\n# test it, and have a running Postfix read it\n{server.line('postfix', 'check')} && ", nl=False
    )
    click.echo(f"{server.line('postfix', 'reload')}\n")


def _tell_applied(done: Applied) -> None:
    click.echo("\nDone. Copies from before:")
    for name in done.backups:
        click.echo(f"  {name}")
    click.echo(_reloaded(done.reloaded) + " Take it back with --undo.")


def _reloaded(reloaded: bool) -> str:
    return "Postfix has reloaded." if reloaded else "Postfix does not run; the change counts when it starts."


def _undo(server: Postfix, as_json: bool) -> None:
    from penstock.mta.postfix_apply import undo

    done = undo(server)
    if as_json:
        edits = [_edit(server, edit) for edit in done.edits]
        _print_json({"undone": True, "exact": done.exact, "edits": edits, "reloaded": done.reloaded})
        return
    _tell_undone(server, done)


def _tell_undone(server: Postfix, done: Undone) -> None:
    if done.exact:
        click.echo("main.cf and master.cf are the very files from before.")
    elif done.edits:
        click.echo("The files were changed since, so only our own edits were taken out:")
        for edit in done.edits:
            _tell_edit(server, edit)
        click.echo(f"\nCopies from before, if there are any, stay in {server.folder} (*.penstock-*).")
    else:
        click.echo("Somebody has taken our edits out already; nothing was left to change.")
    click.echo(_reloaded(done.reloaded))


def _document(
    server: Postfix, config: Config, wish: Wish, found: Plan, done: Applied | None
) -> dict[str, Any]:
    return {
        "version": config.version,
        "config_dir": str(server.folder),
        "for": wish.use,
        "asks": [str(each) for each in wish.asked],
        "trial": wish.trial,
        "places": found.places,
        "done": found.done or done is not None,
        "edits": [_edit(server, edit) for edit in found.edits],
        "notes": found.notes,
        "problems": found.problems,
        "applied": asdict(done) if done else None,
    }


def _edit(server: Postfix, edit: Edit) -> dict[str, Any]:
    return asdict(edit) | {"command": server.line("postconf", *edit.arguments())}


def _fail(error: PostfixError, as_json: bool) -> NoReturn:
    if as_json:
        _print_json({"error": str(error), "hint": error.hint})
    else:
        click.echo(f"penstock: {error}", err=True)
        if error.hint:
            click.echo(error.hint, err=True)
    raise SystemExit(1)


def _paragraph(text: str) -> None:
    click.echo(textwrap.fill(text, 100, initial_indent="# ", subsequent_indent="#   "))


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
