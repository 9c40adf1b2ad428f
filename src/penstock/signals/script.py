"""A script sends from where no program of a site lies, or has never been seen before.

Theory: whoever breaks into a site drops a file where the site may write: folders for uploads, caches,
pictures and temporary files, and hidden ones. What a site itself sends comes from a few files that stay the
same for years. Of hijacked scripts some half lie in such folders †, of honest ones 1 in 40; some 6 in 10 are
a day old at most †, of honest ones that write to anybody new 1 in 8.
Cost: none. Victims: home-made sites that keep their programs in such a folder; a site on its first day.
"""

from __future__ import annotations

import re
from typing import Final

from penstock.core.ledger import Counter
from penstock.signals.view import View

GROUP = ""
WRITABLE = 3.0
NEW = 1.5
YOUNG = 1.0
"""Days of age."""

_FOLDER: Final = re.compile(r"/(?:uploads?|cache|te?mp|images?|\.[\w-][\w.-]*)/", re.I | re.A)


def weigh(view: View) -> tuple[float, str] | None:
    """Where the script lies, and since when it is known."""
    if not view.script or not view.today(Counter.NOVEL):
        return None
    folder = _FOLDER.search(view.script)
    new = view.habit.age < YOUNG
    weight = (WRITABLE if folder else 0.0) + (NEW * view.seen if new else 0.0)
    if not weight:
        return None
    where = f"it lies in {folder[0]}, where a site keeps no programs" if folder else ""
    since = "it was not seen before today" if new else ""
    return weight, " and ".join(filter(None, (where, since)))
