"""The peers that Penstock is measured against, each on a private configuration that never refuses.

    python bench/peers.py          says which are installed
    python bench/peers.py install  installs them (root; Debian packages and one virtualenv below bench/build/)

Nothing of theirs is imported: policyd-rate-limit is GPL and runs as a program of its own.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import (
    BUILD,
    HOST,
    Contender,
    Running,
    StartFailed,
    accepts,
    answers_policy,
    free_port,
    policy_server,
    process,
    tail,
    wait_until,
)

WINDOWS = ((1_000_000, 60), (10_000_000, 3600), (100_000_000, 86400))
POSTFWD = Path("/usr/sbin/postfwd2")
RSPAMD_PLUGINS = Path("/usr/share/rspamd/plugins")
RATE_LIMIT_VENV = BUILD / "policyd-rate-limit"
DEBIAN_PACKAGES = ("postfwd", "rspamd", "redis-server")


def account(*names: str) -> str:
    """The first of these accounts that exists, or our own."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in names if name in known), pwd.getpwuid(os.getuid()).pw_name)


def give(folder: Path, user: str) -> None:
    """Hand a private folder to the account that a server drops to; its parents become passable."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        folder.parent.chmod(0o755)


# --- postfwd2: a Perl prefork server with a cache daemon that holds the counters ---


def postfwd_rules() -> str:
    """Three rate rules per SASL user name, limits far above what the load can reach."""
    return "".join(
        f"id=R{n}; sasl_username=~.; action=rate(sasl_username/{limit}/{seconds}/DEFER over the limit)\n"
        for n, (limit, seconds) in enumerate(WINDOWS, 1)
    )


def adopt_orphans() -> None:
    """Become the parent of daemons whose starter has ended, so that they stay ours to wait for."""
    pr_set_child_subreaper = 36  # linux/prctl.h
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def group_ended(group: int) -> bool:
    """Collect what has ended of a process group of our children; whether that was all of it."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def end_daemon(group: int, patience: float = 10) -> None:
    """End an adopted daemon, whose process group bears its number, and wait for all of the group."""
    os.kill(group, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while not group_ended(group):
        if time.monotonic() > deadline:
            os.killpg(group, signal.SIGKILL)
        time.sleep(0.05)


def wait_for_pid(pidfile: Path, log: Path, limit: float = 20) -> int:
    """The process number that a daemon writes once it runs."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if pidfile.exists() and (text := pidfile.read_text().strip()).isdigit():
            return int(text)
        time.sleep(0.02)
    raise StartFailed(f"it wrote no pid file: {tail(log)}")


@contextmanager
def postfwd(folder: Path) -> Iterator[Running]:
    """postfwd2 without logging and DNS. It insists on being a daemon, so we adopt it."""
    adopt_orphans()
    user, port, log, pidfile = account("nobody"), free_port(), folder / "log", folder / "pid"
    give(folder, user)
    rules = folder / "rules"
    rules.write_text(postfwd_rules())
    command: list[str | Path] = [
        POSTFWD,
        "-f",
        rules,
        "-i",
        HOST,
        "-p",
        str(port),
        "-u",
        user,
        "-g",
        "nogroup",
        "--perfmon",
        "-n",
    ]
    command += ["--pidfile", pidfile, "--cache_socket", f"tcp:{HOST}:{free_port()}", "--summary", "0"]
    with process(command, log) as starter:
        pid = wait_for_pid(pidfile, log)
        try:
            starter.wait(20)
            deadline = time.monotonic() + 20
            while not answers_policy(port):
                if time.monotonic() > deadline:
                    raise StartFailed(f"it does not answer: {tail(log)}")
                time.sleep(0.05)
            yield Running(port, (pid,), tree=True)
        finally:
            end_daemon(pid)


# --- policyd-rate-limit: one Python process, a select loop and a SQLite database ---

RATE_LIMIT_CONFIG = """\
debug: False
user: "{user}"
group: "{group}"
pidfile: "{folder}/run/pid"
sqlite_config:
    database: "{folder}/data/db.sqlite3"
backend: 0
SOCKET: ["{host}", {port}]
limits: {limits}
count_mode: 0
sql_limits_by_id: ""
"""


@contextmanager
def policyd_rate_limit(folder: Path) -> Iterator[Running]:
    """policyd-rate-limit on SQLite, its default, counting each RCPT against three windows."""
    port, user = free_port(), account("nobody")
    for name in ("data", "run"):
        give(folder / name, user)
    config, group = folder / "config.yaml", "nogroup" if user == "nobody" else user
    limits = [list(window) for window in WINDOWS]
    text = RATE_LIMIT_CONFIG.format(
        user=user, group=group, folder=folder, host=HOST, port=port, limits=limits
    )
    config.write_text(text)
    program = RATE_LIMIT_VENV / "bin" / "policyd-rate-limit"
    with policy_server([program, "--file", config], port, folder / "log") as running:
        yield running


# --- rspamd: its normal worker with the ratelimit module alone, counters in a Redis of its own ---

# rspamd tells the buckets of one key apart by round(100000 / burst) only: bursts above 200,000 would
# all fall on one bucket, and two of the three windows would not be looked at.
RSPAMD_CONFIG = """\
lua = "{folder}/rules.lua";
options {{
    filters = "";
    pidfile = "{folder}/rspamd.pid";
    cache_file = "{folder}/symbols.cache";
    hs_cache_dir = "{folder}";
    tempdir = "{folder}";
    control_socket = "{folder}/control.sock mode=0600";
    url_tld = "{folder}/suffixes";
    rrd = "";
    dns {{ nameserver = ["{host}:{dns}"]; timeout = 0.1s; }}
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "error"; }}
worker "normal" {{ bind_socket = "{host}:{port}"; count = {workers}; mime = true; }}
modules {{ path = "{share}/plugins/ratelimit.lua"; }}
actions {{ reject = 1000; }}
redis {{ servers = "{host}:{redis}"; }}
ratelimit {{
    rates {{
        user = {{
            bucket = [
                {{ burst = 100000; rate = "1000000 / 1m"; }},
                {{ burst = 50000; rate = "10000000 / 1h"; }},
                {{ burst = 33333; rate = "100000000 / 1d"; }}
            ];
        }}
    }}
}}
"""


# What rspamd's own rules/rspamd.lua sets up, without the content rules that it goes on to load.
RSPAMD_NO_RULES = """\
require "global_functions" ()
config['regexp'] = {}
rspamd_maps = {}
"""


@contextmanager
def redis(folder: Path) -> Iterator[Running]:
    """A Redis server that keeps nothing on disk."""
    port, log = free_port(), folder / "redis.log"
    command: list[str | Path] = [
        "redis-server",
        "--port",
        str(port),
        "--bind",
        HOST,
        "--save",
        "",
        "--dir",
        folder,
    ]
    with process(command, log) as child:
        wait_until(lambda: accepts(port), child, log)
        yield Running(port, (child.pid,))


def answers_http(port: int) -> bool:
    """Whether an HTTP server at this port is ready (rspamd binds long before it answers)."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/ping", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def rspamd(folder: Path) -> Iterator[Running]:
    """rspamd and its Redis; the CPU time of both counts."""
    port, user, config = free_port(), account("_rspamd"), folder / "rspamd.conf"
    give(folder, user)
    with redis(folder) as store:
        places = {
            "folder": folder,
            "share": RSPAMD_PLUGINS.parent,
            "host": HOST,
            "port": port,
            "workers": os.cpu_count(),
        }
        config.write_text(RSPAMD_CONFIG.format(**places, redis=store.port, dns=free_port()))
        (folder / "suffixes").write_text("com\nnet\norg\n")  # the full list only makes the start slow
        (folder / "rules.lua").write_text(RSPAMD_NO_RULES)
        command: list[str | Path] = ["rspamd", "-f", "-c", config, "-u", user, "-g", user]
        with process(command, folder / "log") as child:
            wait_until(lambda: answers_http(port), child, folder / "log")
            yield Running(port, (child.pid, *store.pids), tree=True, http=True)


# --- what is there, and how to get it ---


def needs(present: bool, sentence: str) -> str | None:
    """Nothing when present, else the sentence that says what is missing."""
    return None if present else f"{sentence} (python bench/peers.py install)"


PEERS = (
    Contender(
        "postfwd2",
        "postfwd2 (three rate rules)",
        postfwd,
        lambda: needs(POSTFWD.exists(), "Debian's postfwd is not installed"),
    ),
    Contender(
        "policyd-rate-limit",
        "policyd-rate-limit (three windows, SQLite)",
        policyd_rate_limit,
        lambda: needs(
            (RATE_LIMIT_VENV / "bin" / "policyd-rate-limit").exists(), "policyd-rate-limit is not installed"
        ),
    ),
    Contender(
        "rspamd",
        "rspamd ratelimit (HTTP, three buckets, Redis)",
        rspamd,
        lambda: needs(
            bool(shutil.which("rspamd") and shutil.which("redis-server")),
            "Debian's rspamd and redis-server are not both installed",
        ),
    ),
)


def install() -> None:
    """Install the peers; services that a package would start are told not to (RUNLEVEL=1)."""
    if os.getuid() == 0:
        env = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
        apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300"]
        subprocess.run([*apt, "update"], env=env, check=True)
        subprocess.run(
            [*apt, "install", "-y", "--no-install-recommends", *DEBIAN_PACKAGES], env=env, check=True
        )
    else:
        print("Not root; the line for root is:")
        print("apt-get install --no-install-recommends", *DEBIAN_PACKAGES)
    subprocess.run([sys.executable, "-m", "venv", RATE_LIMIT_VENV], check=True)
    subprocess.run([RATE_LIMIT_VENV / "bin" / "pip", "install", "-q", "policyd-rate-limit"], check=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["install"]:
        install()
    for peer in PEERS:
        print(f"{peer.label}: {peer.absent() or 'installed'}")
