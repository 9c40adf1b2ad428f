"""Invented mail: one spam as it leaves many times, and honest mail that looks alike."""

from __future__ import annotations

import base64
import quopri
import random
from functools import cache

PITCH = """Our laboratory has opened a new store for certified garden tools and we would like to invite your
household to the opening sale. Every spade, every rake and every pair of shears in the catalogue costs half
of the usual price until the end of this month, delivery to your door included. Customers who order two
articles receive a pair of leather gloves without any charge. The offer is valid while stocks last, so please
have a look at the catalogue today and choose what your garden has been waiting for. Payment is possible by
card or by bank transfer, and you may return whatever does not please you within thirty days."""

INVITATION = """Dear members, the summer party of our football club takes place on the second weekend of July
on the field behind the school. There will be a tournament for the young teams in the morning, a match of the
veterans against the mothers in the afternoon and music with dancing in the evening. Please bring salads and
cakes, drinks and sausages are on the club. Whoever can help with tents and benches on Friday may tell the
board until the end of June. Forward this letter to friends and family, guests are very welcome."""

INVOICE = """Hello, please find attached the invoice for the services that we have provided to you in the past
month. The amount will be collected from your account by direct debit within the next ten working days, so
there is nothing left to do for you. Should you have any question about single items of the invoice, our
accounting department will gladly help, please name the number of the invoice and your customer number. Thank
you very much for the trust that you have placed in us, we look forward to continuing our cooperation."""

ABSENCE = """Thank you for your message. I am out of the office at the moment and will not be able to read my
mail before my return. Your message will not be forwarded. In urgent cases please contact the secretary's
office, my colleagues will be glad to help you with whatever cannot wait until I am back again."""

LETTERS = "etaoinshrdlucmfwypbgk"


def word(chance: random.Random) -> str:
    """A word that nobody has written before."""
    return "".join(chance.choice(LETTERS) for _ in range(chance.randint(4, 9)))


def story(chance: random.Random, words: int) -> str:
    """A text of its own: words by rank, as in a language."""
    return " ".join(chance.choices(*language(), k=words))


@cache
def language() -> tuple[list[str], list[float]]:
    """Words, and how often each is used."""
    return [word(random.Random(rank)) for rank in range(3000)], [1 / (rank + 3) for rank in range(3000)]


def personal(text: str, chance: random.Random, rubbish: float = 0.08) -> str:
    """A copy of a spam: a name, a number, a tracking link, and strange words strewn in."""
    words = []
    for one in text.split():
        words.append(one)
        if chance.random() < rubbish:
            words.append(word(chance))
    name, number = word(chance).title(), chance.randrange(10**8)
    shop = f"https://www.shop-{'%'}.example.net/o/{number:x}?u={word(chance)}@example.org".replace("-%", "")
    return f"Dear {name},\n\n{' '.join(words)}\n\n{shop}\nOrder no. {number}\n{word(chance)} {number}"


def lines(text: str) -> bytes:
    """As it goes over the wire, seven or eight bits."""
    return text.replace("\n", "\r\n").encode()


def plain(text: str) -> tuple[str, str, bytes]:
    """(Content-Type, Content-Transfer-Encoding, body)."""
    return "text/plain; charset=utf-8", "8bit", lines(text)


def base64ed(text: str) -> tuple[str, str, bytes]:
    return "text/plain; charset=utf-8", "base64", base64.encodebytes(lines(text)).replace(b"\n", b"\r\n")


def quoted(text: str) -> tuple[str, str, bytes]:
    """Quoted-printable, every vowel of it."""
    body = quopri.encodestring(lines(text)).replace(b"e", b"=65")
    return 'text/plain; charset="iso-8859-1"', "Quoted-Printable", body


def html(text: str) -> tuple[str, str, bytes]:
    """With a comment, a style, and words cut by tags."""
    words = [one[:2] + "<b></b>" + one[2:] if "://" not in one else one for one in text.split(" ")]
    page = "<p>" + " ".join(words).replace("\n\n", "</p><!-- x > y --><p>").replace("\n", "<br>\n") + "</p>"
    return "text/html", "7bit", lines(f"<html><style>p {{ color: red }}</style><body>{page}</body></html>")


def both(text: str) -> tuple[str, str, bytes]:
    """Rubbish as plain text beside the HTML that a reader sees, in a multipart within a multipart."""
    kind, _, page = html(text)
    inner = b"--in\r\nContent-Type: text/plain\r\n\r\n" + lines(story(random.Random(len(text)), 80)) + b"\r\n"
    inner += b"--in\r\ncontent-type:\r\n\t" + kind.encode() + b"\r\n\r\n" + page + b"\r\n--in--\r\n"
    body = b"no MIME?\r\n--o u\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n" + inner
    body += b"--o u\r\nContent-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n"
    body += b"<p>other words\r\n--o u--\r\n"
    return 'multipart/mixed;\n\tboundary="o u"', "7bit", body


PACKINGS = (plain, base64ed, quoted, html, both)
