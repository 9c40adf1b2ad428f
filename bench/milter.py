"""The milter: the codec alone, and a real Postfix with and without it, in turn.

.venv/bin/python bench/milter.py codec [--seconds 3]
.venv/bin/python bench/milter.py postfix [--rounds 15] [--messages 300] [--tcp] [--reuse|--local]   (as root)

``postfix``: relays with the same settings, which differ in the milter that they ask about every message:
none; a null milter in C (``nullmilter.c``) that is spared all but the end; one with our terms; ours, by the
entry that ``penstock setup postfix`` hands out. Each round loads all of them, in an order that turns; a load
ends when its mail has been delivered to a sink. Overheads are medians over the rounds, each against the relay
without a milter in the same round: of the rate, and of the processor time of Postfix and milter together,
which other work on the machine disturbs less.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import native
from penstock.mta.milters import written
from penstock.wire.milter import replies
from penstock.wire.milter.codec import MilterCodec, Wish
from penstock.wire.milter.codes import Action, Step
from penstock.wire.milter.commands import Offer
from penstock.wire.milter.envelope import WISH_LOCAL, WISH_SMTP
from processes import BUILD, private_folder
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
SETTINGS = {"smtpd_client_connection_rate_limit": "0", "smtpd_sasl_auth_enable": "no"}
QUEUES = ("maildrop", "incoming", "active", "deferred")
TICK = 1 / os.sysconf("SC_CLK_TCK")
NOTHING = Wish(Action(0), ~(Step.SKIP | Step.REJECTED_RCPT | Step.LEADING_SPACE), {})
"""The least that a milter can be asked: whether a message may pass, at its end."""


class Relay(NamedTuple):
    """A Postfix and the milter that it asks, 0 for none."""

    label: str
    postfix: Postfix
    milter: int


class Run(NamedTuple):
    """One load: messages a second, microseconds of processor time a message."""

    rate: float
    postfix: float
    milter: float


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
@click.option("--tcp", is_flag=True, help="The milter by TCP instead of a Unix socket; no null milters.")
@click.option("--reuse", is_flag=True, help="Several messages in each SMTP session.")
@click.option("--local", is_flag=True, help="Handed in by sendmail(1), as PHP does it.")
def postfix(rounds: int, messages: int, tcp: bool, reuse: bool, local: bool) -> None:
    """Throughput of a real Postfix with the milter against the same without."""
    native.build()
    asked = "non_smtpd_milters" if local else "smtpd_milters"
    load = _submit if local else partial(_load, ["-d"] if reuse else [])
    with ExitStack() as stack:
        sink = stack.enter_context(_sink())
        relays = []
        for label, server, milter in _milters(stack, local, tcp):
            entry = {asked: written(server)} if server else {}
            relay = stack.enter_context(Postfix(sink, settings=SETTINGS | entry))
            relays.append(Relay(label, relay, milter))
        _report(relays, _rounds(relays, rounds, messages, load))


def _milters(stack: ExitStack, local: bool, tcp: bool) -> Iterator[tuple[str, str, int]]:
    """(label, where it listens, process) of all that take part."""
    yield "without a milter", "", 0
    ours = WISH_LOCAL if local else WISH_SMTP
    for label, wish in () if tcp else (("null milter in C, the least", NOTHING), ("null milter in C", ours)):
        yield label, *stack.enter_context(_null(wish))
    penstock = Penstock("")
    address = "127.0.0.1:0" if tcp else f"unix:{penstock.folder.path}/milter.sock"
    listener = "milter" if local else "milter_smtp"
    penstock.configure(POLICY.replace("MILTER", address).replace("LISTENER", listener))
    stack.enter_context(penstock)
    bound = penstock.cli("status")["milters"][0]["address"]
    assert penstock.process is not None
    yield "penstock", f"inet:{bound}" if tcp else bound, penstock.process.pid


@contextmanager
def _null(wish: Wish) -> Iterator[tuple[str, int]]:
    """A null milter with these terms: where it listens, and its process."""
    terms = wish.terms(Offer(*mta.OFFER))
    letters = b"".join(terms.replied).decode()
    with private_folder() as folder:
        path = folder / "null.sock"
        child = subprocess.Popen([BUILD / "nullmilter", path, terms.answer.hex(), letters])
        try:
            wait_until(path.exists)
            yield f"unix:{path}", child.pid
        finally:
            child.terminate()
            child.wait()


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
    relays: Sequence[Relay], rounds: int, messages: int, load: Callable[[Postfix, int], None]
) -> list[list[Run]]:
    """The runs of each relay; a first round warms up."""
    found: list[list[Run]] = [[] for _ in relays]
    for turn in range(rounds + 1):
        for place in range(len(relays)):
            which = (turn + place) % len(relays)
            run = _run(relays[which], messages, load)
            if turn:
                found[which].append(run)
        if turn:
            rates = ", ".join(f"{runs[-1].rate:,.0f}/s" for runs in found)
            click.echo(f"round {turn}: {rates}; load {os.getloadavg()[0]:.1f}", err=True)
    return found


def _run(relay: Relay, messages: int, load: Callable[[Postfix, int], None]) -> Run:
    """One load."""
    assert relay.postfix.process is not None
    processes = (relay.postfix.process.pid, relay.milter)
    before, began = [_spent(pid) for pid in processes], time.perf_counter()
    handing_in = _spent_handing_in() if load is _submit else 0.0
    load(relay.postfix, messages)
    while _queued(relay.postfix):
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    postfix, milter = (_spent(pid) - then for pid, then in zip(processes, before, strict=True))
    if load is _submit:
        postfix += _spent_handing_in() - handing_in
    return Run(messages / seconds, 1e6 * postfix / messages, 1e6 * milter / messages)


def _spent_handing_in() -> float:
    """Seconds of processor time of sendmail(1) and what it runs: no children of Postfix's master."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _spent(pid: int) -> float:
    """Seconds of processor time of a process and its children, those that have ended included."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return TICK * (int(fields[13]) + int(fields[14])) + sum(map(_ran, [str(pid), *children]))


def _ran(pid: str) -> float:
    """Seconds of processor time of a process; none when it has just ended."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _report(relays: Sequence[Relay], found: Sequence[Sequence[Run]]) -> None:
    """One line for each relay; half of the rounds lie in the brackets."""
    for relay, runs in zip(relays, found, strict=True):
        rate, postfix, milter = (statistics.median(each) for each in zip(*runs, strict=True))
        click.echo(
            f"{relay.label}: {rate:,.0f}/s; CPU of Postfix {postfix:,.0f} us, of the milter {milter:,.0f}"
        )
        pairs = list(zip(runs, found[0], strict=True))
        if relay.milter:
            slower = _spread([1 - run.rate / base.rate for run, base in pairs])
            busier = _spread([(run.postfix + run.milter) / base.postfix - 1 for run, base in pairs])
            click.echo(f"    overhead: rate {slower}, processor time {busier}")


def _spread(overheads: Sequence[float]) -> str:
    ordered, quarter = sorted(overheads), len(overheads) // 4
    return f"{statistics.median(ordered):.1%} ({ordered[quarter]:.1%} to {ordered[-1 - quarter]:.1%})"


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
