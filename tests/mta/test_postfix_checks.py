"""What the doctor sees in a configuration, by the real postconf."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.mta.checks import Check
from penstock.mta.postconf import Postfix
from penstock.mta.postfix_checks import examine
from rig.base import Folder

Write = Callable[..., Postfix]

HERE = "127.0.0.1:10040"
OPTIONS = "timeout=10s, default_action=DUNNO, policy_context=penstock/rcpt+eom"
ENTRY = f"check_policy_service {{ inet:127.0.0.1:10040, {OPTIONS} }}"
SMTPD = "smtp inet n - n - - smtpd\n"
RCPT = f"smtpd_recipient_restrictions = {ENTRY}, permit_mynetworks, reject\n"
END = f"smtpd_end_of_data_restrictions = {ENTRY}\n"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that other accounts can enter."""
    folder = Folder("socket")
    yield folder.path
    folder.remove()


def bad(found: list[Check]) -> set[str]:
    return {check.name for check in found if check.ok is False}


def known(found: list[Check]) -> set[str]:
    return {check.name for check in found if check.ok is None}


@pytest.fixture
def look(write: Write) -> Callable[..., list[Check]]:
    """Writes a configuration and examines it."""

    def look(main: str, master: str = SMTPD, addresses: tuple[str, ...] = (HERE,)) -> list[Check]:
        return examine(write(master, main).chosen, addresses)

    return look


Look = Callable[..., list[Check]]


def test_all_is_well(look: Look) -> None:
    found = look(RCPT + END)
    assert not bad(found) and known(found) == {"local"}
    good = {check.name for check in found if check.ok}
    assert good == {"postfix", "asks", "placement", "same-text", "fail-open", "context", "address"}
    assert any("asks us at RCPT, END-OF-MESSAGE." in check.text for check in found)


def test_by_the_macro_on_a_submission_service(look: Look) -> None:
    lists = (
        "smtpd_recipient_restrictions=$penstock_policy,permit",
        "smtpd_end_of_data_restrictions=$penstock_policy",
    )
    master = "submission inet n - n - - smtpd\n" + "".join(f" -o {each}\n" for each in lists)
    assert not bad(look(f"penstock_policy = {ENTRY}\n", master))


def test_nobody_asks(look: Look) -> None:
    found = look("")
    assert bad(found) == {"asks"} and "bypass" in known(found)


def test_no_smtpd(look: Look) -> None:
    assert bad(look("", "pickup unix n - n 60 1 pickup\n")) == {"asks"}


@pytest.mark.parametrize(("lists", "said"), [(RCPT, "END-OF-MESSAGE"), (END, "RCPT")])
def test_a_stage_is_missing(look: Look, lists: str, said: str) -> None:
    found = look(lists)
    assert "stages" in bad(found)
    assert any(f"does not ask at {said}" in check.text for check in found)


def test_context_promises_what_is_not_asked(look: Look) -> None:
    assert "context" in bad(look(RCPT))


@pytest.mark.parametrize(
    "word", ["permit_mynetworks", "permit_sasl_authenticated", "reject_unauth_destination"]
)
def test_placed_too_late(look: Look, word: str) -> None:
    found = look(RCPT.replace("= ", f"= {word}, ", 1) + END)
    assert bad(found) == {"placement"}
    assert any(f"has {word} before our entry" in check.text for check in found)


def test_a_table_before_us_may_permit(look: Look) -> None:
    found = look(RCPT.replace("= ", "= check_client_access static:DUNNO, ", 1) + END)
    assert not bad(found) and "placement" in known(found)


@pytest.mark.parametrize("option", ["default_action=DUNNO, ", "timeout=10s, default_action=DUNNO, "])
def test_mail_would_stop_with_us(look: Look, option: str) -> None:
    assert bad(look((RCPT + END).replace(option, ""))) == {"fail-open"}


def test_default_action_for_all_policy_services(look: Look) -> None:
    main = (RCPT + END).replace("default_action=DUNNO, ", "")
    assert not bad(look(main + "smtpd_policy_service_default_action = DUNNO\n"))


def test_try_limit_of_one(look: Look) -> None:
    assert bad(look((RCPT + END).replace("timeout=10s", "try_limit=1"))) == {"fail-open"}


