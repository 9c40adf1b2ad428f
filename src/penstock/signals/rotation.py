"""It writes to strangers from many foreign networks at once.

Theory: who rents proxies or has a botnet sends each mail from another machine (one account: 342 addresses in
41 countries, more than 30 within minutes). A telephone's provider sends its customers through few networks
(/16 of IPv4, /32 of IPv6), a hotel, a train and a VPN are one each; of honest logins that write to new people
from elsewhere half as many see each further one beyond four in an hour, or eight in a day, which a network
used before and after midnight enters twice; of bots that have come so far 9 in 10 do (judgement). It counts
by the share of what goes to new people from elsewhere, and less for who often changes networks. Where
from *at once* is another fact than that it is elsewhere, so it is of no group: an owner may travel, but is
not in five places.
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


def weigh(view: View) -> tuple[float, str] | None:
    """The foreign networks of the hour and of the day, beside mail to new people from them."""
    novel = view.today(Counter.FOREIGN_NOVEL)
    if view.kind != "login" or not novel:
        return None
    hour, day, usual = view.hour[Counter.NETWORKS], view.day[Counter.NETWORKS], view.habit.networks
    beyond = max(hour - HOURLY, day - DAILY) - usual
    if beyond <= 0:
        return None
    strange = min(1.0, novel / max(1, view.today(Counter.FOREIGN)))
    weight = min(MOST, EACH * beyond) * strange * view.seen / (1 + usual)
    return weight, f"it wrote from {day} networks that are not its own, {hour} of them new within the hour"
