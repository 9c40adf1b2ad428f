"""The lines of Postfix daemons that are knowingly ignored, each kind a row: its beginning and what it is.

``ANY`` holds for every daemon. Frequent kinds stand first: they are compared in this order.
"""

from __future__ import annotations

from penstock.wire.maillog.kinds import IGNORED, Found, Kind, Parse

ANY = "*"

TLS_MADE = {
    "Anonymous TLS connection ": "encryption agreed",
    "Trusted TLS connection ": "encryption agreed",
    "Untrusted TLS connection ": "encryption agreed",
    "Verified TLS connection ": "encryption agreed",
    "setting up TLS connection": "encryption begins",
    "SSL_accept error": "encryption failed",
    "SSL_connect error": "encryption failed",
    "certificate verification failed": "a server's certificate",
    "save session": "TLS session cache",
    "looked up session": "TLS session cache",
    "looking up session": "TLS session cache",
    "reloaded session": "TLS session cache",
    "remove session": "TLS session cache",
    "initializing the": "TLS engine starts",
    "subject_CN=": "a certificate's names",
    "issuer=": "a certificate's issuer",
    "fingerprint=": "a certificate's fingerprint",
    "tls: ": "TLS trace",
    "abort all TLS": "TLS given up",
    "TLS handshake failed": "encryption failed",
    "TLS SNI ": "the name that a client asks for",
}

_DNS = "a lookup in the DNS or in the connection cache"

SILENT = (
    *("flush", "pickup", "post-install", "postalias", "postcat", "postconf", "postdrop", "postfix"),
    *("postfix-tls-script", "postfix-wrapper", "postkick", "postlock", "postlog", "postlogd", "postmap"),
    *("postmulti", "postqueue", "proxymap", "proxywrite", "sendmail", "set-permissions", "showq", "spawn"),
    "trivial-rewrite",
)
"""Daemons and commands of which only the rows of ``ANY`` are known."""

PLAIN: dict[str, dict[str, str]] = {
    "smtpd": {
        "connect from ": "a client came",
        "disconnect from ": "a client left; its count of commands",
        **TLS_MADE,
        "lost connection after ": "a client left without QUIT",
        "timeout after ": "a client fell silent",
        "too many errors after ": "a client was dropped for its errors",
        "improper command pipelining after ": "a client did not wait for answers",
        "NOQUEUE: client=": "a client's message goes to a before-queue filter, which queues it",
        "NOQUEUE: lost connection after ": "a client left without QUIT",
        "NOQUEUE: ABORT": "a message was given up in the middle",
        "NOQUEUE: abort": "a message was given up in the middle",
        "NOQUEUE: warn: ": "an access rule's remark",
        "NOQUEUE: info: ": "an access rule's remark",
        "NOQUEUE: permit": "an access rule that passes, logged on demand",
        "NOQUEUE: prepend: ": "an access rule adds a header",
        "NOQUEUE: bcc: ": "an access rule adds a recipient",
        "NOQUEUE: delay: ": "an access rule waits",
        "NOQUEUE: replace: ": "a milter's edit",
        "NOQUEUE: proxy-": "a before-queue filter's answer: the filter logs the message itself",
        "NOQUEUE: tls: ": "TLS trace",
        "proxy-accept: ": "a before-queue filter's answer: the filter logs the message itself",
        "proxy-reject: ": "a before-queue filter's answer: the filter logs the message itself",
        "bare <LF> received": "a client's line ends",
        "discarding EHLO keywords": "an extension is not offered",
    },
    "smtp": {
        **TLS_MADE,
        "connect to ": "a server cannot be reached; the outcome has a line of its own",
        "lost connection with ": "a server hung up; the outcome has a line of its own",
        "conversation with ": "a server was too slow; the outcome has a line of its own",
        "host ": "a server's answer; the outcome has a line of its own",
        "discarding EHLO keywords": "an extension is not used",
        "Host offered STARTTLS": "encryption was offered",
    },
    "postscreen": {
        "CONNECT from ": "a client came",
        "PASS ": "a client passed the tests",
        "DISCONNECT ": "a client left",
        "DNSBL rank ": "a client is on block lists",
        "HANGUP ": "a client left early",
        "PREGREET ": "a client spoke before its turn",
        "NOQUEUE: ": "a client without login was turned away at the door",
        "COMMAND ": "a client broke the protocol",
        "NON-SMTP COMMAND ": "a client broke the protocol",
        "BARE NEWLINE ": "a client broke the protocol",
        "WHITELIST": "a client is on the own list",
        "ALLOWLIST": "a client is on the own list",
        "BLACKLIST": "a client is on the own list",
        "DENYLIST": "a client is on the own list",
        "BLOCKLIST": "a client is on the own list",
        "UNFAIR ": "a client broke the protocol",
        "cache ": "the cache was cleaned",
        "close database": "the cache was closed",
    },
    "anvil": {"statistics: ": "how often clients came"},
    "scache": {"statistics: ": _DNS},
    "dnsblog": {"addr ": "a client is on a block list"},
    "master": {
        "daemon started": "Postfix starts",
        "reload": "Postfix reads its settings",
        "terminating": "Postfix stops",
    },
    "verify": {"cache ": "the cache was cleaned", "close database": "the cache was closed"},
    "tlsmgr": {
        "cache ": "the cache was cleaned",
        "close database": "the cache was closed",
        "open ": "TLS keys",
        "tlsmgr_": "TLS keys",
        "write smtp TLS": "TLS session cache",
        "read smtp TLS": "TLS session cache",
        "delete smtp TLS": "TLS session cache",
        "put smtp": "TLS session cache",
        "lookup smtp": "TLS session cache",
    },
    "tlsproxy": {
        **TLS_MADE,
        "CONNECT ": "encryption for another daemon",
        "DISCONNECT ": "encryption for another daemon",
    },
    "postsuper": {
        "Deleted: ": "how many were deleted: each has a line",
        "Requeued: ": "how many were queued again: each has a line",
        "Placed on hold: ": "how many are held: each has a line",
        "Released from hold: ": "how many were released: each has a line",
        "Expired: ": "how many were expired: each has a line",
        "Renamed to match inode number: ": "repair of the queue",
    },
    "postfix-script": {
        "starting the Postfix": "Postfix starts",
        "stopping the Postfix": "Postfix stops",
        "refreshing the Postfix": "Postfix reads its settings",
        "the Postfix mail system is": "an administrator asked",
        "waiting for the Postfix": "Postfix stops",
        "aborting the Postfix": "Postfix stops",
        "checking for the Postfix": "an administrator asked",
    },
    "qmqpd": {"connect from ": "a client came", "disconnect from ": "a client left"},
    ANY: {
        "warning: ": "something that Postfix finds odd; outcomes have lines of their own",
        "fatal: ": "a daemon stops",
        "error: ": "a daemon's trouble",
        "panic: ": "a daemon stops",
        "info: ": "a remark",
        "table ": "a lookup table has changed: the process restarts",
        "message repeated ": "syslog folded equal lines",
        "using backwards-compatible default setting ": "advice about settings",
        "Postfix is ": "advice about settings",
        "See http": "advice about settings",
        "To disable backwards compatibility ": "advice about settings",
        "postfix/postlog: ": "advice about settings",
    },
}

