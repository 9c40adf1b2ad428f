"""Whom to believe about a local submission."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.names import parse_sender
from penstock.core.witness import NAMES, NOBODY_KNOWN, REASONS, Claim, Origin, Witness, settle

KERNEL = Claim(Witness.KERNEL, "1033")
HEADER = Claim(Witness.HEADER, "1033", "mailer.php")
LOG = Claim(Witness.MAIL_LOG, "", "/srv/a/mailer.php")
WRAPPER = Claim(Witness.WRAPPER, "1033", "/srv/a/index.php")
FORGED = Claim(Witness.HEADER, "1044", "contact.php")


def key_of(*claims: Claim, shared: frozenset[str] = frozenset()) -> tuple[str, str]:
    origin = settle(claims, shared)
    return origin.key, origin.under


@pytest.mark.parametrize(
    ("claims", "key", "under"),
    [
        ([KERNEL], "uid:1033", ""),
        ([HEADER], "script:1033:mailer.php", "uid:1033"),
        ([Claim(Witness.HEADER, "1033")], "uid:1033", ""),
        ([KERNEL, HEADER], "script:1033:mailer.php", "uid:1033"),
        ([HEADER, LOG, KERNEL], "script:/srv/a/mailer.php", "uid:1033"),
        ([WRAPPER, LOG, KERNEL], "script:/srv/a/mailer.php", "uid:1033"),
        ([WRAPPER, HEADER], "script:/srv/a/index.php", "uid:1033"),
        ([KERNEL, FORGED], "uid:1033", ""),
        ([KERNEL, FORGED, LOG], "script:/srv/a/mailer.php", "uid:1033"),
        ([LOG], "script:/srv/a/mailer.php", ""),
        ([Claim(Witness.RELAY, "www-data"), FORGED], "uid:www-data", ""),
        ([KERNEL, Claim(Witness.REQUEST, "", "/srv/a/x.php")], "script:/srv/a/x.php", "uid:1033"),
    ],
)
def test_the_hardest_to_forge_is_believed(claims: list[Claim], key: str, under: str) -> None:
    assert key_of(*claims) == (key, under)
    assert key_of(*reversed(claims)) == (key, under), "in whatever order they speak"


def test_a_shared_user_tells_nothing() -> None:
    """mod_php: all scripts run as www-data, so PHP's header tells whose file it is."""
    web = Claim(Witness.KERNEL, "33")
    shared = frozenset({"33"})
    assert key_of(web, HEADER, shared=shared) == ("script:1033:mailer.php", "uid:1033")
    assert key_of(web, HEADER, LOG, shared=shared) == ("script:/srv/a/mailer.php", "uid:1033")
    assert key_of(web, LOG, shared=shared) == ("script:/srv/a/mailer.php", "")
    assert key_of(web, shared=shared) == ("uid:33", "")
    assert "not" not in settle([web, HEADER], shared).why


def test_nobody() -> None:
    assert settle([]) == NOBODY_KNOWN == Origin("", "", "")


def test_a_sentence_says_who_was_believed_and_who_was_not() -> None:
    assert settle([KERNEL, LOG, HEADER]).why == (
        "script:/srv/a/mailer.php: uid:1033 by the mail log (the kernel told the MTA who handed it in), "
        "the script by PHP's mail.log (PHP writes it before it mails; a script can add lines, but not remove "
        "its own)"
    )
    assert settle([KERNEL, LOG, FORGED]).why.endswith(
        "; not uid:1044 with contact.php, as PHP's header has it (whoever calls sendmail himself writes it "
        "as he likes)"
    )
    assert "; not /srv/a/index.php, as the sendmail wrapper has it" in settle([KERNEL, LOG, WRAPPER]).why


def test_every_witness_has_a_name_and_a_reason() -> None:
    assert set(NAMES) == set(REASONS) == set(Witness)


CLAIMS = st.builds(
    Claim, st.sampled_from(Witness), st.text(max_size=300), st.text(max_size=300) | st.just("/a/b.php")
)


@given(st.lists(CLAIMS, max_size=6))
def test_whatever_is_claimed_gives_a_key_that_can_be_typed(claims: list[Claim]) -> None:
    origin = settle(claims)
    kind, _, name = origin.key.partition(":")
    assert bool(origin.key) == any(claim.user or claim.script for claim in claims)
    assert origin.key.isprintable() and len(name) <= 256
    if kind == "script" and name.strip() == name and name:
        assert parse_sender(origin.key) == origin.key
