"""Recipients complain.

Theory: of honest personal mail nobody complains; 1 in 200,000 of a clean bulk sender's. A provider reports
perhaps a tenth of what is spam. Three nats for the first of the week, two for each more.
Cost: none. Victims: newsletters, whose profile expects some.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.core.words import count
from penstock.signals.view import View

GROUP = ""
EACH = 3.0
MOST = 9.0
PER_RECIPIENT = 0.001


def weigh(view: View) -> tuple[float, str] | None:
    """Complaints of the week, beyond one in a thousand recipients."""
    found = view.week[Counter.COMPLAINTS]
    beyond = found - PER_RECIPIENT * view.week[Counter.DELIVERED]
    return (min(EACH * beyond, MOST), f"{count(found, 'complaint')} this week") if beyond > 0 else None