def test_texts_differ(look: Look) -> None:
    assert bad(look(RCPT + END.replace("timeout=10s, ", ""))) == {"same-text"}


def test_no_context(look: Look) -> None:
    found = look((RCPT + END).replace(", policy_context=penstock/rcpt+eom", ""))
    assert not bad(found) and "context" in known(found)


def test_another_address(look: Look) -> None:
    found = look(RCPT + END, addresses=("127.0.0.1:10041",))
    assert bad(found) == {"address"}
    assert not bad(look(RCPT + END, addresses=("unix:/run/other.sock", "0.0.0.0:10040")))


def test_trial(look: Look) -> None:
    found = look((RCPT + END).replace("= check", "= warn_if_reject check"))
    assert not bad(found) and "trial" in known(found)


def test_asked_twice_and_in_the_wrong_list(look: Look) -> None:
    main = RCPT.replace("permit_mynetworks", f"{ENTRY}, permit_mynetworks") + END
    assert any("asks us 2 times" in check.text for check in look(main))
    found = look(f"smtpd_relay_restrictions = {ENTRY}, permit_mynetworks, reject\n" + END)
    assert not bad(found) and any("not its place" in check.text for check in found)


def test_logins_that_nobody_asks_about(look: Look) -> None:
    own = "submission inet n - n - - smtpd -o smtpd_recipient_restrictions=permit,reject"
    silent = f"{SMTPD}{own} -o smtpd_end_of_data_restrictions="
    assert "bypass" not in bad(look(RCPT + END, f"{silent}\n"))
    found = look(RCPT + END, f"{silent} -o smtpd_sasl_auth_enable=yes\n")
    assert bad(found) == {"bypass"}
    assert any("penstock setup postfix --service submission" in check.hint for check in found)


def test_way_back_from_a_filter(look: Look) -> None:
    back = "127.0.0.1:10026 inet n - n - - smtpd -o content_filter="
    assert bad(look(RCPT + END, f"{SMTPD}{back}\n")) == {"reinjection"}
    spared = f"{back} -o smtpd_recipient_restrictions=permit -o smtpd_end_of_data_restrictions="
    assert not bad(look(RCPT + END, f"{SMTPD}{spared}\n"))


def test_delay_reject_and_qmqpd_and_local_mail(look: Look) -> None:
    main = "smtpd_delay_reject = no\nauthorized_submit_users = !www-data, static:all\n"
    found = look(RCPT + END + main, SMTPD + "628 inet n - n - - qmqpd\n")
    assert known(found) == {"delay-reject", "bypass", "local"}
    assert any("who may: !www-data, static:all" in check.text for check in found)


def test_broken_main_cf(look: Look) -> None:
    found = look("this is broken\n")
    assert [check.name for check in found] == ["postfix"] and "missing '='" in found[0].text


def by_socket(path: str) -> str:
    return (RCPT + END).replace("inet:127.0.0.1:10040", f"unix:{path}")


def test_socket_out_of_the_chroot(look: Look) -> None:
    found = look(by_socket("/run/penstock.sock"), "smtp inet n - y - - smtpd\n", ("unix:/run/penstock.sock",))
    assert bad(found) == {"socket"} and any("runs chrooted" in check.text for check in found)


def test_socket_is_missing(look: Look, tmp_path: Path) -> None:
    path = f"{tmp_path}/queue/p.sock"
    assert bad(look(by_socket("p.sock"), addresses=(f"unix:{path}",))) == {"socket"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a socket of another account")
def test_socket_and_the_rights_of_postfix(look: Look, shared: Path) -> None:
    path = shared / "p.sock"
    main, addresses = "mail_owner = nobody\n" + by_socket(str(path)), (f"unix:{path}",)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o666)
        assert not bad(look(main, addresses=addresses))
        path.chmod(0o600)
        found = look(main, addresses=addresses)
        assert bad(found) == {"socket"} and any(f"{path} is closed to it" in check.text for check in found)
        path.chmod(0o666)
        shared.chmod(0o700)
        assert any(f"{shared} is closed" in check.text for check in look(main, addresses=addresses))


def test_what_is_no_socket(look: Look, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    found = look(by_socket(str(path)), addresses=(f"unix:{path}",))
    assert bad(found) == {"socket"} and any("is no socket" in check.text for check in found)
