"""What a smarthost for professional customers lacks in a configuration, by the real postconf and postmap."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from mta.conftest import Write
from penstock.mta.endpoint import Endpoint
from penstock.mta.milters import OPTIONS
from penstock.mta.postconf import Postfix
from penstock.mta.postfix import Plan, Wish, plan
from penstock.mta.smarthost import Smarthost
from rig.base import free_port

WANTED = Smarthost((Endpoint("127.0.0.1", 10043),), ("X-Acme", "X-Penstock-Tag"), ("best",))
SERVICE = "submission inet n - n - - smtpd\n"
CLIENT = "relay unix - - n - - smtp\n"
BEST = "best unix - - n - - smtp\n"
ENTRY = f"penstock_milter_smarthost = {{ inet:127.0.0.1:10043, {OPTIONS} }}\n"
TAGS = "regexp:{ {/^(X-Acme|X-Penstock-Tag)[[:space:]]*:/ IGNORE} }"
POOLS = "regexp:{ {/^X-Penstock-Pool: best$$/ FILTER best:$relayhost} }"
BY_HAND = f"smtp_header_checks = {TAGS}\nsmtp_nested_header_checks = $smtp_header_checks\n"
ROUTE = "milter_header_checks = regexp:{ {/^X-Penstock-Pool: best$$/ FILTER other:} }\n"
CALLED = " -o smtpd_milters=$penstock_milter_smarthost\n"


def wish(wanted: Smarthost = WANTED, *services: str) -> Wish:
    return Wish("professional", also=services or ("submission",), smarthost=wanted)


def missing(postfix: Postfix, wished: Wish | None = None) -> Plan:
    return plan(postfix.read(), wished or wish())


def edits(found: Plan) -> dict[str, str | None]:
    assert not found.problems
    return {edit.name: edit.value for edit in found.edits}


def test_all_is_missing(write: Write) -> None:
    port = str(free_port())
    postfix = write(SERVICE)
    found = missing(postfix, wish(WANTED, port))
    assert list(edits(found)) == [
        "penstock_pools",
        "penstock_tags",
        "penstock_milter_smarthost",
        f"{port}/inet",
        "smtp_header_checks",
        "smtp_nested_header_checks",
        "milter_header_checks",
        "best/unix",
    ]
    assert edits(found)["penstock_tags"] == TAGS and edits(found)["penstock_pools"] == POOLS
    assert "smtp_bind_address" in found.notes[0]
    for edit in found.edits:
        postfix.postconf(*edit.arguments())
    assert missing(postfix, wish(WANTED, port)).done and not postfix.read().warnings
    assert missing(postfix, wish(WANTED, f"{port}/inet")).done


def test_set_up_by_hand_without_our_macros(write: Write) -> None:
    own = f" -o {{ smtpd_milters = {{ inet:127.0.0.1:10043, {OPTIONS} }} }}\n"
    main = BY_HAND + ROUTE.replace("other", "best")
    assert missing(write(SERVICE + own + BEST, main)).done


def test_a_pool_that_an_operator_routes_elsewhere_stays_there(write: Write) -> None:
    assert edits(missing(write(SERVICE + CALLED, ENTRY + BY_HAND + ROUTE))) == {}


def test_what_others_have_in_the_lists_stays_behind_ours(write: Write, tmp_path: Path) -> None:
    table = tmp_path / "own"
    table.write_text("/^X-Operator:/ IGNORE\n/^X-Penstock-Pool: other$/ FILTER other:\n")
    lists = ("smtp_header_checks", "smtp_nested_header_checks", "milter_header_checks")
    main = "".join(f"{name} = regexp:{table}, regexp:{table}.missing\n" for name in lists)
    found = edits(missing(write(SERVICE + CALLED + BEST, ENTRY + main)))
    behind = f"regexp:{table}, regexp:{table}.missing"
    assert found["smtp_header_checks"] == found["smtp_nested_header_checks"] == f"$penstock_tags, {behind}"
    assert found["milter_header_checks"] == f"$penstock_pools, {behind}"


def test_a_client_with_checks_of_its_own_takes_tags_out_as_well(write: Write) -> None:
    nested, macro = "smtp_nested_header_checks", "penstock_relay_unix_smtp_nested_header_checks"
    own = f" -o smtp_header_checks=regexp:/etc/own\n -o {{ {nested} = regexp:{{ {{/^Own:/ IGNORE}} }} }}\n"
    postfix = write(SERVICE + CALLED + CLIENT + own, ENTRY + BY_HAND + ROUTE)
    found = missing(postfix)
    assert edits(found) == {
        "penstock_tags": TAGS,
        "relay/unix/smtp_header_checks": "$penstock_tags,regexp:/etc/own",
        macro: "regexp:{ {/^Own:/ IGNORE} }",
        f"relay/unix/{nested}": f"$penstock_tags,${macro}",
    }
    for edit in found.edits:
        postfix.postconf(*edit.arguments())
    assert missing(postfix).done


@pytest.mark.parametrize(
    ("own", "main", "value"),
    [
        ("", "", "$penstock_milter_smarthost"),
        (" -o smtpd_milters=\n", "smtpd_milters = inet:127.0.0.1:1\n", "$penstock_milter_smarthost"),
        ("", "smtpd_milters = inet:127.0.0.1:1\n", "inet:127.0.0.1:1,$penstock_milter_smarthost"),
        (
            " -o smtpd_milters=inet:127.0.0.1:10043,inet:127.0.0.1:1\n",
            "",
            "inet:127.0.0.1:1,$penstock_milter_smarthost",
        ),
        (
            "",
            "penstock_milter_smtp = inet:127.0.0.1:10042\nsmtpd_milters = $penstock_milter_smtp, unix:a\n",
            "unix:a,$penstock_milter_smarthost",
        ),
        (
            "",
            "smtpd_milters = { unix:a, default_action=accept }\n",
            "$penstock_submission_inet_milters,$penstock_milter_smarthost",
        ),
    ],
)
def test_milters_of_the_service(write: Write, own: str, main: str, value: str) -> None:
    found = edits(missing(write(SERVICE + own + BEST, BY_HAND + ROUTE + main)))
    assert found["submission/inet/smtpd_milters"] == value
    assert found["penstock_milter_smarthost"] == ENTRY.partition(" = ")[2].strip()


def test_the_policy_service_is_not_asked_beside_the_milter(write: Write) -> None:
    asks = "check_policy_service inet:127.0.0.1:10040"
    main = ENTRY + BY_HAND + ROUTE
    inherits = main + f"smtpd_recipient_restrictions = {asks}, permit_mynetworks, reject\n"
    name = "submission/inet/smtpd_recipient_restrictions"
    assert edits(missing(write(SERVICE + CALLED, inherits))) == {name: "permit_mynetworks,reject"}
    hidden = main + f"mine = {asks}\nsmtpd_recipient_restrictions = $mine, reject\n"
    (problem,) = missing(write(SERVICE + CALLED, hidden)).problems
    assert "a macro in smtpd_recipient_restrictions asks our policy service" in problem


def test_another_run_leaves_the_service_alone(write: Write) -> None:
    sasl = " -o smtpd_sasl_auth_enable=yes\n"
    postfix = write(SERVICE + sasl + "2525 inet n - n - - smtpd\n" + sasl + CALLED, ENTRY)
    found = plan(postfix.read(), Wish())
    assert found.places == ("submission/inet",) and not any("2525" in note for note in found.notes)
    relayed = edits(plan(postfix.read(), Wish("smarthost")))
    assert relayed["2525/inet/smtpd_end_of_data_restrictions"] == ""


def test_older_than_tables_in_main_cf(write: Write) -> None:
    config = replace(write(SERVICE + CALLED, ENTRY + "relayhost = [mx.example]\n").read(), version="3.5.25")
    tags, pools = plan(config, wish()).problems
    assert "/^(X-Acme|X-Penstock-Tag)[[:space:]]*:/ IGNORE and put it first in smtp_header_checks and" in tags
    assert "/^X-Penstock-Pool: best$/ FILTER best:[mx.example] and put it first in milter_header" in pools
    config = replace(write(SERVICE + CALLED + BEST, ENTRY + BY_HAND + ROUTE).read(), version="3.5.25")
    assert plan(config, wish()).done


@pytest.mark.parametrize(
    ("master", "main", "wanted", "said"),
    [
        (SERVICE, "", Smarthost(), "no [listen] milter_smarthost"),
        (SERVICE, "", replace(WANTED, headers=()), "no [professional] customers"),
        ("smtp inet n - n - - smtpd\n", "", WANTED, "no SMTP server (smtpd) named submission"),
        ("submission inet n - n - - postscreen\n", "", WANTED, "no SMTP server (smtpd) named submission"),
        (SERVICE, "receive_override_options = no_milters\n", WANTED, "asks no milter at all"),
        (
            SERVICE.replace("n - n", "n - y"),
            "",
            replace(WANTED, listening=(Endpoint(path="/run/x.sock"),)),
            "submission/inet runs chrooted",
        ),
    ],
)
def test_problems(write: Write, master: str, main: str, wanted: Smarthost, said: str) -> None:
    (problem,) = missing(write(master, main), wish(wanted)).problems
    assert said in problem


@pytest.mark.parametrize("name", ["99999", "25x", "-P", "$x", "unix:/x", "", "0"])
def test_no_such_port_can_be_made(write: Write, name: str) -> None:
    found = missing(write(SERVICE), wish(WANTED, name))
    assert len(found.problems) == 1 and not any("inet" in edit.name for edit in found.edits)


def test_notes(write: Write) -> None:
    nets = tuple(map(ip_network, ("192.0.2.0/28", "198.51.100.0/29", "2001:db8::/64")))
    master = SERVICE + " -o content_filter=scan:[127.0.0.1]:10024\n" + CALLED + BEST
    notes = missing(write(master, ENTRY + BY_HAND + ROUTE), wish(replace(WANTED, networks=nets))).notes
    assert [note.split()[0] for note in notes] == ["submission/inet:", "198.51.100.0/29", "2001:db8::/64"]
    tables = "mynetworks = 127.0.0.0/8, cidr:/etc/x\n"
    assert (
        len(missing(write(master, ENTRY + BY_HAND + tables), wish(replace(WANTED, networks=nets))).notes) == 1
    )
