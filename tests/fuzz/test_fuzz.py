"""A bounded run of each fuzzer, from the committed corpus, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RUNS = os.environ.get("FUZZ_RUNS", "20000")
SECONDS = os.environ.get("FUZZ_SECONDS", "6")


@pytest.mark.parametrize(
    "name",
    ["policy", "milter", "content", "recovery", "replies", "other_logs", "postfix_log", "queue", "reports"],
)
def test_fuzz(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    corpus = tmp_path / "corpus"
    shutil.copytree(HERE / "corpus" / name, corpus)
    assert list(corpus.iterdir())
    command = [sys.executable, str(HERE / f"fuzz_{name}.py"), f"-runs={RUNS}", f"-max_total_time={SECONDS}"]
    command += ["-max_len=2000", "-seed=1", f"-artifact_prefix={tmp_path}/", str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path)
    said = done.stdout + done.stderr
    found = [path.read_bytes() for path in tmp_path.glob("crash-*")]
    assert done.returncode == 0, f"{said[-3000:]}\ninputs: {found}"
    assert "Done " in said


@pytest.mark.parametrize(
    "name",
    ["policy", "milter", "content", "recovery", "replies", "other_logs", "postfix_log", "queue", "reports"],
)
def test_the_corpus_is_small(name: str) -> None:
    files = list((HERE / "corpus" / name).iterdir())
    assert files
    assert sum(path.stat().st_size for path in files) < 64_000
