"""What remote servers say, in the manner of each provider. Texts are as Postfix logs them, in parentheses.

``{to}``: the recipient; ``{mx}``, ``{ip}``: the server; ``{id}``: letters that differ each time.
"""

from __future__ import annotations

from typing import Final

RCPT, DATA, END = (
    " (in reply to RCPT TO command)",
    " (in reply to DATA command)",
    " (in reply to end of DATA command)",
)
SAID: Final = "host {mx}[{ip}] said: "

SENT: Final = {
    "google": ("250 2.0.0 OK  17{id} {id}-{id}si{id} - gsmtp",),
    "outlook": (
        "250 2.6.0 <{id}@mail> [InternalId={id}, Hostname={id}.prod.outlook.com] 16{id} bytes in 0.1, 84.3 KB/sec Queued mail for delivery -> 250 2.1.5",
    ),
    "yahoo": ("250 ok dirdel",),
    "apple": ("250 2.0.0 Ok: queued as {id}",),
    "gmx": ("250 Requested mail action okay, completed: id={id}",),
    "telekom": ("250 2.0.0 Message accepted.",),
    "exim": ("250 OK id={id}-{id}-{id}",),
    "mimecast": ("250 SmtpThread-{id}-{id}@eu-mta-1.mimecast.lan Received OK [{id}]",),
    "local": ("250 2.0.0 <{to}> {id} Saved",),
    "": ("250 2.0.0 Ok: queued as {id}",),
}
UNKNOWN: Final = {
    "google": (
        "5.1.1", "550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 "
        "double-checking the recipient's email address for typos or 550-5.1.1 unnecessary spaces. For more "
        "information, go to 550 5.1.1  https://support.google.com/mail/?p=NoSuchUser {id}-{id}si{id} - gsmtp" + RCPT,
    ),
    "outlook": ("5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [{id}.eop-eur01.prod.protection.outlook.com]" + RCPT),
    "yahoo": ("5.0.0", "552 1 Requested mail action aborted, mailbox not found" + END),
    "apple": ("5.1.1", "550 5.1.1 <{to}>: user does not exist" + RCPT),
    "gmx": ("5.0.0", "550-Requested action not taken: mailbox unavailable 550 For explanation visit https://postmaster.gmx.net/en/error-messages?ip=&c=rnx" + RCPT),
    "telekom": ("5.1.1", "550 5.1.1 unknown user <{to}>" + RCPT),
    "orange": ("5.1.1", "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]" + RCPT),
    "office365": ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied. [{id}.eurprd04.prod.outlook.com]" + RCPT),
    "workspace": ("5.1.1", "550-5.1.1 The email account that you tried to reach does not exist. 550 5.1.1  https://support.google.com/mail/?p=NoSuchUser {id} - gsmtp" + RCPT),
    "postfix": ("5.1.1", "550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table" + RCPT),
    "exim": ("5.0.0", "550 No Such User Here" + RCPT),
    "mimecast": ("5.0.0", "550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [{id}]" + RCPT),
    "local": ("5.1.1", "550 5.1.1 <{to}> User doesn't exist: {to}" + RCPT),
    "": ("5.1.1", "550 5.1.1 <{to}>: Recipient address rejected: User unknown" + RCPT),
}  # fmt: skip
INACTIVE: Final = {
    "google": ("5.2.1", "550-5.2.1 The email account that you tried to reach is inactive. For more information, go to 550 5.2.1  https://support.google.com/mail/?p=DisabledUser {id} - gsmtp" + RCPT),
    "yahoo": ("5.0.0", "554 delivery error: dd This mailbox is disabled (554.30). - mta{id}.mail.bf1.yahoo.com" + END),
    "": ("5.2.1", "550 5.2.1 <{to}>: mailbox disabled, not accepting messages" + RCPT),
}  # fmt: skip
FULL: Final = {
    "google": ("4.2.2", "452-4.2.2 The recipient's inbox is out of storage space. 452 4.2.2  https://support.google.com/mail/?p=OverQuotaTemp {id} - gsmtp" + RCPT),
    "": ("5.2.2", "552 5.2.2 <{to}>: Mailbox full / quota exceeded" + RCPT),
}  # fmt: skip
CONTENT: Final = {
    "google": ("5.7.1", "550-5.7.1 [198.51.100.9] Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked. 550 5.7.1  https://support.google.com/mail/?p=UnsolicitedMessageError {id} - gsmtp" + END),
    "outlook": ("5.7.1", "550 5.7.1 Unfortunately, messages from [198.51.100.9] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). [{id}.prod.protection.outlook.com]" + DATA),
    "yahoo": ("5.7.9", "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes" + END),
    "gmx": ("5.0.0", "554-Transaction failed 554-Reject due to policy restrictions. 554 For explanation visit https://postmaster.gmx.net/en/error-messages?c=sip" + END),
    "": ("5.7.1", "554 5.7.1 Message rejected as spam by content filtering" + END),
}  # fmt: skip
THROTTLED: Final = {
    "google": ("4.7.28", "421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address. 421 4.7.28  https://support.google.com/mail/?p=UnsolicitedRateLimitError {id} - gsmtp" + END),
    "yahoo": ("4.7.0", "421 4.7.0 [TSS04] Messages from 198.51.100.9 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes" + RCPT),
    "": ("4.7.0", "451 4.7.0 Temporary server error: too many messages from your host, try again later" + RCPT),
}  # fmt: skip
GREY: Final = {
    "postfix": ("4.2.0", "450 4.2.0 <{to}>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/{id}.html" + RCPT),
    "": ("4.0.0", "451 Greylisting in action, please come back later" + RCPT),
}  # fmt: skip
TROUBLE: Final = (
    ("4.4.1", "connect to {mx}[{ip}]:25: Connection timed out", False),
    ("4.4.2", "lost connection with {mx}[{ip}] while receiving the initial server greeting", False),
    ("4.3.2", "451 4.3.2 Internal server error, please try again later" + RCPT, True),
    ("4.3.1", "452 4.3.1 Insufficient system storage" + RCPT, True),
    ("4.4.3", "Host or domain name not found. Name service error for name={domain} type=MX: Host not found, try again", False),
)  # fmt: skip
AWAY: Final = ("4.4.1", "connect to {mx}[{ip}]:25: Connection refused", False)
NO_DOMAIN: Final = (
    "5.4.4",
    "Host or domain name not found. Name service error for name={domain} type=AAAA: Host not found",
)
