"""The composition root: puts the parts together and runs them."""

from penstock.app.service import Service, StartError, run

__all__ = ["Service", "StartError", "run"]
