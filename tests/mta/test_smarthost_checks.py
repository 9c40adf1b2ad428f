"""What the doctor says of a smarthost for professional customers, by the real postconf."""

from __future__ import annotations

import pytest

from mta.conftest import Write
from penstock.mta.endpoint import Endpoint
from penstock.mta.milters import OPTIONS
from penstock.mta.postfix_checks import examine
from penstock.mta.smarthost import Smarthost

ENTRY = f"penstock_milter_smarthost = {{ inet:127.0.0.1:10043, {OPTIONS} }}\n"
CHECKS = "".join(
    f"{name} = regexp:{{ {{/^X-Penstock-Tag[[:space:]]*:/ IGNORE}} }}\n"
    for name in ("smtp_header_checks", "smtp_nested_header_checks")
)
POOL = "milter_header_checks = regexp:{ {/^X-Penstock-Pool: best$$/ FILTER best:} }\n"
SERVICE = "2525 inet n - n - - smtpd\n -o smtpd_milters=$penstock_milter_smarthost\n"
BEST = "best unix - - n - - smtp\n"
OWN = "relay unix - - n - - smtp\n -o smtp_nested_header_checks=\n"
OTHER = CHECKS.replace("X-Penstock-Tag", "X-Other-Tag")
PLAIN = "2525 inet n - n - - smtpd\n"
POLICY = " -o smtpd_recipient_restrictions=$penstock_policy,reject\n"


@pytest.mark.parametrize(
    ("master", "main", "pools", "oks", "said"),
    [
        (SERVICE + BEST, ENTRY + CHECKS + POOL, True, [True], "2525/inet asks the milter"),
        (SERVICE, ENTRY + CHECKS, False, [True], "2525/inet asks the milter"),
        (PLAIN, CHECKS, False, [False], "No SMTP server asks the milter for professional customers"),
        (SERVICE, ENTRY, False, [True, False, False], "while our milter is away, tags leave"),
        (SERVICE, ENTRY + OTHER, False, [True, False, False], "lets X-Penstock-Tag pass"),
        (SERVICE + OWN, ENTRY + CHECKS, False, [True, False], "relay/unix: smtp_nested_header_checks lets"),
        (SERVICE, ENTRY + CHECKS, True, [True, False], "gives mail the transport of the pool best"),
        (SERVICE, ENTRY + CHECKS + POOL, True, [True, False], "has no transport best"),
        (
            SERVICE,
            ENTRY.replace("default_action=accept", "default_action=tempfail") + CHECKS,
            False,
            [True, False],
            "Postfix answers tempfail",
        ),
        (
            SERVICE + POLICY,
            ENTRY + CHECKS + "penstock_policy = check_policy_service inet:127.0.0.1:10040\n",
            False,
            [True, False],
            "its mail is counted twice",
        ),
    ],
)
def test_what_is_said(write: Write, master: str, main: str, pools: bool, oks: list[bool], said: str) -> None:
    postfix = write(master, main)
    wanted = Smarthost((Endpoint("127.0.0.1", 10043),), ("X-Penstock-Tag",), ("best",) if pools else ())
    checks = examine(postfix.folder, ["127.0.0.1:10040"], {}, wanted)
    found = [check for check in checks if check.name == "smarthost"]
    assert [check.ok for check in found] == oks
    assert said in found[-1].text
    assert "No SMTP server of Postfix asks us." not in [check.text for check in checks]
    assert any(check.name == "bypass" for check in checks) is (master == PLAIN)


def test_without_such_a_listener_nothing_is_said(write: Write) -> None:
    postfix = write(SERVICE, ENTRY)
    assert "smarthost" not in [check.name for check in examine(postfix.folder, ["127.0.0.1:10040"])]
