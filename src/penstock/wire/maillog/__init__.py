"""Mail logs: lines → facts → events. Sans-I/O."""
