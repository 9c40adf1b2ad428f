"""What a mail says, as far as it takes to tell copies of one from each other: its text and links, and a spam
filter's score. Nothing of it is kept."""

from penstock.wire.content.reader import ContentReader
from penstock.wire.content.scores import score_of

__all__ = ["ContentReader", "score_of"]
