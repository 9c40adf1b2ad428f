"""What is asked of an MTA: to ask us (set-up), and whether it does (checks)."""
