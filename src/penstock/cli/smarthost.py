"""What Postfix is to know of professional customers, from the policy file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.mta.endpoint import Endpoint
from penstock.mta.smarthost import Smarthost

if TYPE_CHECKING:
    from penstock.config import Settings


def smarthost_of(settings: Settings, addresses: Iterable[object]) -> Smarthost:
    """``addresses``: where the milter for them listens, as ``127.0.0.1:10043`` or ``unix:/path``."""
    customers = settings.professional.values()
    return Smarthost(
        tuple(Endpoint.parse(str(each)) for each in addresses),
        tuple(sorted({one.tag.header.title() for one in customers})),
        tuple(sorted({one.pool for one in customers if one.pool})),
        tuple(dict.fromkeys(network for one in customers for network in one.tag.networks)),
    )
