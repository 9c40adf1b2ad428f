"""The C programs: compiling them, and running the load generator against a server."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

from processes import BUILD, HERE, HOST, Running, StartFailed

PROGRAMS = ("floor", "load", "nullmilter")


@dataclass(frozen=True)
class Measured:
    """What one run of the load generator found; times in microseconds."""

    requests: int
    seconds: float
    rate: float
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float
    cpu_us_per_request: float | None
    load_cpu_share: float
    waiting: int
    unexpected: int
    reconnects: int
    request_bytes: int
    answers: dict[str, int]


def build() -> None:
    """Compile what is missing or older than its source; StartFailed when there is no compiler."""
    BUILD.mkdir(exist_ok=True)
    if shutil.which("cc") is None:
        raise StartFailed("there is no C compiler: install gcc (Debian: apt-get install gcc libc6-dev)")
    for name in PROGRAMS:
        source, binary = HERE / f"{name}.c", BUILD / name
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", binary, source], check=True)


def load(server: Running, seconds: float, warmup: float = 1.0, **options: float | str | bool) -> Measured:
    """Put load on a server; an option `rate=5000` becomes `--rate 5000`, `tree=True` becomes `--tree`."""
    command = [str(BUILD / "load"), "--host", HOST, "--port", str(server.port)]
    options |= {"seconds": seconds, "warmup": warmup, "tree": server.tree, "http": server.http}
    for key, value in options.items():
        if value is not False:
            command += [f"--{key}"] if value is True else [f"--{key}", str(value)]
    for pid in server.pids:
        command += ["--pid", str(pid)]
    limit = seconds + warmup + 60
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise StartFailed(f"the load generator gave up: {done.stderr.strip()}")
    return Measured(**json.loads(done.stdout))
