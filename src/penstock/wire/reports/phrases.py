"""Phrases as data: one a line, any of which is a sign."""

from __future__ import annotations

import re
from typing import Final


def any_of(lines: str) -> re.Pattern[str]:
    """A pattern that finds any line, in any case; each line is a regular expression without ``.*``."""
    return re.compile("|".join(line.strip() for line in lines.strip().splitlines()), re.IGNORECASE)


SEPARATOR: Final = any_of(r"""
    below this line is a copy
    (?:enclosed|included) is a copy
    (?:this|here|below|the following) is (?:a|the) copy of
    (?:the )?headers? of the (?:original )?message
    (?:original |your |the )?message headers? (?:follow|of)
    message headers?$
    (?:start of )?returned message
    (?:unsent|undelivered) message
    a? ?copy of (?:the|your) (?:original )?message
    (?:the )?text of (?:the|your) message
    message (?:contents?|text) follow
    begin(?:ning)? of (?:the )?(?:original )?message
    content-type: (?:message|text)/rfc822
    (?:your |the )?original (?:message|mail|e-mail)(?: headers?)?(?: follows?| below| is| was)?$
    your original message
    forwarded message
    urspr(?:ü|ue)ngliche nachricht
    message d.origine
    mensaje original
    messaggio originale
    mensagem original
    oorspronkelijk bericht
    исходное сообщение
    元のメッセージ
    原始邮件
    the first \d{1,3} lines
""")
"""What stands above the returned message."""

NOT_FAILED: Final = any_of(r"""
    from
    sender
    reply
    return
    contact
    support
    help
    question
    write
    envelope
    e-?mail us
    assist
    send (?:it |mail |e-?mail |a message )?to
    abuse
    \bcc\b
    \bby\b
    visit
    message.?id
    subject
    mailto:
    https?:
""")
"""What stands before an address that did not fail: somebody to write to, the sender."""

FAILING: Final = any_of(r"""
    deliver
    unknown
    not found
    recipient
    reject
    fail
    exist
    bounce
    mailbox
    returned
    could ?n.t
    could not
    cannot
    can.t
    unable
    refused
    zustell
    empf[aä]nger
    destinat
    entreg
    recapit
    distribu
""")
"""What a sentence about a failure has in it."""
