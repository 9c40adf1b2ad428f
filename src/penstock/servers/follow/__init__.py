"""Following logs: files through every rotation, and the journal."""
