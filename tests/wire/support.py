"""Requests as Postfix 3.7 writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

POSTFIX = (
    "request=smtpd_access_policy protocol_state=RCPT protocol_name=ESMTP client_address=192.0.2.7 "
    "client_name=mail.example.com client_port=51234 reverse_client_name=mail.example.com "
    "server_address=198.51.100.1 server_port=587 helo_name=[192.0.2.7] sender=alice@example.com "
    "recipient=bob@example.net recipient_count=0 queue_id= instance=1f2e.6554a1b0.5d4c1.0 size=4321 "
    "etrn_domain= stress= sasl_method=PLAIN sasl_username=alice@example.com sasl_sender= "
    "ccert_subject= ccert_issuer= ccert_fingerprint= ccert_pubkey_fingerprint= "
    "encryption_protocol=TLSv1.3 encryption_cipher=TLS_AES_256_GCM_SHA384 encryption_keysize=256 "
    "policy_context=penstock/rcpt+eom"
)
ATTRIBUTES: Mapping[str, str] = dict(pair.split("=", 1) for pair in POSTFIX.split(" "))


def request(**changes: str) -> bytes:
    """Postfix's request with some values changed."""
    return write({**ATTRIBUTES, **changes}.items())


def write(pairs: Iterable[tuple[str, str | bytes]]) -> bytes:
    """A request of these attributes in this order."""
    lines = (
        name.encode() + b"=" + (value.encode() if isinstance(value, str) else value) + b"\n"
        for name, value in pairs
    )
    return b"".join(lines) + b"\n"


def dialogue() -> list[bytes]:
    """What one smtpd asks about two mails: at RCPT, DATA and END-OF-MESSAGE, with a VRFY between."""
    one = {"instance": "1f2e.6554a1b0.5d4c1.0"}
    two = {"instance": "1f2e.6554a1b1.11.1", "sasl_username": "a=b@example.com", "sender": ""}
    done = {"recipient": "", "recipient_count": "2", "queue_id": "4SfXyz1Q2vz9"}
    return [
        request(**one),
        request(**one, recipient="carol=x@example.net", queue_id="4SfXyz1Q2vz9"),
        request(**one, **done, protocol_state="DATA"),
        request(**one, **done, protocol_state="END-OF-MESSAGE", size="5120"),
        request(protocol_state="VRFY", instance="", sender="", size="0", policy_context=""),
        request(**two, recipient="zoë@example.net"),
        request(**two, recipient_count="1", protocol_state="END-OF-MESSAGE", size="999999999"),
    ]
