"""Who sent a local submission, end to end: a real Postfix, its log, ordinary users, the wrapper, real PHP."""

from __future__ import annotations

import grp
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

import penstock.sendmail
from e2e.conftest import StartPostfix
from rig.base import PATH, Folder, wait_until
from rig.penstock import Penstock
from rig.postfix import Postfix
from rig.smtp import Sink, message
from rig.syslog import Syslog

UID, OTHER = 21033, 21044
TO, CAROL, DAN = "bob@example.net", "carol@example.net", "dan@example.net"
SITE = f"uid:{UID}"
MILTER = "default_action=accept, protocol=6, connect_timeout=5s, command_timeout=10s, content_timeout=30s"
POLICY = """
[listen]
milter = ["{milter}"]
[profiles.script]
recipients = ["1000/h"]
messages = []
bytes = []
outcomes = []
pause = []
newcomer = []
[queue]
mta = "postfix"
config_dirs = ["{config}"]
helper_command = {helper}
[logs.mail]
file = "{log}"
from_beginning = true
[logs.wrapper]
file = "{wrapper}"
from_beginning = true
[logs.php]
file = "{php}"
from_beginning = true
"""

SYSTEM_PYTHON = "/usr/bin/python3"
"""Our own may lie in a home that other users cannot enter."""

PHP = shutil.which("php")
needs_python = pytest.mark.skipif(
    not os.access(SYSTEM_PYTHON, os.X_OK), reason=f"needs a Python that every user can run: {SYSTEM_PYTHON}"
)
needs_php = pytest.mark.skipif(PHP is None, reason="needs PHP: apt-get install php-cli")


class WebHost:
    """A web host: Postfix, Penstock as its milter that follows three logs, and users who hand in mail."""

    def __init__(self, servers: ExitStack, start_postfix: StartPostfix) -> None:
        self.folder = Folder("web")
        servers.callback(self.folder.remove)
        self.syslog = servers.enter_context(Syslog())
        self.php_log = self.folder.path / "php-mail.log"
        self.php_log.touch()
        self.php_log.chmod(0o666)
        self.penstock = Penstock("")
        self._milter = f"unix:{self.penstock.folder.path}/milter.sock"
        self.postfix: Postfix = start_postfix(settings={"non_smtpd_milters": self.postfix_milter()})
        self.configure()
        servers.enter_context(self.penstock)

    def configure(self, more: str = "") -> None:
        config = self.postfix.config
        helper = [sys.executable, "-m", "penstock.mta.queue_helper", "--config-dir", str(config)]
        text = POLICY.format(
            milter=self._milter,
            config=config,
            helper=json.dumps(helper),
            log=self.postfix.folder.path / "mail.log",
            wrapper=self.syslog.file,
            php=self.php_log,
        )
        self.penstock.configure(text + more)

    def postfix_milter(self) -> str:
        """How Postfix writes our milter."""
        return f"{{ {self._milter}, {MILTER} }}"

    def site(self, uid: int = UID) -> Path:
        """A folder of a user's own."""
        path = self.folder.path / f"site{uid}"
        path.mkdir(exist_ok=True)
        os.chown(path, uid, uid)
        return path

    def sendmail(self) -> str:
        """A command that is this Postfix's sendmail."""
        path = self.folder.path / "sendmail"
        path.write_text(f'#!/bin/sh\nMAIL_CONFIG={self.postfix.config} exec /usr/sbin/sendmail "$@"\n')
        path.chmod(0o755)
        return str(path)

    def run(self, command: list[str], uid: int, text: str = "", **env: str) -> int:
        """As that user. Its group is Postfix's, since set-gid programs ignore a private configuration."""
        done = subprocess.run(
            command,
            input=text.encode(),
            user=uid,
            group=grp.getgrnam("postdrop").gr_gid,
            extra_groups=[],
            cwd=self.site(uid),
            env={"PATH": PATH, **env},
            timeout=60,
        )
        return done.returncode

    def submit(self, to: str, header: str, uid: int = UID) -> None:
        """As PHP's mail() hands it in."""
        text = message(**({"X_PHP_Originating_Script": header} if header else {}))
        assert self.run([self.sendmail(), "-i", "-f", "www@example.com", to], uid, text) == 0

    def wrapped(self, to: str, uid: int = UID, **env: str) -> None:
        """Through our wrapper, as a CGI script does."""
        program = self.folder.path / "penstock-sendmail"
        shutil.copy(penstock.sendmail.__file__, program)
        wrapper = [SYSTEM_PYTHON, "-IS", str(program)]
        own = {"PENSTOCK_SENDMAIL": self.sendmail(), "PENSTOCK_SYSLOG": str(self.syslog.socket)}
        command = [*wrapper, "-i", "-f", "www@example.com", to]
        assert self.run(command, uid, message(), **own, **env) == 0

    def php_says(self, path: str, to: str) -> None:
        """A line of PHP's mail.log."""
        with self.php_log.open("a") as file:
            file.write(f"{php_stamp()} mail() on [{path}:7]: To: {to} -- Headers:  -- Subject: x\n")

    def pause(self, sender: str) -> None:
        self.penstock.cli("pause", sender, "--reason", "flood")

    def show(self, sender: str) -> dict[str, object]:
        found: dict[str, object] = self.penstock.cli("show", sender)
        return found

    def listed(self) -> list[tuple[str, int, int]]:
        """What lies in the queue, by sender: messages and how many of them are held."""
        rows = self.penstock.cli("queue", "list")["senders"]
        return [(row["sender"], row["messages"], row["held"]) for row in rows]

    def hour(self, sender: str) -> int:
        """Recipients charged to a sender; 0 when it has never been seen."""
        found = self.penstock.cli("show", sender, ok=False)
        return found["counts"]["recipients"]["hour"] if found and "counts" in found else 0


