"""Penstock: outbound-mail abuse control for hosting companies and ISPs."""

__version__ = "0.1.0"
