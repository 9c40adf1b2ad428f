"""DKIM signatures (RFC 6376, RFC 8463): canonical forms, signing, keys and their DNS records."""
