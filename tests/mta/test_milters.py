"""Our milter in Postfix's lists, by the real postconf: what is missing, what the doctor sees."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.mta.checks import Check
from penstock.mta.endpoint import Endpoint
from penstock.mta.milters import OPTIONS
from penstock.mta.postconf import Postfix
from penstock.mta.postfix import Plan, Wish, plan
from penstock.mta.postfix_checks import examine
from rig.base import Folder

Write = Callable[..., Postfix]

SUBMISSION = "submission inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=yes\n"
CLEANUP = "cleanup unix n - {} - 0 cleanup\n"
TCP = Endpoint("127.0.0.1", 10041)
SMTP = Endpoint("127.0.0.1", 10042)
ENTRY = f"{{ inet:127.0.0.1:10041, {OPTIONS} }}"
OURS = f"penstock_milter = {ENTRY}\nnon_smtpd_milters = $penstock_milter\n"


def missing(postfix: Postfix, milter: Endpoint | None = TCP, smtp: Endpoint | None = None) -> Plan:
    return plan(postfix.read(), replace(Wish(), milter=milter, milter_smtp=smtp))


def milter_edits(found: Plan) -> dict[str, str | None]:
    return {edit.name: edit.value for edit in found.edits if "milter" in edit.name}


def test_without_the_option_no_milter_is_touched(write: Write) -> None:
    found = missing(write(SUBMISSION, "non_smtpd_milters = inet:127.0.0.1:8891\n"), None)
    assert milter_edits(found) == {} and any("sendmail" in note for note in found.notes)


def test_local_mail_is_asked_about_beside_the_policy_service(write: Write) -> None:
    found = missing(write(SUBMISSION, "non_smtpd_milters = inet:127.0.0.1:8891, unix:dkim/sock\n"))
    assert milter_edits(found) == {
        "penstock_milter": ENTRY,
        "non_smtpd_milters": "$penstock_milter, inet:127.0.0.1:8891, unix:dkim/sock",
    }
    assert any(edit.name == "penstock_policy" for edit in found.edits)
    assert not found.problems and not any("sendmail" in note for note in found.notes)


def test_the_milter_for_clients_is_asked_instead_of_the_policy_service(write: Write) -> None:
    found = missing(write(SUBMISSION), smtp=SMTP)
    assert {edit.name for edit in found.edits} == {
        "penstock_milter",
        "non_smtpd_milters",
        "penstock_milter_smtp",
        "smtpd_milters",
    }
    assert not found.problems


def test_who_asks_the_policy_service_already_would_be_counted_twice(write: Write) -> None:
    asks = " -o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:10040,reject\n"
    (problem,) = missing(write(SUBMISSION + asks), None, SMTP).problems
    assert problem.startswith("submission/inet asks our policy service already")


def test_a_service_with_milters_of_its_own_is_named(write: Write) -> None:
    found = missing(write(SUBMISSION + " -o smtpd_milters=\n"), None, SMTP)
    assert any(note.startswith("submission/inet has milters of its own") for note in found.notes)


def test_a_second_run_finds_nothing(write: Write) -> None:
    assert milter_edits(missing(write(SUBMISSION, OURS))) == {}


def test_an_entry_without_the_macro_is_replaced(write: Write) -> None:
    main = "non_smtpd_milters = inet:localhost:10041, inet:localhost:8891\n"
    assert milter_edits(missing(write(SUBMISSION, main)))["non_smtpd_milters"] == (
        "$penstock_milter, inet:localhost:8891"
    )


def test_behind_a_spam_filter_to_see_its_score(write: Write) -> None:
    def last(main: str) -> str | None:
        config = write(SUBMISSION, f"penstock_milter = {ENTRY}\nnon_smtpd_milters = {main}\n").read()
        wish = replace(Wish(), milter=TCP, last=True)
        return milter_edits(plan(config, wish)).get("non_smtpd_milters")

    assert last("") == "$penstock_milter"
    assert last("inet:localhost:1, unix:a") == "inet:localhost:1, unix:a, $penstock_milter"
    assert last("$penstock_milter, unix:a") == "unix:a, $penstock_milter"
    assert last("unix:a, $penstock_milter") is None


def test_where_it_stands_it_stays(write: Write) -> None:
    postfix = write(SUBMISSION, OURS.replace("= $penstock", "= unix:a, $penstock"))
    assert milter_edits(missing(postfix)) == {}


@pytest.mark.parametrize("chroot", ["y", "n"])
def test_a_socket_outside_of_the_chroot(write: Write, chroot: str) -> None:
    found = missing(write(SUBMISSION + CLEANUP.format(chroot)), Endpoint(path="/run/penstock/milter.sock"))
    assert bool(found.problems) == (chroot == "y")
    if found.problems:
        assert found.problems[0].startswith("cleanup runs chrooted")


def test_a_socket_in_the_queue_directory_is_named_relative_to_it(write: Write) -> None:
    postfix = write(SUBMISSION + CLEANUP.format("y"))
    path = f"{postfix.read().queue}/penstock/milter.sock"
    found = missing(postfix, Endpoint(path=path))
    assert not found.problems
    assert milter_edits(found)["penstock_milter"] == f"{{ unix:penstock/milter.sock, {OPTIONS} }}"


# --- the doctor -------------------------------------------------------------------------------


def milters(postfix: Postfix, **listening: bool) -> list[Check]:
    """Checks about milters; ``listening`` by port: for SMTP clients or not."""
    addresses = {f"127.0.0.1:{port.strip('_')}": smtp for port, smtp in listening.items()}
    return [check for check in examine(postfix.folder, [], addresses) if check.name == "milter"]


def test_no_milter_no_word(write: Write) -> None:
    assert milters(write(SUBMISSION)) == []


def test_a_milter_that_nobody_asks(write: Write) -> None:
    (check,) = milters(write(SUBMISSION), _10041=False)
    assert check.ok is False and "non_smtpd_milters does not ask" in check.text


def test_a_milter_that_is_asked_as_it_should_be(write: Write) -> None:
    postfix = write(SUBMISSION, OURS)
    assert [check.ok for check in milters(postfix, _10041=False)] == [True, True]
    assert "local" not in [check.name for check in examine(postfix.folder, [], {"127.0.0.1:10041": False})]


@pytest.mark.parametrize(
    ("main", "ok"),
    [
        ("non_smtpd_milters = inet:127.0.0.1:10041\n", False),
        ("non_smtpd_milters = inet:127.0.0.1:10041\nmilter_default_action = accept\n", True),
        ("non_smtpd_milters = { inet:127.0.0.1:10041, default_action=tempfail }\n", False),
        ("non_smtpd_milters = {inet:127.0.0.1:10041,default_action=accept}\n", True),
        ("non_smtpd_milters = unix:x, { inet:127.0.0.1:10041 , default_action = accept }\n", True),
    ],
)
def test_mail_must_go_on_without_us(write: Write, main: str, ok: bool) -> None:
    found = milters(write(SUBMISSION, main), _10041=False)
    assert [check.ok for check in found] == [True, ok]


@pytest.mark.parametrize(("value", "oks"), [("{}, unix:a", [True, True, None]), ("unix:a, {}", [True, True])])
def test_a_spam_filter_comes_before_us_where_its_score_counts(
    write: Write, value: str, oks: list[bool | None]
) -> None:
    main = OURS.replace("= $penstock_milter", f"= {value.format('$penstock_milter')}")
    postfix, listening = write(SUBMISSION, main), {"127.0.0.1:10041": False}
    found = examine(postfix.folder, [], listening, scores=("non_smtpd_milters",))
    said = [check for check in found if check.name == "milter"]
    assert [check.ok for check in said] == oks
    assert oks[-1] or "stands before unix:a" in said[-1].text
    assert None not in [
        check.ok for check in examine(postfix.folder, [], listening) if check.name == "milter"
    ]


def test_clients_that_are_asked_about_twice(write: Write) -> None:
    entry = "check_policy_service,{inet:127.0.0.1:10040,policy_context=penstock/rcpt+eom}"
    asks = f" -o smtpd_recipient_restrictions={entry},reject\n"
    found = milters(write(SUBMISSION + asks, "smtpd_milters = inet:127.0.0.1:10042\n"), _10042=True)
    assert any("counted twice" in check.text and check.ok is False for check in found)


@pytest.mark.skipif(os.geteuid() != 0, reason="the socket's folder is made as another account would see it")
@pytest.mark.parametrize("mode", [0o666, 0o600])
def test_a_socket_that_postfix_may_not_open(write: Write, mode: int) -> None:
    folder = Folder("milter")
    path = Path(folder.path, "sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(mode)
        postfix = write(SUBMISSION, f"non_smtpd_milters = {{ unix:{path}, default_action=accept }}\n")
        found = [c for c in examine(postfix.folder, [], {f"unix:{path}": False}) if c.name == "socket"]
        assert [check.ok for check in found] == [mode == 0o666]
    folder.remove()
