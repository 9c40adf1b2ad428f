"""Durability: the append-only log of counts with its snapshot, and the records."""
