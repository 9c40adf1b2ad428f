"""Thin asyncio glue between sockets and the engine."""
