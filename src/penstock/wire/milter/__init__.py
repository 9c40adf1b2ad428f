"""The milter protocol, version 6 and its predecessors from 2 on: bytes ↔ commands, decisions ↔ replies."""
