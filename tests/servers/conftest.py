"""The fixtures of services in the test's own process."""

from app.conftest import folder, logs, usual_garbage_collection

__all__ = ["folder", "logs", "usual_garbage_collection"]
