"""The lines of Exim's main log that are knowingly ignored: how each kind begins and what it is.

``QUEUED`` begins after the queue id. A kind that begins with ``PEER`` begins with somebody's host, with or
without a queue id before it, and is told by the words after it.
"""

from __future__ import annotations

from penstock.wire.maillog.kinds import Kind

PEER = "H=host [ip] "

_SMTP = "a client that breaks off, or speaks SMTP badly"
_DNS = "a lookup in the DNS"
_TLS = "encryption: agreed, failed, or a certificate"
_DAEMON = "the daemon starts, stops, reads its configuration"
_CHECK = "the report of a check in an ACL"
_ADMIN = "somebody with access to the queue acts on the message"
_LATER = "why nothing was tried now"
_HOST = "an attempt with one host; the recipient's line follows"

PLAIN = {
    "exim ": _DAEMON,
    "daemon": _DAEMON,
    "pid ": _DAEMON,
    "SIG": _DAEMON,
    "socket ": _DAEMON,
    "Start queue run": "a queue run",
    "End queue run": "a queue run",
    "Warning: ": "Exim about its configuration",
    "Suggested action: ": "Exim about its configuration",
    "warning: ": "Exim about its configuration",
    "log_selector": "Exim about its configuration",
    "no host name found for ": _DNS,
    "no IP address found for ": _DNS,
    "host name alias list truncated": _DNS,
    "DNS list lookup": _DNS,
    "dnslists": _DNS,
    "SMTP connection from ": _SMTP,
    "SMTP call from ": _SMTP,
    "SMTP protocol ": _SMTP,
    "SMTP syntax error ": _SMTP,
    "SMTP command timeout ": _SMTP,
    "SMTP data timeout ": _SMTP,
    "SMTP connection lost ": _SMTP,
    "unexpected disconnection ": _SMTP,
    "unexpected end of file ": _SMTP,
    "no MAIL in ": _SMTP,
    "Connection from ": _SMTP,
    "connection from ": _SMTP,
    "refused connection ": _SMTP,
    "rejected from ": _SMTP,
    "rejected EHLO from ": _SMTP,
    "rejected HELO from ": _SMTP,
    "incomplete transaction ": _SMTP,
    "too many ": _SMTP,
    "unqualified ": _SMTP,
    "syntactically invalid ": _SMTP,
    "dropped: ": _SMTP,
    "ident connection ": "a question to a client's ident service",
    "TLS error ": _TLS,
    "TLS client disconnected": _TLS,
    "TLS session ": _TLS,
    "failed to expand ": "a fault in the configuration",
    "failed to open ": "a fault in the configuration",
    "Failed to ": "a fault in the configuration",
    "spam acl condition": _CHECK,
    "malware acl condition": _CHECK,
    "DKIM: ": _CHECK,
    "DMARC ": _CHECK,
    "SPF ": _CHECK,
}

QUEUED = {
    "Frozen": "the message is frozen",
    "frozen by ": _ADMIN,
    "Message is frozen": _LATER,
    "Unfrozen": "a frozen message is tried again",
    "unfrozen by ": _ADMIN,
    "removed by ": _ADMIN,
    "cancelled by ": _ADMIN,
    "recipient ": _ADMIN,
    "sender address changed": _ADMIN,
    "marked not delivered by": _ADMIN,
    "Spool file ": _LATER,
    "Spool format error": "a damaged queue file",
    "no immediate delivery": _LATER,
    "no recipients found": "a message without recipients",
    "original recipients": _ADMIN,
    "Sender identification ": "cPanel's note whose the message is",
    "SMTP connection ": "cPanel's note of an outbound connection, or a client that breaks off",
    "SMTP data timeout ": _SMTP,
    "SMTP error from ": _HOST,
    "SMTP timeout ": _HOST,
    "Remote host ": _HOST,
    "delivery ": _LATER,
    "error message sent to ": "a notice; its own arrival tells more",
    "Delivery status notification": "a notice; its own arrival tells more",
    "Error while ": "a fault in the configuration",
    "failed to ": "a fault in the configuration",
    "Failed to ": "a fault in the configuration",
    "Warning: ": _CHECK,
    "DKIM: ": _CHECK,
    "DMARC ": _CHECK,
    "SPF ": _CHECK,
    "SA: ": _CHECK,
    "spam acl condition": _CHECK,
    "malware acl condition": _CHECK,
    "Authentication-Results: ": _CHECK,
    "TLS session": _TLS,
    "TLS error ": _TLS,
    "rewritten ": "an address was rewritten",
    "PRDR ": "an answer for each recipient",
    "Greylisted": _CHECK,
}

CLIENTS = {
    "sender verify fail": "why a client is refused; the refusal follows",
    "sender verify defer": "why a client is refused; the refusal follows",
    "Warning: ": _CHECK,
    "Connection refused": _HOST,
    "Connection timed out": _HOST,
    "Network ": _HOST,
    "No route ": _HOST,
    "SMTP ": _HOST,
    "TLS ": _TLS,
    "SSL ": _TLS,
    "dropped by ": _SMTP,
    "incomplete transaction ": _SMTP,
}
"""What may follow a host in lines that begin with one."""

KINDS = tuple(
    Kind("exim", prefix, why, queued)
    for table, before, queued in ((PLAIN, "", False), (QUEUED, "", True), (CLIENTS, PEER, False))
    for prefix, why in table.items()
    for prefix in (before + prefix,)
)
