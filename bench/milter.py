"""The milter: the codec alone, and a real Postfix with and without it, in turn.

.venv/bin/python bench/milter.py codec [--seconds 3]
.venv/bin/python bench/milter.py postfix [--rounds 15] [--messages 300] [--tcp] [--reuse|--local]   (as root)

``postfix``: two relays with the same settings, of which one asks the milter about every message; each round
loads both, the order changing from round to round. A round ends when its mail has been delivered to a
sink. The figure is the median over the rounds of (rate with) / (rate without) of the same round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from penstock.wire.milter import replies
from penstock.wire.milter.codec import MilterCodec
from penstock.wire.milter.commands import Offer
from penstock.wire.milter.envelope import WISH_LOCAL
from rig.base import answers, free_port, wait_until
from rig.penstock import Penstock
from rig.postfix import Postfix
from wire.milter import mta

SIZE = 18_000
HEADERS = 15
CHUNK = 65_536
SESSIONS = 8
ROOMY = "recipients = []\nmessages = []\nbytes = []\noutcomes = []\npause = []\nnewcomer = []\n"
POLICY = f'[listen]\nLISTENER = ["MILTER"]\n[profiles.relay]\n{ROOMY}[profiles.script]\n{ROOMY}'
ENTRY = "default_action=accept, protocol=6, connect_timeout=5s, command_timeout=10s, content_timeout=30s"
SETTINGS = {"smtpd_client_connection_rate_limit": "0", "smtpd_sasl_auth_enable": "no"}
QUEUES = ("maildrop", "incoming", "active", "deferred")


@click.group()
def main() -> None:
    """Measure the milter."""


def message() -> bytes:
    """All packets of one message, as Postfix sends them."""
    fields = (mta.header(f"X-Field-{i}", "some words of a header field " * 2) for i in range(HEADERS))
    start = mta.macros("M", auth_authen="alice@example.com") + mta.mail() + mta.rcpt("bob@example.net")
    return start + b"".join(fields) + mta.EOH + mta.end(b"x" * SIZE)


@main.command()
@click.option("--seconds", default=3.0, show_default=True)
def codec(seconds: float) -> None:
    """Messages a second through the codec: read, and each reply written."""
    one = message()
    stream = one * 50
    pieces = [stream[i : i + CHUNK] for i in range(0, len(stream), CHUNK)]
    reader, sent, done = MilterCodec(), 0, 0
    ((_, offer),) = reader.feed(mta.offer())
    assert isinstance(offer, Offer)
    replied = WISH_LOCAL.terms(offer).replied
    reader.feed(mta.connect())
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for piece in pieces:
            for letter, _ in reader.feed(piece):
                if letter in replied:
                    sent += len(replies.CONTINUE)
        done += 50
    rate = done / (time.perf_counter() - began)
    click.echo(f"{rate:,.0f} messages/s, {1e6 / rate:.1f} us each ({len(one):,} bytes, {HEADERS} headers)")


@main.command()
@click.option("--rounds", default=15, show_default=True)
@click.option("--messages", default=300, show_default=True)
@click.option("--tcp", is_flag=True, help="The milter by TCP instead of a Unix socket.")
@click.option("--reuse", is_flag=True, help="Several messages in each SMTP session.")
@click.option("--local", is_flag=True, help="Handed in by sendmail(1), as PHP does it.")
def postfix(rounds: int, messages: int, tcp: bool, reuse: bool, local: bool) -> None:
    """Throughput of a real Postfix with the milter against the same without."""
    with ExitStack() as stack:
        penstock = Penstock("")
        address = "127.0.0.1:0" if tcp else f"unix:{penstock.folder.path}/milter.sock"
        listener, asked = ("milter", "non_smtpd_milters") if local else ("milter_smtp", "smtpd_milters")
        penstock.configure(POLICY.replace("MILTER", address).replace("LISTENER", listener))
        stack.enter_context(penstock)
        bound = penstock.cli("status")["milters"][0]["address"]
        entry = f"{{ {f'inet:{bound}' if tcp else bound}, {ENTRY} }}"
        relay = stack.enter_context(_sink())
        plain = stack.enter_context(Postfix(relay, settings=SETTINGS))
        asking = stack.enter_context(Postfix(relay, settings=SETTINGS | {asked: entry}))
        load = _submit if local else partial(_load, ["-d"] if reuse else [])
        found = _rounds(plain, asking, rounds, messages, load)
        seen = penstock.cli("status")["milters"][0]["messages"]
    ratios = sorted(after / before for before, after in found)
    click.echo(f"without {statistics.median(a for a, _ in found):,.0f}/s, ", nl=False)
    click.echo(
        f"with {statistics.median(b for _, b in found):,.0f}/s; "
        f"decided: {seen}; load {os.getloadavg()[0]:.1f}"
    )
    quarter = len(ratios) // 4
    spread = f"half of the rounds between {ratios[quarter]:.3f} and {ratios[-1 - quarter]:.3f}"
    click.echo(f"overhead {1 - statistics.median(ratios):.1%} ({spread})")


@contextmanager
def _sink() -> Iterator[int]:
    """The port of a server that takes all mail and forgets it."""
    port = free_port()
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "200"])
    try:
        wait_until(lambda: answers(port))
        yield port
    finally:
        sink.terminate()
        sink.wait()


def _rounds(
    plain: Postfix, asking: Postfix, rounds: int, messages: int, load: Callable[[Postfix, int], None]
) -> list[tuple[float, float]]:
    """(rate without, rate with) of each round; a first round warms up."""
    found = []
    for turn in range(rounds + 1):
        order = (plain, asking) if turn % 2 else (asking, plain)
        rates = {id(server): _rate(server, messages, load) for server in order}
        if turn:
            found.append((rates[id(plain)], rates[id(asking)]))
            click.echo(f"round {turn}: without {found[-1][0]:,.0f}/s, with {found[-1][1]:,.0f}/s")
    return found


def _rate(server: Postfix, messages: int, load: Callable[[Postfix, int], None]) -> float:
    """Messages a second that it relays."""
    began = time.perf_counter()
    load(server, messages)
    while _queued(server):
        time.sleep(0.005)
    return messages / (time.perf_counter() - began)


def _load(how: list[str], server: Postfix, messages: int) -> None:
    """From several SMTP sessions at once."""
    load = ["smtp-source", *how, "-s", str(SESSIONS), "-m", str(messages), "-l", str(SIZE)]
    where = ["-t", "bob@example.net", "-f", "alice@example.com", f"127.0.0.1:{server.port}"]
    subprocess.run([*load, *where], check=True, timeout=300)


def _submit(server: Postfix, messages: int) -> None:
    """By sendmail(1), two at once."""
    content = server.folder.path / "message"
    content.write_text("X-PHP-Originating-Script: 1033:mailer.php\n\n" + ("x" * 78 + "\n") * (SIZE // 79))
    one = f"sendmail -C {server.config} -i -f www@example.com bob@example.net <{content}"
    loop = f"i=0; while [ $i -lt {messages // 2} ]; do {one}; i=$((i+1)); done"
    for child in [subprocess.Popen(["sh", "-c", loop]) for _ in range(2)]:
        child.wait(300)


def _queued(server: Postfix) -> bool:
    """Whether any message is in the queue."""
    folders = (server.folder.path / "queue" / name for name in QUEUES)
    return any(files for folder in folders for _, _, files in os.walk(folder))


if __name__ == "__main__":
    main()
