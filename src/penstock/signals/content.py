"""The same text, or links to one domain, leave from several unrelated senders, to strangers.

Theory: who has many stolen accounts sends one mail through them. Honest senders say the same in other ways:
what many forward goes to whom they know, a software's invoice or a mail program's answer is old
(engine/fingerprints.py). Links are weaker: who writes each mail anew leads to one shop, but many praise one.
Cost: in engine/fingerprints.py; only where content is shown to the milter.
Victims: branches of one firm that send a new letter to strangers on one day, unless the directory says that
they are one customer; web sites on the day after their software has learned a new letter.
"""

from __future__ import annotations

from penstock.signals.view import View

GROUP = "campaign"
EACH = 1.6
MOST = 5.0
EACH_LINK = 0.8
MOST_LINK = 2.5
TAINTED = 4.0
OF_SCRIPT = 0.5
"""Web sites share their software, and what that writes."""


def weigh(view: View) -> tuple[float, str] | None:
    """Who else sends what this sender sends."""
    same = view.alike
    text = min(EACH * (same.texts - 1), MOST)
    link = min(EACH_LINK * (same.links - 1), MOST_LINK)
    part = OF_SCRIPT if view.is_script else 1.0
    if same.tainted and text < TAINTED:
        return TAINTED * part, "it sent the text of an incident to new recipients"
    if max(text, link) <= 0:
        return None
    what, many = ("the same text", same.texts) if text >= link else ("links to the same domain", same.links)
    told = f"{what} went to {same.recipients:,} new recipients from about {many:.0f} unrelated senders"
    return max(text, link) * part, told
