"""The only orchestration: decide about attempts, from memory, with time as an argument."""

from penstock.engine.gate import Engine
from penstock.engine.observe import EVERYBODY, LOCAL
from penstock.engine.refusals import MOST_REFUSALS
from penstock.engine.roster import Roster, UnknownSender

__all__ = ["EVERYBODY", "LOCAL", "MOST_REFUSALS", "Engine", "Roster", "UnknownSender"]
