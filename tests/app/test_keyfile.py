"""Keys of an installation, made once."""

from __future__ import annotations

from pathlib import Path

from penstock.app.keyfile import KEY_BYTES, lasting_key


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "text.key"
    key = lasting_key(path)
    assert len(key) == KEY_BYTES and lasting_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_crash_left_half_written_is_no_key(tmp_path: Path) -> None:
    """The file beside may hold anything: only a whole key gets the name."""
    path = tmp_path / "text.key"
    path.with_suffix(".new").write_bytes(b"half")
    assert len(lasting_key(path)) == KEY_BYTES
    assert [found.name for found in tmp_path.iterdir()] == ["text.key"]
