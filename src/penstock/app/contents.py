"""What is read of messages' content, under the installation's own key."""

from __future__ import annotations

import secrets
from typing import Final

import structlog

from penstock.app.keyfile import lasting_key
from penstock.app.node import Node
from penstock.core.fingerprint import KEY_BYTES, Printer
from penstock.servers.milter_keeper import MilterKeeper
from penstock.servers.milter_traffic import SMTP
from penstock.wire.content import ContentReader
from penstock.wire.milter.envelope import WISH_CONTENT

log = structlog.get_logger()

KEY_FILE: Final = "fingerprint.key"


class Contents:
    """Readers for the messages of a node. The policy file's ``[content]`` holds as it is now, but for
    ``clients``."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients = node.settings.content.clients
        try:
            self._printer = Printer(lasting_key(node.settings.state / KEY_FILE))
        except (OSError, ValueError) as error:
            log.error("no lasting key for fingerprints: a restart forgets templates", why=str(error))
            self._printer = Printer(secrets.token_bytes(KEY_BYTES))

    def equip(self, keeper: MilterKeeper) -> None:
        """Have a listener's messages read, where their content is shown."""
        if keeper.traffic.kind == SMTP:
            if not self._clients:
                return
            keeper.wish = WISH_CONTENT
        keeper.reader = self._reader

    def _reader(self) -> ContentReader | None:
        wanted = self._node.settings.content
        if not wanted.fingerprints and not wanted.score_header:
            return None
        printer = self._printer if wanted.fingerprints else None
        return ContentReader(printer, wanted.score_header, wanted.score_limit)
