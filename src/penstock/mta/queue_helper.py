"""``penstock-queue-helper``: what Penstock asks of the MTA's queue, done as root. Everything else is refused.

The service runs unprivileged; only the superuser may hold, release or delete mail. This program reads one
question from its standard input, runs one of the fixed commands below, and ends. Which instances there are
is said by its own arguments (in systemd's unit or in sudoers), never by the question: a configuration
folder of somebody's choice would run his programs as root. No shell, no environment, no file name out of a
question; queue ids match a strict pattern. With Postfix it deletes from the hold queue only: what lies
there does not change, so that whoever asks can see first whether it still is the message that he means.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO, Final, NamedTuple

from penstock.wire.eximqueue import EXIM, EXIM_ID
from penstock.wire.postqueue import QUEUE_ID
from penstock.wire.queuehelper import (
    LONGEST_PIECE,
    LONGEST_QUESTION,
    LONGEST_SAID,
    BadQuestion,
    End,
    Question,
    parse_question,
    render_end,
    render_piece,
)

PROGRAMS: Final = ("/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin", "/usr/exim/bin")
LONGEST_SHOWN: Final = {"headers": 64 * 1024, "body": 16 * 1024}
SECONDS: Final = 300
"""After so long the helper is killed, whatever it does."""

ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_DESCRIPTION: Final = (
    "Answer one question of Penstock about the MTA's queue. Run it as root from systemd or sudo."
)


class Job(NamedTuple):
    """A command to run: its arguments, and what it reads from its standard input."""

    argv: list[str]
    reads: str = ""


class Mta(NamedTuple):
    """What the arguments of this program say."""

    name: str
    instances: tuple[str, ...]
    folders: tuple[str, ...]

    def program(self, *names: str) -> str:
        """The path of the first of these programs that is there; raises BadQuestion."""
        for path in (Path(folder) / name for name in names for folder in self.folders):
            if path.is_file():
                return str(path)
        raise BadQuestion(f"{names[0]} is not installed in {', '.join(self.folders)}")


def jobs(question: Question, mta: Mta) -> list[Job]:
    """The commands behind a question; raises BadQuestion."""
    if question.instance not in mta.instances:
        raise BadQuestion(
            f"{question.instance!r} is none of this helper's instances: {', '.join(mta.instances)}"
        )
    pattern: re.Pattern[str] = EXIM_ID if mta.name == "exim" else QUEUE_ID
    for each in question.ids:
        if not pattern.fullmatch(each):
            raise BadQuestion(f"{each!r} is no queue id of {mta.name}")
    return list((_exim if mta.name == "exim" else _postfix)(question, mta))


def _postfix(question: Question, mta: Mta) -> Iterator[Job]:
    do, ids = question.do, question.ids
    instance, lines = ["-c", question.instance], "".join(f"{each}\n" for each in ids)
    if do == "list":
        yield Job([mta.program("postqueue"), *instance, "-j"])
    elif do == "limits":
        yield Job([mta.program("postconf"), *instance, "-xh", "maximal_queue_lifetime"])
    elif do in ("headers", "body"):
        yield Job([mta.program("postcat"), *instance, "-q", f"-{do[0]}", ids[0]])
    else:
        option, where = {"hold": ("-h", []), "delete": ("-d", ["hold"])}.get(
            do, ("-H" if do == "release" else "-f", ["hold"])
        )
        yield Job([mta.program("postsuper"), *instance, option, "-", *where], lines)
    if do in ("release", "bounce"):  # else it waits for the next look at the deferred queue
        for each in ids:
            yield Job([mta.program("postqueue"), *instance, "-i", each])


def _exim(question: Question, mta: Mta) -> Iterator[Job]:
    exim, do = mta.program("exim4", "exim"), question.do
    if do == "list":
        yield Job([exim, "-bpr"])
    elif do == "limits":
        yield Job([exim, "-bP", "timeout_frozen_after", "auto_thaw"])
    elif do in ("headers", "body"):
        yield Job([exim, f"-Mv{do[0]}", question.ids[0]])
    else:
        option = {"hold": "-Mf", "release": "-Mt", "delete": "-Mrm", "bounce": "-Mg"}[do]
        yield Job([exim, option, *question.ids])


def serve(asked: BinaryIO, answer: BinaryIO, mta: Mta) -> End:
    """Read one question, answer it."""
    try:
        line = asked.readline(LONGEST_QUESTION + 1)
        if len(line) > LONGEST_QUESTION:
            raise BadQuestion("too long a question")
        question = parse_question(line)
        end = _run_all(question, jobs(question, mta), answer)
    except (BadQuestion, OSError) as error:
        end = End(False, str(error), refused=True)
    answer.write(render_end(end))
    answer.flush()
    return end


def _run_all(question: Question, todo: Sequence[Job], answer: BinaryIO) -> End:
    most = LONGEST_SHOWN.get(question.do)
    ends = [_run(job, answer, most) for job in todo]
    return ends[0]  # the others only hurry what the first has done


def _run(job: Job, answer: BinaryIO, most: int | None) -> End:
    """Run a command and hand on its output, at most so many bytes of it."""
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            job.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, env=ENVIRONMENT
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(job.reads.encode())  # less than a pipe takes at once
            process.stdin.close()
        cut = _hand_on(process.stdout, answer, most)
        if cut:
            process.kill()
        ok = process.wait() == 0 or cut
        size = complaints.seek(0, os.SEEK_END)
        complaints.seek(max(0, size - LONGEST_SAID))
        return End(ok, complaints.read(LONGEST_SAID).decode("utf-8", "backslashreplace").strip())


def _hand_on(output: IO[bytes], answer: BinaryIO, most: int | None) -> bool:
    """Copy the output; True when there was more than ``most`` bytes."""
    left = most
    while piece := os.read(output.fileno(), LONGEST_PIECE):
        answer.write(render_piece(piece if left is None else piece[:left]))
        answer.flush()
        if left is not None:
            left -= len(piece)
            if left <= 0:
                return True
    return False


def read_arguments(argv: Sequence[str] | None) -> Mta:
    """What the arguments say; ends the program when they are wrong."""
    parser = argparse.ArgumentParser(prog="penstock-queue-helper", description=_DESCRIPTION)
    parser.add_argument("--mta", choices=("postfix", "exim"), default="postfix")
    parser.add_argument(
        "--config-dir",
        action="append",
        metavar="DIR",
        help="a Postfix instance [/etc/postfix]; may be repeated",
    )
    parser.add_argument(
        "--programs", action="append", metavar="DIR", help="where the MTA's programs are; may be repeated"
    )
    read = parser.parse_args(argv)
    for folder in [*(read.config_dir or ()), *(read.programs or ())]:
        if not folder.startswith("/"):
            parser.error(f"{folder}: must be an absolute path")
    instances = tuple(read.config_dir or ["/etc/postfix"]) if read.mta == "postfix" else (EXIM,)
    return Mta(read.mta, instances, tuple(read.programs or PROGRAMS))


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one question on standard input and output."""
    mta = read_arguments(argv)
    signal.alarm(SECONDS)
    os.umask(0o077)
    os.chdir("/")
    try:
        end = serve(sys.stdin.buffer, sys.stdout.buffer, mta)
    except BrokenPipeError:  # nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return 0 if end.ok else 1


if __name__ == "__main__":
    sys.exit(main())
