"""Penstock over one corpus, with all signals or without one of them."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from bench.detection.rules import Verdicts
from bench.detection.score import Delays, penstock

from penstock.config import effective_toml


def replayed(folder: Path, policy: Path | None, silent: str = "") -> tuple[Verdicts, Delays, int]:
    """What it did, and how many lines it did not understand. ``policy``: None for an empty file;
    ``silent``: the signal that does not count. Policy and decisions stay in the folder."""
    name = f"-without-{silent}" if silent else ""
    used, decisions = folder / f"policy{name}.toml", folder / f"decisions{name}.jsonl"
    used.write_text(_without(policy.read_text() if policy is not None else "", silent))
    command = [
        str(Path(sys.executable).with_name("penstock")), "replay", "--policy", str(used), "--json",
        "--decisions", str(decisions), "--timezone", "UTC", str(folder / "mail.log"),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    summary: dict[str, Any] = json.loads(done.stdout)
    verdicts, delays = penstock(folder, summary, decisions)
    return verdicts, delays, sum(summary["lines_unknown"].values())


def _without(policy: str, signal: str) -> str:
    """A policy in which this signal, too, is silent; "": the same policy."""
    if not signal:
        return policy
    document = tomllib.loads(policy)
    detection = document.setdefault("detection", {})
    detection["silent"] = [*detection.get("silent", []), signal]
    return effective_toml(document)
