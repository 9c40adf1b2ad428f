"""It writes to strangers from many foreign networks at once, or all of it from one or two.

Theory: who rents proxies or has a botnet sends each mail from another machine (one account: 342 addresses in
41 countries, more than 30 within minutes; 1 to 350 as a rule, so 2 in 10 have one or two). A telephone's
provider sends its customers through few networks (/16 of IPv4, /32 of IPv6), a hotel, a train and a VPN are
one each; of honest logins that write to new people from elsewhere half as many see each further one beyond
four in an hour, or eight in a day, which a network used before and after midnight enters twice; of bots that
have come so far 9 in 10 do; and after eight messages 8 in 10 of the honest have used one or two (judgement).
It counts by the share of what goes to new people from elsewhere, and beyond twice the sender's own habit.
Where from *at once* is another fact than that it is elsewhere, so it is of no group: an owner may travel,
but is not in five places.
Cost: none; the networks of the hour are counted for ``networks``.
Victims: a telephone whose provider draws a network for each connection, with a letter to strangers; a
program that sends through a service with machines all over the world.
"""

from __future__ import annotations

import math

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = ""
EACH = math.log(0.9 / 0.5)
HOURLY, DAILY = 4, 8
MOST = 4.0

FEW, MESSAGES = 2, 8
"""Networks that speak for the owner after so many messages from them, in no burst: a flood is over before
another machine's turn comes."""

FOR_OWNER = math.log(0.2 / 0.8)


def weigh(view: View) -> tuple[float, str] | None:
    """The foreign networks of the hour and of the day, beside mail to new people from them."""
    novel, foreign = view.today(Counter.FOREIGN_NOVEL), view.today(Counter.FOREIGN)
    if view.kind != "login" or not novel:
        return None
    hour, day, usual = view.hour[Counter.NETWORKS], view.day[Counter.NETWORKS], view.habit.networks
    strange = min(1.0, novel / max(1, foreign)) * view.seen
    messages = int(view.today(Counter.MESSAGES) * min(1.0, foreign / max(1, view.today(Counter.RECIPIENTS))))
    if day <= FEW:
        if messages < MESSAGES or view.is_burst:
            return None
        places = "one network that is" if day <= 1 else f"{day} networks that are"
        return (
            FOR_OWNER * strange,
            f"some {messages:,} messages came from {places} not its own, and none from another",
        )
    beyond = max(hour - HOURLY, day - DAILY) - 2 * usual
    if beyond <= 0:
        return None
    weight = min(MOST, EACH * beyond) * strange
    return weight, f"it wrote from {day} networks that are not its own, {hour} of them new within the hour"