def php_stamp() -> str:
    return subprocess.check_output(["date", "-u", "+[%d-%b-%Y %H:%M:%S UTC]"], text=True).strip()


@pytest.fixture
def web(servers: ExitStack, sink: Sink, start_postfix: StartPostfix) -> WebHost:
    del sink
    return WebHost(servers, start_postfix)


def test_a_submission_of_an_ordinary_user_is_held_listed_released_once_and_delivered(
    web: WebHost, sink: Sink
) -> None:
    web.pause(SITE)
    web.submit(TO, f"{UID}:mailer.php")
    (held,) = wait_until(web.postfix.held, what="a held message")
    expected = [(f"script:{UID}:mailer.php", 1, 1)]
    wait_until(lambda: web.listed() == expected, what="the sender of what is held to be listed")
    assert sink.deliveries() == Counter()
    web.penstock.cli("queue", "release", held)
    sink.wait_for(1)
    web.postfix.wait_empty()
    assert sink.deliveries() == Counter({TO: 1})
    assert web.penstock.cli("status")["milters"][0]["messages"] == {"hold": 1}


def test_a_paused_script_while_another_script_of_the_same_user_passes(web: WebHost, sink: Sink) -> None:
    bad = f"script:{UID}:mailer.php"
    web.pause(bad)
    web.submit(TO, f"{UID}:mailer.php")
    web.submit(CAROL, f"{UID}:contact.php")
    web.submit(DAN, f"{OTHER}:mailer.php", OTHER)
    sink.wait_for(2)
    wait_until(lambda: len(web.postfix.held()) == 1, what="the paused script's message to be held")
    assert sink.deliveries() == Counter({CAROL: 1, DAN: 1})
    shown = web.show(f"script:{UID}:contact.php")
    assert shown["parents"] == [SITE]
    assert "the kernel told the MTA" in str(shown["origin"])
    assert web.hour(SITE) == 1


