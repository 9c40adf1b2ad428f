"""Who sent a local submission, as far as anybody saw it: witnesses, and whom to believe when they differ.

Theory: each witness is as good as it is hard to forge by the script that is to be named. For the user id
and for the script the hardest one speaks; what a weaker one says otherwise is overruled, and said so.
Cost: a handful of comparisons per message. Victims: within one user id a script that calls sendmail itself
can pass for another one (never for another user's): then a pause has to go to the user id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from penstock.core.names import bounded


class Witness(IntEnum):
    """Who says it; the hardest to forge comes last."""

    REQUEST = 1
    HEADER = 2
    WRAPPER = 3
    RELAY = 4
    MAIL_LOG = 5
    KERNEL = 6


NAMES: Final = {
    Witness.REQUEST: "a POST in the web server's log",
    Witness.HEADER: "PHP's header",
    Witness.WRAPPER: "the sendmail wrapper",
    Witness.RELAY: "the Received line of the relay",
    Witness.MAIL_LOG: "PHP's mail.log",
    Witness.KERNEL: "the mail log",
}

REASONS: Final = {
    Witness.REQUEST: "shows that the script ran then, not that it mailed",
    Witness.HEADER: "whoever calls sendmail himself writes it as he likes",
    Witness.WRAPPER: "its process belongs to the script, which can change what it sees, or pass it by",
    Witness.RELAY: "another host's word, true as long as only its MTA may connect from there",
    Witness.MAIL_LOG: "PHP writes it before it mails; a script can add lines, but not remove its own",
    Witness.KERNEL: "the kernel told the MTA who handed it in",
}
"""How hard it is to forge, as half a sentence."""


class Claim(NamedTuple):
    """What one witness says: ``user`` (a user id, or a name where the MTA logs names), ``script`` (a full
    path, or a bare file name); "" for what it does not know."""

    witness: Witness
    user: str = ""
    script: str = ""


class Origin(NamedTuple):
    """Whom a message is charged to: ``key`` (``script:…`` or ``uid:…``, "" for nobody known), ``under``: the
    key of the script's user, "" when there is none; ``why``: a sentence for a person."""

    key: str = ""
    under: str = ""
    why: str = ""


NOBODY_KNOWN: Final = Origin()


def settle(claims: Iterable[Claim], shared: Collection[str] = frozenset()) -> Origin:
    """Believe the hardest witness of each fact. ``shared``: users as whom the scripts of many customers run
    (a web server's own): they tell nothing where a weaker witness knows better."""
    ranked = sorted(claims, key=lambda claim: -claim.witness)
    user = hardest_user(ranked, shared)
    script = next((claim for claim in ranked if claim.script and believed(claim, user, shared)), None)
    if user is None and script is None:
        return NOBODY_KNOWN
    under = "uid:" + bounded(user.user) if user is not None else ""
    key = under if script is None else script_key(script.script, user.user if user is not None else "")
    why = _told(key, under, user, script) + _overruled(ranked, user, script, shared)
    own = script is not None and user is not None and user.user not in shared
    return Origin(key, under if own else "", why)


def hardest_user(claims: Iterable[Claim], shared: Collection[str]) -> Claim | None:
    """The claim of the user that is to be believed."""
    users = sorted((claim for claim in claims if claim.user), key=lambda claim: -claim.witness)
    return next((claim for claim in users if claim.user not in shared), users[0] if users else None)


def believed(claim: Claim, user: Claim | None, shared: Collection[str]) -> bool:
    """Whether a witness's script counts: not if it is wrong about the user already."""
    return user is None or not claim.user or claim.user == user.user or claim.user in shared


def script_key(script: str, user: str) -> str:
    """A full path names itself; a bare file name needs its user: ``script:1033:mailer.php``."""
    return "script:" + bounded(script if script.startswith("/") or not user else f"{user}:{script}")


def base_of(script: str) -> str:
    """The file name of a path."""
    return script.rpartition("/")[2]


def _told(key: str, under: str, user: Claim | None, script: Claim | None) -> str:
    told = []
    if user is not None:
        told.append(f"{under} by {NAMES[user.witness]} ({REASONS[user.witness]})")
    if script is not None:
        told.append(f"the script by {NAMES[script.witness]} ({REASONS[script.witness]})")
    return f"{key}: {', '.join(told)}"


def _overruled(ranked: list[Claim], user: Claim | None, script: Claim | None, shared: Collection[str]) -> str:
    """What others have said, and why they are not believed."""
    others = ((claim.witness, _otherwise(claim, user, script, shared)) for claim in ranked)
    return "".join(
        f"; not {other}, as {NAMES[witness]} has it ({REASONS[witness]})"
        for witness, other in others
        if other
    )


def _otherwise(claim: Claim, user: Claim | None, script: Claim | None, shared: Collection[str]) -> str:
    """What a witness says that another one, harder to forge, says differently."""
    if not believed(claim, user, shared):
        return f"uid:{claim.user}" + (f" with {claim.script}" if claim.script else "")
    if script is not None and claim.script and base_of(claim.script) != base_of(script.script):
        return claim.script
    return ""
