"""Following logs: files through every rotation, and the journal; each line counted once."""

from penstock.servers.follow.export import Entry
from penstock.servers.follow.files import FileSource
from penstock.servers.follow.follower import Feed, Follower, Marks, Source
from penstock.servers.follow.journal import JournalSource

__all__ = ["Entry", "Feed", "FileSource", "Follower", "JournalSource", "Marks", "Source"]
