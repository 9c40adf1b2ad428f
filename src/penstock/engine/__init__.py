"""The only orchestration: decide about attempts, from memory, with time as an argument."""

from penstock.engine.gate import Engine
from penstock.engine.refusals import MOST_REFUSALS
from penstock.engine.roster import Roster, UnknownSender

__all__ = ["MOST_REFUSALS", "Engine", "Roster", "UnknownSender"]
