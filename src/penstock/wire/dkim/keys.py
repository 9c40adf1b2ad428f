"""Keys of signatures: made, read, and told to the DNS (RFC 6376 §3.6.1, RFC 8463 §4)."""

from __future__ import annotations

from base64 import b64encode
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

Kind = Literal["rsa", "ed25519"]

FEWEST_BITS: Final = 1024
"""Verifiers take nothing shorter (RFC 8301 §3.2)."""

GOOD_BITS: Final = 2048
_EXPONENT: Final = 65537
_STRING: Final = 255
"""Bytes in one string of a TXT record (RFC 1035 §3.3.14)."""

_PADDING: Final = PKCS1v15()
_SHA256: Final = hashes.SHA256()


class BadKey(ValueError):
    """That is no key for signatures; the message says why."""


class Key:
    """A private key. ``bits``: of RSA, else 0."""

    def __init__(self, private: RSAPrivateKey | Ed25519PrivateKey) -> None:
        self._private = private
        self.kind: Kind = "rsa" if isinstance(private, RSAPrivateKey) else "ed25519"
        self.bits = private.key_size if isinstance(private, RSAPrivateKey) else 0
        self.algorithm = f"{self.kind}-sha256".encode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.public() == other.public()

    def __hash__(self) -> int:
        return hash(self.public())

    def sign(self, data: bytes) -> bytes:
        """The signature of SHA-256 of the data."""
        if isinstance(self._private, RSAPrivateKey):
            return self._private.sign(data, _PADDING, _SHA256)
        digest = hashes.Hash(_SHA256)
        digest.update(data)
        return self._private.sign(digest.finalize())

    def pem(self) -> bytes:
        """The key as a file holds it (PKCS #8, not encrypted)."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def public(self) -> str:
        """``p=`` of the record: RSA as SubjectPublicKeyInfo, Ed25519 bare."""
        form = serialization.PublicFormat
        public = self._private.public_key()
        if self.kind == "rsa":
            data = public.public_bytes(serialization.Encoding.DER, form.SubjectPublicKeyInfo)
        else:
            data = public.public_bytes(serialization.Encoding.Raw, form.Raw)
        return b64encode(data).decode()


def generate(kind: Kind, bits: int = GOOD_BITS) -> Key:
    """A new key."""
    return Key(generate_private_key(_EXPONENT, bits) if kind == "rsa" else Ed25519PrivateKey.generate())


def load(pem: bytes) -> Key:
    """The key in a PEM file (PKCS #8 or PKCS #1); raises BadKey."""
    try:
        private = serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise BadKey("is encrypted; keys for signatures have no password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("holds no private key in PEM form") from None
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        raise BadKey("holds neither an RSA nor an Ed25519 key")
    key = Key(private)
    if key.kind == "rsa" and key.bits < FEWEST_BITS:
        raise BadKey(f"holds an RSA key of {key.bits} bits; verifiers want at least {FEWEST_BITS}")
    return key


def record_of(key: Key) -> str:
    """What the TXT record says."""
    return f"v=DKIM1; k={key.kind}; p={key.public()}"


def zone_line(key: Key, domain: str, selector: str) -> str:
    """The record as a line of a zone file, in strings of at most 255 bytes."""
    text = record_of(key)
    parts = [text[i : i + _STRING] for i in range(0, len(text), _STRING)]
    strings = " ".join(f'"{part}"' for part in parts)
    return f"{selector}._domainkey.{domain}. IN TXT ( {strings} )"
