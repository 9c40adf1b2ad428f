"""Bounces in the shapes of the world's mail systems; all names are examples.

Each sample is (headers, body, expected): expected are (address, status, a piece of the reply).
"""

from __future__ import annotations

from typing import NamedTuple

Expected = tuple[tuple[str, str, str], ...]

ORIGINAL = """\
Return-Path: <alice@example.com>
Received: from [192.0.2.7] (localhost [127.0.0.1])
\tby mail.example.com (Postfix) with ESMTPSA id 4XyZ12abcDz9
\tfor <bob@example.net>; Sat, 21 Nov 2026 10:00:00 +0000 (UTC)
From: Alice <alice@example.com>
To: Bob <bob@example.net>
Subject: Hello
Message-ID: <one@example.com>
Date: Sat, 21 Nov 2026 10:00:00 +0000

Hello Bob
"""


class Sample(NamedTuple):
    """A mail for people, and who failed in it."""

    headers: str
    body: str
    expected: Expected

    def raw(self) -> bytes:
        """The mail's bytes."""
        return f"{self.headers.strip()}\n\n{self.body.strip()}\n".encode()


DAEMON = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.org\nTo: alice@example.com\n"

SAMPLES: dict[str, Sample] = {
    "qmail, two recipients": Sample(
        DAEMON + "Subject: failure notice",
        """
Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<bob@example.net>:
198.51.100.5 does not like recipient.
Remote host said: 550 5.1.1 <bob@example.net>: no such user
Giving up on 198.51.100.5.

<carol@example.net>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

"""
        + ORIGINAL,
        (
            ("bob@example.net", "5.1.1", "550 5.1.1 <bob@example.net>: no such user"),
            ("carol@example.net", "5.1.1", "no mailbox here"),
        ),
    ),
    "Exim": Sample(
        DAEMON + "Subject: Mail delivery failed: returning message to sender\n"
        "X-Failed-Recipients: bob@example.net,\n  carol@example.net\nAuto-Submitted: auto-replied",
        """
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  bob@example.net
    host mx.example.net [198.51.100.5]
    SMTP error from remote mail server after RCPT TO:<bob@example.net>:
    550-5.7.1 [203.0.113.9] is listed by example.net,
    550 5.7.1 see https://example.net/why
  carol@example.net
    Unrouteable address

------ This is a copy of the message, including all the headers. ------

"""
        + ORIGINAL,
        (
            ("bob@example.net", "5.7.1", "550 5.7.1 [203.0.113.9] is listed by example.net, see https://"),
            ("carol@example.net", "", "Unrouteable address"),
        ),
    ),
    "Sendmail without a report": Sample(
        DAEMON + "Subject: Returned mail: User unknown",
        """
The original message was received at Sat, 21 Nov 2026 10:00:00 GMT
from alice@localhost

   ----- The following addresses had permanent fatal errors -----
<bob@example.net>

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> RCPT To:<bob@example.net>
<<< 550 5.7.1 Mail from 203.0.113.9 refused - see http://www.example.org/block
550 5.1.1 <bob@example.net>... User unknown

   ----- Original message follows -----

"""
        + ORIGINAL,
        (("bob@example.net", "5.7.1", "550 5.7.1 Mail from 203.0.113.9 refused"),),
    ),
    "Postfix for people only": Sample(
        DAEMON + "Subject: Undelivered Mail Returned to Sender",
        """
This is the mail system at host mx.example.org.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

For further assistance, please send mail to <helpdesk@example.org>

<bob@example.net>: host mx.example.net[198.51.100.5] said: 552 5.2.2 mailbox of
    bob is over its quota (in reply to RCPT TO command)
""",
        (("bob@example.net", "5.2.2", "552 5.2.2 mailbox of bob is over its quota"),),
    ),
    "Exchange 2003": Sample(
        "From: System Administrator <postmaster@example.org>\nTo: alice@example.com\n"
        "Subject: Undeliverable: Hello",
        """
Your message

  To:      bob@example.net
  Subject: Hello
  Sent:    Sat, 21 Nov 2026 10:00:00 -0000

did not reach the following recipient(s):

bob@example.net on Sat, 21 Nov 2026 10:00:05 -0000
    The recipient name is not recognized
        The MTS-ID of the original message is: c=xx;a= ;p=example;l=MX0000
    MSEXCH:IMS:EXAMPLE:MX:ONE 0 (000C05A6) Unknown Recipient
""",
        (("bob@example.net", "", "The recipient name is not recognized"),),
    ),
    "Office 365": Sample(
        "From: postmaster@example.onmicrosoft.com\nTo: alice@example.com\nSubject: Undeliverable: Hello",
        """
Your message to bob@example.net couldn't be delivered.

bob wasn't found at example.net.

For more information see DSN 5.1.10 errors in Exchange Online.

Original Message Details
Created Date:    11/21/2026 10:00:00 AM
Sender Address:    alice@example.com
Recipient Address:    bob@example.net
Subject:    Hello

Error Details
Reported error:    550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@example.net not found
DSN generated by:    XX0000.example.prod.outlook.com
""",
        (("bob@example.net", "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound"),),
    ),
    "Gmail, old": Sample(
        "From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nTo: alice@example.com\n"
        "Subject: Delivery Status Notification (Failure)",
        """
Delivery to the following recipient failed permanently:

     bob@example.net

Technical details of permanent failure:
Google tried to deliver your message, but it was rejected by the recipient domain. The error that the
other server returned was: 550 550 5.2.1 The account is disabled (state 14).

----- Original message -----

"""
        + ORIGINAL,
        (("bob@example.net", "5.2.1", "5.2.1 The account is disabled"),),
    ),
    "Yahoo": Sample(
        "From: MAILER-DAEMON@yahoo.com\nTo: alice@example.com\nSubject: Failure Notice",
        """
Sorry, we were unable to deliver your message to the following address.

<bob@example.net>:
554: 5.7.9 Message not accepted for policy reasons. See https://postmaster.example.net/

--- Below this line is a copy of the message.

"""
        + ORIGINAL,
        (("bob@example.net", "5.7.9", "5.7.9 Message not accepted for policy reasons"),),
    ),
    "Domino": Sample(
        "From: Postmaster@example.org\nTo: alice@example.com\nSubject: DELIVERY FAILURE: User bob not listed",
        """
Your message

  Subject: Hello

was not delivered to:

  bob@example.net

because:

  User bob (bob@example.net) not listed in Domino Directory
""",
        (("bob@example.net", "", "not listed in Domino Directory"),),
    ),
    "Notes": Sample(
        "From: MAILER-DAEMON@notes.example.net\nTo: alice@example.com\nSubject: Returned mail",
        """
------- Failure Reasons  --------

User not listed in public Name & Address Book
bob@example.net

------- Returned Message --------

"""
        + ORIGINAL,
        (("bob@example.net", "", "User not listed in public Name & Address Book"),),
    ),
    "a Japanese carrier": Sample(
        "Return-Path: <MAILER-DAEMON>\nFrom: Postmaster@carrier.example.jp\nTo: alice@example.com\n"
        "Subject: Mail System Error - Returned Mail\nContent-Type: text/plain; charset=utf-8",
        """
次のあて先へのメッセージはエラーのため送信できませんでした。

The user(s) account is disabled.

<bob@carrier.example.jp>
""",
        (("bob@carrier.example.jp", "", "account is disabled"),),
    ),
    "a Japanese carrier's dialogue": Sample(
        "Return-Path: <>\nFrom: Postmaster@carrier.example.jp\nTo: alice@example.com\n"
        "Subject: Mail System Error - Returned Mail",
        """
Each of the following recipients was rejected by a remote
mail server.
    Recipient: <bob@carrier.example.jp>
    >>> RCPT TO:<bob@carrier.example.jp>
    <<< 550 <bob@carrier.example.jp>: User unknown
""",
        (("bob@carrier.example.jp", "", "550 <bob@carrier.example.jp>: User unknown"),),
    ),
    "MailMarshal": Sample(
        "From: MailMarshal <postmaster@example.org>\nTo: alice@example.com\n"
        'Subject: Undeliverable Mail: "Hello"',
        """
Your message:
   From:    alice@example.com
   Subject: Hello

Could not be delivered because of

550 5.1.1 User unknown

The following recipients were affected:
    bob@example.net

Additional Information
======================
""",
        (("bob@example.net", "5.1.1", "550 5.1.1 User unknown"),),
    ),
    "IMail": Sample(
        "From: Postmaster <postmaster@example.org>\nTo: alice@example.com\nSubject: Undeliverable Mail",
        "Unknown user: bob@example.net\n\n\nOriginal message follows.\n\n" + ORIGINAL,
        (("bob@example.net", "", "Unknown user"),),
    ),
    "InterScan": Sample(
        "From: postmaster@example.org\nTo: alice@example.com\nSubject: Mail could not be delivered",
        """
****** Message from InterScan Messaging Security Suite ******

Sent <<< RCPT TO:<bob@example.net>
Received >>> 550 5.1.1 unknown or illegal user: bob@example.net

Unable to deliver message to <bob@example.net>.

************************     End of message     **********************
""",
        (("bob@example.net", "5.1.1", "550 5.1.1 unknown or illegal user"),),
    ),
    "OpenSMTPD": Sample(
        "From: Mailer Daemon <MAILER-DAEMON@mx.example.org>\nTo: alice@example.com\n"
        "Subject: Delivery status notification: error",
        """
    Hi!

    This is the MAILER-DAEMON, please DO NOT REPLY to this email.

    An error has occurred while attempting to deliver a message for
    the following list of recipients:

bob@example.net: 550 5.2.2 <bob@example.net>... Mailbox Full

    Below is a copy of the original message:

"""
        + ORIGINAL,
        (("bob@example.net", "5.2.2", "550 5.2.2 <bob@example.net>... Mailbox Full"),),
    ),
    "DragonFly": Sample(
        "From: MAILER-DAEMON <>\nTo: alice@example.com\nSubject: Mail delivery failed",
        """
This is the DragonFly Mail Agent v0.13 at df.example.org.

There was an error delivering your mail to <bob@example.net>.

mx.example.net [198.51.100.5] did not like our RCPT TO:
550 5.7.26 unauthenticated mail is not accepted

Message headers follow.

"""
        + ORIGINAL,
        (("bob@example.net", "5.7.26", "550 5.7.26 unauthenticated"),),
    ),
    "DragonFly, no code": Sample(
        "From: MAILER-DAEMON <>\nTo: alice@example.com\nSubject: Mail delivery failed",
        """
This is the DragonFly Mail Agent v0.13 at df.example.org.

There was an error delivering your mail to <bob@nowhere.example>.

DNS lookup failure: host nowhere.example not found

Message headers follow.
""",
        (("bob@nowhere.example", "", "DNS lookup failure: host nowhere.example not found"),),
    ),
    "PowerMTA": Sample(
        "From: postmaster@mta.example.org\nTo: alice@example.com\nSubject: Undeliverable: Hello",
        """
Hello, this is the mail server on mta.example.org.

I am sending you this message to inform you on the delivery status of a
message you previously sent.  Immediately below you will find a list of
the affected recipients;  also attached is a Delivery Status Notification
(DSN) report in standard format, as well as the headers of the original
message.

  <bob@example.net>  delivery failed; will not continue trying
""",
        (("bob@example.net", "", "delivery failed; will not continue trying"),),
    ),
    "Apache James": Sample(
        "From: postmaster@james.example.org\nTo: alice@example.com\nSubject: [BOUNCE] mail delivery failed",
        """
Hi. This is the James mail server at james.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.  Below
I include the list of recipients and the reason why I was unable to deliver
your message.

Failed recipient(s):
bob@example.net

Error message:
550 - Requested action not taken: no such user here
""",
        (("bob@example.net", "", "550 - Requested action not taken: no such user here"),),
    ),
    "MDaemon": Sample(
        "From: MDaemon at mx.example.org <MDaemon@mx.example.org>\nTo: alice@example.com\n"
        "Subject: Permanent Delivery Failure",
        """
The attached message had PERMANENT fatal delivery errors!

After one or more unsuccessful delivery attempts the attached message has
been removed from the mail queue on this server.

     FAILED ADDRESSES - mail could not be delivered to:
     ==================================================
     bob@example.net

     --- Session Transcript ---
     Sat 2026-11-21 10:00:00: --> RCPT To:<bob@example.net>
     Sat 2026-11-21 10:00:01: <-- 550 5.1.1 Recipient unknown
     --- End Transcript ---
""",
        (("bob@example.net", "5.1.1", "550 5.1.1 Recipient unknown"),),
    ),
    "GroupWise": Sample(
        "From: Mailer-Daemon@gw.example.org\nTo: alice@example.com\nSubject: Message status - undeliverable",
        """
The message that you sent was undeliverable to the following:
\tbob@example.net (user not found)

Possibly truncated original message follows:

"""
        + ORIGINAL,
        (("bob@example.net", "", "user not found"),),
    ),
    "Courier": Sample(
        "From: MAILER-DAEMON@mx.example.org\nTo: alice@example.com\nSubject: NOTICE: mail delivery status.",
        """
This is a delivery status notification from mx.example.org,
running the Courier mail server, version 0.73.

The original message was received on Sat, 21 Nov 2026 10:00:00 +0000
from mail.example.com ([203.0.113.9])

---------------------------------------------------------------------------

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<bob@example.net>:
    mx.example.net [198.51.100.5]:
>>> RCPT TO:<bob@example.net>
<<< 550 5.1.1 unknown recipient

---------------------------------------------------------------------------
""",
        (("bob@example.net", "5.1.1", "550 5.1.1 unknown recipient"),),
    ),
    "1&1": Sample(
        "From: Mail Delivery System <mailer-daemon@example.de>\nTo: alice@example.com\n"
        "Subject: Mail delivery failed: returning message to sender",
        """
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of
its recipients. This is a permanent error.

The following address failed:

bob@example.net

For the following reason:

Mail size limit exceeded.

--- The header of the original message is following. ---

"""
        + ORIGINAL,
        (("bob@example.net", "", "Mail size limit exceeded"),),
    ),
    "Zoho": Sample(
        "From: mailer-daemon@mail.example.org\nTo: alice@example.com\n"
        "Subject: Undelivered Mail Returned to Sender",
        """
This message was created automatically by mail delivery software.
 A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.

bob@example.net Invalid Address, ERROR_CODE :550, ERROR_CODE :Requested action not taken: mailbox unavailable
""",
        (("bob@example.net", "", "mailbox unavailable"),),
    ),
    "QQ and others in Chinese": Sample(
        "From: PostMaster@mx.example.cn\nTo: alice@example.com\nSubject: =?utf-8?B?57O757uf6YCA5L+h?=\n"
        "Content-Type: text/plain; charset=gb18030\nContent-Transfer-Encoding: 8bit",
        """
抱歉,您的邮件被退回来了……
收件人: bob@example.cn
退信原因: 550 Mailbox not found
""",
        (("bob@example.cn", "", "550 Mailbox not found"),),
    ),
    "German": Sample(
        "From: Mail Delivery System <mailer-daemon@example.de>\nTo: alice@example.com\n"
        "Subject: Unzustellbar: Hallo\nContent-Type: text/plain; charset=iso-8859-1",
        """
Fehler bei der Zustellung der Nachricht an folgende Empf=E4nger:

bob@example.de
Die eingegebene E-Mail-Adresse konnte nicht gefunden werden.
""",
        (("bob@example.de", "", "konnte nicht gefunden werden"),),
    ),
    "CommuniGate": Sample(
        "From: <MAILER-DAEMON@cgp.example.org>\nTo: alice@example.com\nSubject: Undeliverable mail: Hello",
        """
Failed to deliver to '<bob@example.net>'
SMTP module(domain example.net) reports:
 host mx.example.net says:
 550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown
""",
        (("bob@example.net", "5.1.1", "550 5.1.1 <bob@example.net>: Recipient address rejected"),),
    ),
    "a pipe's child status": Sample(
        DAEMON + "Subject: failure notice",
        """
Your mail message to the following address(es) could not be delivered. This
is a permanent error.

<bob@example.net>:
child status 100...The e-mail message could not be delivered because the user's mailfolder is full.

--- Below this line is a copy of the message.

"""
        + ORIGINAL,
        (("bob@example.net", "", "mailfolder is full"),),
    ),
    "the text has no address": Sample(
        DAEMON + "Subject: Delivery Status Notification (Failure)",
        """
Sie erhalten diese E-Mail, weil die Gruppe, die Sie kontaktieren wollten, nicht vorhanden ist.

----- Original message -----

"""
        + ORIGINAL,
        (("bob@example.net", "", "Gruppe"),),
    ),
    "only HTML": Sample(
        DAEMON + "Subject: Undeliverable: Hello\nContent-Type: text/html; charset=utf-8",
        """
<html><head><style>p { color: red } a@b.example</style></head><body>
<p>Delivery has failed to these recipients:</p><p><a href="mailto:bob@example.net">bob@example.net</a><br>
550 5.4.1 Recipient address rejected: Access denied</p></body></html>
""",
        (("bob@example.net", "5.4.1", "550 5.4.1 Recipient address rejected: Access denied"),),
    ),
    "X.400 words": Sample(
        "From: postmaster@example.org\nTo: alice@example.com\nSubject: Undeliverable message",
        """
The following message was not delivered to the recipients listed:

Recipient: bob@example.net
Reason: Unable to transfer; Unrecognised OR name

""",
        (("bob@example.net", "", "Unrecognised OR name"),),
    ),
}
