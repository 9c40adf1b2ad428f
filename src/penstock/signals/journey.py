"""It wrote from two places between which nobody can have travelled in that time.

Theory: who has a password uses it while the owner goes on writing, and bots change their way out of the world
from mail to mail (one hacked account was seen in 41 countries, in more than 30 within minutes). Faster than
1,000 km/h across a border, beyond the radius within which the places are true, no person is. But a VPN, a
telephone's gateway and a firm's proxy are: of honest logins that write to new people from elsewhere one in
five does it with one of them, of stolen ones every other is seen in two places within hours (judgement). A
third country on that day, and each further one, is 1 in 10 of the honest, and every other time a bot's
(judgement). It counts by the share of what goes to new people from elsewhere, and less for who often changes
networks. Where from is one fact, so it is of the networks' group.
Cost: without a geo file none; with one, one place for each login that mails, and a look at each change of
its address.
Victims: who turns a VPN on in between; roaming telephones beside an office; a wrong entry of the geo file.
"""

from __future__ import annotations

import math

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.view import View

GROUP = "network"
ONE = math.log(0.5 / 0.2)
COUNTRY = math.log(0.5 / 0.1)
MOST = 6.0


def weigh(view: View) -> tuple[float, str] | None:
    """The day's impossible journeys beside mail to new people from foreign networks."""
    travel, novel = view.travel, view.today(Counter.FOREIGN_NOVEL)
    if not travel.jumps or not novel:
        return None
    more = max(0, min(travel.jumps, travel.countries - 1) - 1)
    strange = min(1.0, novel / max(1, view.today(Counter.FOREIGN)))
    weight = min(MOST, ONE + COUNTRY * more) * strange / (1 + view.habit.networks)
    minutes = max(1, math.ceil(travel.seconds / 60))
    return weight, (
        f"{travel.km:,.0f} km ({travel.route}) lie between two of its messages and at most "
        f"{count(minutes, 'minute')}; it wrote from {travel.countries} countries today"
    )
