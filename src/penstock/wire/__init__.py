"""Sans-I/O codecs: bytes or lines to core events and back."""
