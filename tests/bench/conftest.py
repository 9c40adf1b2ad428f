"""The benchmarks are no installed package: they are found from the repository's root. One small corpus."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.detection.corpus import Corpus, make
from bench.detection.params import Params

from penstock.cli.replay import replay

SMALL = Params(
    accounts=12, days=100, cases=1, snowshoe_campaigns=1, most_attack=120, bulk_budget=400,
    list_size=(50, 100), first_list=(50, 100), companies=200, dead_pool=100, snowshoe_accounts=(3, 3),
    snowshoe_day=(5, 6), snowshoe_days=(2, 3), backscatter=(20, 40), invoices=(20, 40), fan_out=(10, 20),
    posts=(0.2, 0.3), orders=(1, 2), notice=(30, 60), storm_recipients=(3, 6), rotations=2,
    repeated=(20, 60), slow_day=(20, 30), slow_days=(3, 4), ramp_days=(5, 6), ramp_customer=(5, 6),
)  # fmt: skip


@pytest.fixture(scope="session")
def small() -> Params:
    """What the corpus is drawn from."""
    return SMALL


@pytest.fixture(scope="session")
def seed() -> int:
    """Of the corpus; with this one several senders are paused without doubt."""
    return 9


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Corpus:
    """One small corpus."""
    return make(tmp_path_factory.mktemp("corpus"), SMALL, seed, "own", True)


@pytest.fixture(scope="session")
def summary(corpus: Corpus) -> dict[str, Any]:
    """What replay says about it, under a policy that limits little."""
    policy = corpus.folder / "policy.toml"
    policy.write_text("")
    arguments = ["--policy", str(policy), "--json", "--timezone", "UTC"]
    arguments += ["--decisions", str(corpus.folder / "decisions.jsonl"), str(corpus.folder / "mail.log")]
    done = CliRunner().invoke(replay, arguments)
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told