def test_a_paused_site_stops_its_scripts_and_nobody_elses(web: WebHost, sink: Sink) -> None:
    web.pause(SITE)
    for header in (f"{UID}:a.php", f"{UID}:b.php"):
        web.submit(TO, header)
    web.submit(DAN, f"{OTHER}:a.php", OTHER)
    sink.wait_for(1)
    wait_until(lambda: len(web.postfix.held()) == 2, what="both scripts of the site to be held")
    assert sink.deliveries() == Counter({DAN: 1})


def test_what_lies_in_the_queue_is_frozen_with_the_site(web: WebHost, sink: Sink) -> None:
    sink.answers = {TO: "451 4.3.0 later", DAN: "451 4.3.0 later"}
    web.submit(TO, f"{UID}:mailer.php")
    web.submit(DAN, f"{OTHER}:mailer.php", OTHER)
    wait_until(lambda: len(web.listed()) == 2, what="both messages to be listed")
    web.penstock.restart()
    web.pause(SITE)
    expected = [(f"script:{OTHER}:mailer.php", 1, 0), (f"script:{UID}:mailer.php", 1, 1)]
    wait_until(lambda: sorted(web.listed()) == sorted(expected), what="the site's mail to be frozen")


def know_last_month(web: WebHost) -> None:
    """Thirty days in which every site, ours among them, wrote to one new person a day."""
    lines, now = [], time.time()
    for age, uid in itertools.product(range(30, 0, -1), range(UID, UID + 12)):
        stamp = datetime.fromtimestamp(now - age * 86400 + uid % 100, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
        key = f"ABCDE{age:02X}{uid - UID:02X}"
        lines += [
            f"{stamp} mx postfix/pickup[7]: {key}: uid={uid} from=<www@example.com>",
            f"{stamp} mx postfix/cleanup[8]: {key}: message-id=<{key}@mx.example.test>",
            f"{stamp} mx postfix/qmgr[9]: {key}: from=<www@example.com>, size=900, nrcpt=1 (queue active)",
            f"{stamp} mx postfix/smtp[10]: {key}: to=<visitor{age}.{uid}@example.net>, relay=mx.example.net"
            "[192.0.2.1]:25, delay=1, delays=0.1/0/0.4/0.5, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
            f"{stamp} mx postfix/qmgr[9]: {key}: removed",
        ]
    past = web.folder.path / "last-month.log"
    past.write_text("".join(f"{line}\n" for line in lines))
    web.penstock.terminate()
    web.penstock.cli("baseline", str(past), "--anew")
    web.penstock.start()


def test_a_letter_of_a_new_script_is_slowed_and_all_of_it_arrives(web: WebHost, sink: Sink) -> None:
    """Nobody looks after it: what became of the first recipients, by the log, lets the held rest go."""
    know_last_month(web)
    web.submit(TO, f"{OTHER}:a.php", OTHER)
    wait_until(lambda: web.penstock.cli("show", f"uid:{OTHER}")["week"][-1]["delivered"], what="an outcome")
    web.postfix.set(defer_transports="smtp")
    people = [f"member{n}@example.net" for n in range(40)]
    for each in people:
        web.submit(each, f"{UID}:news.php")
    held = wait_until(lambda: len(web.postfix.held()), what="held messages")
    assert 20 < held < 40
    web.postfix.set(defer_transports="")
    sink.wait_for(1 + len(people), 90)
    web.postfix.wait_empty()
    assert sink.deliveries() == Counter([TO, *people])
    assert web.show(f"script:{UID}:news.php")["standing"]["state"] == "open"
    assert web.hour(SITE) == len(people), "charged once, when it goes"


def test_a_hijacked_script_is_paused_and_the_rest_of_its_mail_waits(web: WebHost, sink: Sink) -> None:
    know_last_month(web)
    people = [f"victim{n}@example.net" for n in range(60)]
    sink.answers = dict.fromkeys(people[::4], "550 5.1.1 no such user")
    for each in people:
        web.submit(each, f"{UID}:x.php")
    script = f"script:{UID}:x.php"
    wait_until(lambda: web.show(script)["standing"]["state"] == "paused", what="a pause")
    wait_until(lambda: len(web.postfix.held()) == len(web.postfix.queue()), what="nothing under way")
    (incident,) = web.penstock.cli("incidents")["incidents"]
    assert incident["sender"] == script
    reached = sum(n for name, n in sink.deliveries().items() if name in people)
    assert reached <= 15 and len(web.postfix.held()) >= 40


def test_a_forged_header_names_nobody_else(web: WebHost, sink: Sink) -> None:
    """A script that calls sendmail itself writes another user's script into the header."""
    victim = f"script:{OTHER}:contact.php"
    web.pause(victim)
    web.submit(TO, f"{OTHER}:contact.php")
    sink.wait_for(1)
    assert web.hour(SITE) == 1 and web.hour(f"uid:{OTHER}") == 0
    assert f"not uid:{OTHER} with contact.php, as PHP's header has it" in str(web.show(SITE)["origin"])
    web.pause(SITE)
    web.submit(TO, f"{OTHER}:contact.php")
    wait_until(lambda: len(web.postfix.held()) == 1, what="the forger's message to be held")


def test_the_full_path_from_phps_log(web: WebHost, sink: Sink) -> None:
    path = f"{web.site()}/lib/mailer.php"
    web.php_says(path, TO)
    web.submit(TO, f"{UID}:mailer.php")
    sink.wait_for(1)
    shown = web.show(f"script:{path}")
    assert shown["parents"] == [SITE] and "PHP's mail.log" in str(shown["origin"])
    web.pause(f"script:{path}")
    web.php_says(path, CAROL)
    web.submit(CAROL, f"{UID}:mailer.php")
    web.php_says(f"{web.site()}/contact.php", DAN)
    web.submit(DAN, f"{UID}:contact.php")
    sink.wait_for(2)
    wait_until(lambda: len(web.postfix.held()) == 1, what="the paused script's message to be held")
    assert sink.deliveries() == Counter({TO: 1, DAN: 1})
    assert web.hour(f"script:{path}") == 1


@needs_python
def test_the_wrapper_tells_the_script_and_nothing_of_it_leaves(web: WebHost, sink: Sink) -> None:
    site = web.site()
    bad, good = f"{site}/mail.cgi", f"{site}/form.cgi"
    web.wrapped(TO, SCRIPT_FILENAME=bad, REQUEST_URI="/mail.cgi?secret=1", REMOTE_ADDR="192.0.2.66")
    (mail,) = sink.wait_for(1)
    for word in ("mail.cgi", "secret", "192.0.2.66", str(site)):
        assert word not in mail.content
    shown = web.show(f"script:{bad}")
    assert shown["parents"] == [SITE] and "the sendmail wrapper" in str(shown["origin"])
    web.pause(f"script:{bad}")
    web.wrapped(CAROL, SCRIPT_FILENAME=bad)
    web.wrapped(DAN, SCRIPT_FILENAME=good)
    sink.wait_for(2)
    wait_until(lambda: len(web.postfix.held()) == 1, what="the paused script's message to be held")
    assert sink.deliveries() == Counter({TO: 1, DAN: 1})


def test_a_wrapper_line_of_another_user_names_nobody(web: WebHost, sink: Sink) -> None:
    """Anybody can write to syslog: the kernel's user id must agree."""
    with web.syslog.file.open("a") as file:
        now = subprocess.check_output(["date", "+%b %e %H:%M:%S"], text=True).strip()
        file.write(f"{now} web1 penstock-sendmail[1]: uid={OTHER} script=/srv/victim/x.php\n")
    web.submit(TO, "")
    sink.wait_for(1)
    wait_until(lambda: web.hour(SITE) == 1, what="the user to be charged")
    assert web.hour("script:/srv/victim/x.php") == 0


def test_a_request_names_the_script_behind_a_message_without_any_header(web: WebHost, sink: Sink) -> None:
    access = web.folder.path / "access.log"
    access.touch()
    web.configure(
        f'[logs.web]\nfile = "{access}"\nkind = "access"\nroots = {{"www.example.com" = "{web.site()}"}}\n'
    )
    web.penstock.restart()
    web.submit(TO, f"{UID}:form.php")
    sink.wait_for(1)
    wait_until(lambda: web.hour(f"script:{UID}:form.php") == 1, what="the short name to be charged")
    now = subprocess.check_output(["date", "-u", "+%d/%b/%Y:%H:%M:%S +0000"], text=True).strip()
    with access.open("a") as file:
        file.write(f'www.example.com:443 192.0.2.9 - - [{now}] "POST /a/form.php HTTP/1.1" 200 5 "-" "x"\n')
    wait_until(lambda: log_lines(web, "web") == 1, what="the request to be read")
    web.submit(CAROL, f"{UID}:form.php")
    sink.wait_for(2)
    wait_until(lambda: web.hour(f"script:{web.site()}/a/form.php") == 1, what="the full path to be charged")


def log_lines(web: WebHost, name: str) -> int:
    """Lines read of a followed log."""
    (found,) = [log for log in web.penstock.cli("status")["logs"] if log["name"] == name]
    lines: int = found["lines"]
    return lines


@needs_php
def test_real_php(web: WebHost, sink: Sink) -> None:
    """mail() of two scripts with X-PHP-Originating-Script and mail.log; one of them is paused."""
    assert PHP is not None
    scripts = {}
    for name, to in (("mailer.php", TO), ("contact.php", CAROL)):
        scripts[name] = path = web.site() / name
        path.write_text(f"<?php exit(mail('{to}', 'Hi', \"Hello\\n\", 'From: www@example.com') ? 0 : 1);")
        os.chown(path, UID, UID)
    options = {
        "sendmail_path": f"{web.sendmail()} -t -i -f www@example.com",
        "mail.add_x_header": "1",
        "mail.log": str(web.php_log),
    }
    ini = [word for name, value in options.items() for word in ("-d", f"{name}={value}")]
    for path in scripts.values():
        assert web.run([PHP, *ini, str(path)], UID) == 0
    sink.wait_for(2)
    bad = f"script:{scripts['mailer.php']}"
    asked = ("show", bad, "--state", str(web.penstock.state))
    wait_until(lambda: web.penstock.run(*asked).returncode == 0, what="the log to name the script's path")
    shown = web.show(bad)
    assert shown["parents"] == [SITE] and "PHP's mail.log" in str(shown["origin"])
    web.pause(bad)
    for path in scripts.values():
        assert web.run([PHP, *ini, str(path)], UID) == 0
    sink.wait_for(3)
    wait_until(lambda: len(web.postfix.held()) == 1, what="the paused script's message to be held")
    assert sink.deliveries() == Counter({TO: 1, CAROL: 2})


def test_a_relay_tells_whose_mail_it_is(web: WebHost, sink: Sink, start_postfix: StartPostfix) -> None:
    """A web node's own Postfix hands on by SMTP: the user in its Received field is charged here."""
    asked = web.postfix_milter()
    hub = start_postfix(settings={"smtpd_milters": asked})
    node = start_postfix(settings={"relayhost": f"[127.0.0.1]:{hub.port}"})
    web.configure('[local]\nrelays = ["127.0.0.0/8"]\n')
    web.penstock.restart()
    web.postfix = node
    web.pause(SITE)
    web.submit(TO, "", OTHER)
    web.submit(CAROL, "")
    sink.wait_for(1)
    wait_until(lambda: len(hub.held()) == 1, what="the paused user's message to be held at the hub")
    assert sink.deliveries() == Counter({TO: 1})
    assert web.hour(f"uid:{OTHER}") == 1 and web.hour("ip:127.0.0.1") == 0
    assert "the Received line of the relay" in str(web.show(f"uid:{OTHER}")["origin"])
