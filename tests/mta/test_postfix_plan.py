"""What is missing in a configuration, by the real postconf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.mta.endpoint import Endpoint
from penstock.mta.postconf import Postfix, PostfixError
from penstock.mta.postfix import TRIAL_NOTE, Plan, Wish, plan, require_version

Write = Callable[..., Postfix]

ENTRY = (
    "check_policy_service { inet:127.0.0.1:10040, timeout=10s, default_action=DUNNO, "
    "policy_context=penstock/rcpt+eom }"
)
POLICY = f"penstock_policy = {ENTRY}\n"
SMTP = "smtp inet n - y - - smtpd\n"
SUBMISSION = "submission inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=yes\n"
OWN = SUBMISSION + " -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject\n"
CALLED = (
    SUBMISSION
    + " -o smtpd_recipient_restrictions=$penstock_policy,permit_sasl_authenticated,reject\n"
    + " -o smtpd_end_of_data_restrictions=$penstock_policy\n"
)
RCPT = "submission/inet/smtpd_recipient_restrictions"
END = "submission/inet/smtpd_end_of_data_restrictions"
SMARTHOST = Wish("smarthost")


def missing(postfix: Postfix, wish: Wish | None = None) -> Plan:
    return plan(postfix.read(), wish or Wish())


def edits(found: Plan) -> dict[str, str | None]:
    assert not found.problems
    return {edit.name: edit.value for edit in found.edits}


def carried_out(postfix: Postfix, found: Plan) -> Postfix:
    for edit in found.edits:
        postfix.postconf(*edit.arguments())
    return postfix


def test_submission_with_restrictions_of_its_own(write: Write) -> None:
    found = missing(write(SMTP + OWN))
    assert list(edits(found).items()) == [
        ("penstock_policy", ENTRY),
        (RCPT, "$penstock_policy,permit_sasl_authenticated,reject"),
        (END, "$penstock_policy"),
    ]
    assert found.places == ("submission/inet",)


def test_submission_that_inherits_gets_a_copy(write: Write) -> None:
    main = "smtpd_recipient_restrictions =\n permit_sasl_authenticated,\n # why\n reject\n"
    found = missing(write(SUBMISSION, main))
    assert edits(found)[RCPT] == "$penstock_policy,permit_sasl_authenticated,reject"
    assert "copy of main.cf's list" in found.edits[1].why


@pytest.mark.parametrize(
    ("own", "rest"), [("", ""), ("$mua_recipient_restrictions", ",$mua_recipient_restrictions")]
)
def test_submission_as_debian_has_it(write: Write, own: str, rest: str) -> None:
    postfix = write(
        SUBMISSION + f" -o smtpd_recipient_restrictions={own}\n", "smtpd_recipient_restrictions = reject\n"
    )
    assert edits(missing(postfix))[RCPT] == f"$penstock_policy{rest}"


def test_smtps_under_all_its_names_and_with_an_address(write: Write) -> None:
    master = "".join(
        f"{name} inet n - n - - smtpd\n" for name in ("465", "[::1]:submissions", "127.0.0.1:587")
    )
    assert missing(write(SMTP + master)).places == (
        "465/inet",
        "[::1]:submissions/inet",
        "127.0.0.1:587/inet",
    )


def test_another_port_with_logins_of_its_own_is_submission_too(write: Write) -> None:
    master = SMTP + SUBMISSION.replace("submission", "2525")
    assert missing(write(master)).places == ("2525/inet",)


def test_port_25_only_if_asked_for(write: Write) -> None:
    postfix = write(SMTP + OWN, "smtpd_sasl_auth_enable = yes\n")
    found = missing(postfix)
    assert found.places == ("submission/inet",)
    assert any("smtp/inet takes logins too" in note for note in found.notes)
    assert missing(postfix, Wish(also=("smtp",))).places == ("smtp/inet", "submission/inet")


def test_smtpd_behind_postscreen(write: Write) -> None:
    postfix = write("smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n")
    assert "smtpd/pass/smtpd_recipient_restrictions" in edits(missing(postfix, Wish(also=("smtpd",))))


def test_no_submission_service(write: Write) -> None:
    found = missing(write(SMTP))
    assert not found.edits and not found.done
    assert "no submission service" in found.problems[0] and "--for smarthost" in found.problems[0]


def test_a_service_that_is_not_there(write: Write) -> None:
    assert missing(write(OWN), Wish(also=("smpt",))).problems == (
        "master.cf has no SMTP server (smtpd) named smpt.",
    )


def test_set_up_already(write: Write) -> None:
    assert missing(write(CALLED, POLICY)).done


@pytest.mark.parametrize(
    "list_of_rcpt",
    [
        f"{ENTRY}, permit_sasl_authenticated, reject",
        f"reject_unknown_recipient_domain, {ENTRY}, permit",
        "$mine, permit_sasl_authenticated, reject",
    ],
)
def test_set_up_by_hand_without_the_macro(write: Write, list_of_rcpt: str) -> None:
    lists = f"smtpd_recipient_restrictions = {list_of_rcpt}\nsmtpd_end_of_data_restrictions = {ENTRY}\n"
    assert missing(write(SUBMISSION, f"mine = {ENTRY}\n{lists}")).done


def test_end_of_message_is_missing(write: Write) -> None:
    master = CALLED.replace(" -o smtpd_end_of_data_restrictions=$penstock_policy\n", "")
    assert edits(missing(write(master, POLICY))) == {END: "$penstock_policy"}


def test_placed_after_permit(write: Write) -> None:
    own = "permit_sasl_authenticated,$penstock_policy,reject"
    master = CALLED.replace("$penstock_policy,permit_sasl_authenticated,reject", own)
    found = missing(write(master, POLICY))
    assert edits(found) == {RCPT: "$penstock_policy,permit_sasl_authenticated,reject"}
    assert "only after permit_sasl_authenticated" in found.notes[0]


def test_the_macro_is_missing(write: Write) -> None:
    assert edits(missing(write(CALLED))) == {"penstock_policy": ENTRY}


def test_another_address_changes_the_macro_only(write: Write) -> None:
    found = missing(write(CALLED, POLICY), Wish(listen=Endpoint("127.0.0.1", 10041)))
    assert edits(found) == {"penstock_policy": ENTRY.replace("10040", "10041")}


def test_trial_begins_and_ends_in_the_macro(write: Write) -> None:
    found = missing(write(CALLED, POLICY), Wish(trial=True))
    assert edits(found) == {"penstock_policy": f"warn_if_reject {ENTRY}"} and TRIAL_NOTE in found.notes
    trial = write(CALLED, POLICY.replace("= check", "= warn_if_reject check"))
    assert missing(trial, Wish(trial=True)).done
    assert edits(missing(trial)) == {"penstock_policy": ENTRY}


def test_trial_written_by_hand_in_a_list_ends(write: Write) -> None:
    main = POLICY + "smtpd_recipient_restrictions = warn_if_reject $penstock_policy, reject\n"
    main += "smtpd_end_of_data_restrictions = $penstock_policy\n"
    found = missing(write(SMTP, main), SMARTHOST)
    assert edits(found) == {"smtpd_recipient_restrictions": "$penstock_policy, reject"}


def test_entry_without_default_action_is_replaced(write: Write) -> None:
    bare = "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:10040, permit_mynetworks\n"
    assert edits(missing(write(SMTP, bare), SMARTHOST)) == {
        "penstock_policy": ENTRY,
        "smtpd_recipient_restrictions": "$penstock_policy, permit_mynetworks",
        "smtpd_end_of_data_restrictions": "$penstock_policy",
    }


def test_smarthost_leaves_other_policy_services_alone(write: Write) -> None:
    greylist = "check_policy_service inet:127.0.0.1:10023, reject_unauth_destination"
    found = missing(write(SMTP, f"smtpd_recipient_restrictions = {greylist}\n"), SMARTHOST)
    assert edits(found)["smtpd_recipient_restrictions"] == f"$penstock_policy, {greylist}"


def test_smarthost_names_services_with_lists_of_their_own(write: Write) -> None:
    notes = missing(write(SMTP + OWN), SMARTHOST).notes
    assert any("submission/inet has restrictions of its own" in note for note in notes)


def test_smarthost_spares_the_way_back_from_a_filter(write: Write) -> None:
    back = "127.0.0.1:10026 inet n - n - - smtpd\n -o content_filter=\n"
    own = " -o smtpd_recipient_restrictions=permit_mynetworks,reject\n"
    main = "smtpd_recipient_restrictions = permit_mynetworks, reject\n"
    found = missing(write(SMTP + back + own, main), SMARTHOST)
    assert edits(found)["127.0.0.1:10026/inet/smtpd_end_of_data_restrictions"] == ""
    assert "127.0.0.1:10026/inet/smtpd_recipient_restrictions" not in edits(found)
    inherits = missing(write(SMTP + back, main), SMARTHOST)
    assert edits(inherits)["127.0.0.1:10026/inet/smtpd_recipient_restrictions"] == "permit_mynetworks,reject"
    assert missing(carried_out(write(SMTP + back, main), inherits), SMARTHOST).done


def test_restrictions_with_blanks_move_to_main_cf(write: Write) -> None:
    own = " -o { smtpd_recipient_restrictions = check_client_access inline:{a = OK fine}, reject }\n"
    postfix = write(SUBMISSION + own)
    found = missing(postfix)
    macro = "penstock_submission_inet_rcpt"
    assert edits(found)[macro] == "check_client_access inline:{a = OK fine}, reject"
    assert edits(found)[RCPT] == f"$penstock_policy,${macro}"
    assert missing(carried_out(postfix, found)).done
    assert not postfix.read().warnings


def test_chrooted_smtpd_cannot_see_a_socket_outside(write: Write, tmp_path: Path) -> None:
    postfix = write(OWN.replace("n - n - -", "n - y - -"))
    outside = missing(postfix, Wish(listen=Endpoint(path="/run/penstock/policy.sock")))
    assert "submission/inet runs chrooted" in outside.problems[0]
    inside = missing(postfix, Wish(listen=Endpoint(path=f"{tmp_path}/queue/penstock/policy.sock")))
    assert "{ unix:penstock/policy.sock, " in (edits(inside)["penstock_policy"] or "")


def test_braces_around_a_whole_list_are_named(write: Write) -> None:
    master = SUBMISSION + " -o smtpd_recipient_restrictions={permit,reject}\n"
    assert any("braces" in problem for problem in missing(write(master)).problems)


@pytest.mark.parametrize("version", ["2.11.3", "2.9", ""])
def test_old_postfix(version: str) -> None:
    with pytest.raises(PostfixError, match=r"before 3\.0"):
        require_version(version)


def test_broken_main_cf(write: Write) -> None:
    with pytest.raises(PostfixError, match="missing '='") as caught:
        write(OWN, "this is broken\n").read()
    assert "mend the line" in caught.value.hint


def test_no_main_cf(tmp_path: Path) -> None:
    with pytest.raises(PostfixError, match="No such file") as caught:
        Postfix(tmp_path).read()
    assert "--config-dir" in caught.value.hint


def test_no_postconf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.mta.postconf.SEARCH", str(tmp_path))
    with pytest.raises(PostfixError, match="postconf not found"):
        Postfix().read()
