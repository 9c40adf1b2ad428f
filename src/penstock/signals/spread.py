"""New recipients at the large free providers.

Theory: consumer lists are mostly freemail (40 to 95 %), a customer's new correspondents less so (30 to 60 %).
Little by itself: 0.15 nats each, up to 1.
Cost: none. Victims: shops, whose customers have such addresses.
"""

from __future__ import annotations

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = "flow"
EACH = 0.15
MOST = 1.0


def weigh(view: View) -> tuple[float, str] | None:
    """Freemail among today's novel recipients."""
    novel, freemail = view.today(Counter.NOVEL), view.today(Counter.FREEMAIL)
    if novel <= view.usual_novel or freemail < 0.5 * novel:
        return None
    them = f"{freemail:,} of the {novel:,}" if freemail < novel else f"all {novel:,}"
    return min(EACH * freemail, MOST), f"{them} new recipients are at free providers"