_EDITS = {
    "replace: ": "a header or an address was rewritten",
    "prepend: ": "a header was added",
    "strip: ": "a header was removed",
    "warning: header": "a header check's remark",
    "warning: body": "a body check's remark",
    "info: ": "a check's remark",
    "warn: ": "an access rule's remark",
    "bcc: ": "a check adds a recipient",
    "pass: ": "a check lets it pass",
    "ignore: ": "a header was removed",
    "milter-header-": "a milter's header led to a remark or an edit",
    "milter-": "a milter's edit",
    "permit": "an access rule that passes, logged on demand",
    "delay: ": "an access rule waits",
}

QUEUED: dict[str, dict[str, str]] = {
    "smtpd": {
        **_EDITS,
        "tls: ": "TLS trace",
        "queue_id mismatch": "a filter's queue id",
        "ABORT": "a message was given up in the middle",
        "abort": "a message was given up in the middle",
        "proxy-": "a before-queue filter's answer",
    },
    "cleanup": {
        **_EDITS,
        "resent-message-id=": "the id of a forward by hand; reports name the Message-ID",
        "warning: ": "a message was not accepted for trouble of our own",
        "canceling": "a message was given up in the middle",
        "cleanup: ": "a remark",
    },
    "smtp": {
        "host ": "a server's answer; the outcome has a line of its own",
        "lost connection with ": "a server hung up; the outcome has a line of its own",
        "conversation with ": "a server was too slow; the outcome has a line of its own",
        "SASL authentication failed": "a server refused our login; the outcome has a line of its own",
        "enabling PIX workarounds": "an odd server",
        "disabling ": "an odd server",
        "breaking line": "a line was too long",
        "Cannot start TLS": "encryption failed; the outcome has a line of its own",
        "TLS is required": "encryption failed; the outcome has a line of its own",
        "Server certificate": "a server's certificate",
        "certificate ": "a server's certificate",
        "delivery temporarily suspended": "the outcome has a line of its own",
        "Remote server ": "the outcome has a line of its own",
        "replace: ": "a header was rewritten",
        "prepend: ": "a header was added",
        "ignore: ": "a header was removed",
        "warning: ": "a remark",
        "info: ": "a remark",
        "strip: ": "a header was removed",
        "smtp": "a remark of the client",
        "TLS": "encryption",
    },
    "qmgr": {
        "skipped, still being delivered": "one message waits for its own delivery",
        "status=expired": "a postmaster's copy",
    },
    "postsuper": {
        "requeued": "queued again: pickup tells the new id",
        "placed on hold": "held by an administrator",
        "released from hold": "released by an administrator",
        "expired": "expired by an administrator: qmgr tells when it happens",
        "renamed": "repair of the queue",
    },
    "bounce": {
        "not sending ": "no notice about a notice",
        "no trace file": "no notice was asked for",
        "undeliverable postmaster notification discarded": "no notice about a notice",
    },
    ANY: {
        "status=deferred (": "a notice could not be written: the message stays in the queue",
    },
}


def kinds() -> tuple[Kind, ...]:
    """All rows, for whoever lists them."""
    plain = [Kind(f"postfix/{d}", p, why) for d, rows in PLAIN.items() for p, why in rows.items()]
    return (
        *plain,
        *(Kind(f"postfix/{d}", p, why, True) for d, rows in QUEUED.items() for p, why in rows.items()),
    )


def idle(daemon: str) -> Parse:
    """A parser that knows the ignored kinds of this daemon and nothing else."""
    plain = (*PLAIN.get(daemon, ()), *PLAIN[ANY])
    queued = (*QUEUED.get(daemon, ()), *QUEUED[ANY])

    def ignore(at: float, scope: str, text: str) -> Found:
        if text.startswith(plain):
            return IGNORED
        queue_id, _, rest = text.partition(": ")
        return IGNORED if queue_id.isalnum() and rest.startswith(queued) else None

    return ignore
