"""``penstock classify``: what a remote server's reply means, and which rule says so."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from penstock.cli.common import json_option, print_json
from penstock.core.replies import MEANINGS, Classifier, Verdict

_LONGEST_LINE: Final = 1 << 20


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--relay", default="", metavar="HOST", help="The server that answered, as the log names it.")
@click.option("--status", default="", metavar="X.Y.Z", help="The enhanced code that the log gives beside it.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    envvar="PENSTOCK_CONFIG",
    help="Policy file with rules of your own [default: /etc/penstock/penstock.toml if there is one].",
)
@json_option
def classify(text: tuple[str, ...], relay: str, status: str, policy: Path | None, as_json: bool) -> None:
    """Tell what the reply TEXT of a remote server means: its class, for good or not, and whom it blames.

    TEXT is as in the MTA's log or in a bounce. With - replies are read from standard input, one a line.
    """
    classifier = classifier_of(policy)
    if text == ("-",):
        for line in _lines():
            _print_line(line, classifier.classify(line, status, relay), as_json)
        return
    reply = " ".join(text)
    verdict = classifier.classify(reply, status, relay)
    if as_json:
        print_json(_told(reply, verdict))
    else:
        _print(verdict)


def classifier_of(policy: Path | None) -> Classifier:
    """With the rules of the policy file; one that cannot be read is told and does without."""
    from penstock.config import ConfigError, default_path, load
    from penstock.config.replies import own_rules

    path = policy or default_path()
    if path is None:
        return Classifier(own_rules())
    try:
        return Classifier(load(path).policy.replies)
    except ConfigError as wrong:
        if policy is not None:
            raise click.ClickException(str(wrong)) from None
        click.echo(f"WARNING: {wrong}\nOnly the built-in rules are used.", err=True)
        return Classifier(own_rules())


def _lines() -> Iterator[str]:
    """The lines of standard input, whatever their bytes; one that has no end comes in pieces."""
    while line := sys.stdin.buffer.readline(_LONGEST_LINE):
        if text := line.decode("utf-8", "replace").strip():
            yield text


def _told(reply: str, verdict: Verdict) -> dict[str, Any]:
    meaning = MEANINGS[verdict.reply_class]
    return {
        "reply": reply,
        "class": str(verdict.reply_class),
        "permanent": verdict.permanent,
        "rule": verdict.rule,
        "meaning": meaning.sentence,
        "blames": str(meaning.blame),
    }


def _lasting(verdict: Verdict) -> str:
    return "permanent" if verdict.permanent else "not permanent"


def _print(verdict: Verdict) -> None:
    meaning = MEANINGS[verdict.reply_class]
    click.echo(f"{verdict.reply_class}, {_lasting(verdict)}")
    click.echo(meaning.sentence)
    click.echo(f"It blames: {meaning.blame}")
    click.echo(f"Rule: {verdict.rule}")


def _print_line(reply: str, verdict: Verdict, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_told(reply, verdict), ensure_ascii=False))
        return
    shown = "".join(c if c.isprintable() else "\ufffd" for c in reply)  # a terminal obeys some of the rest
    click.echo(f"{verdict.reply_class}\t{_lasting(verdict)}\t{verdict.rule}\t{shown}")
