"""Only for wheels with compiled hot modules: PENSTOCK_COMPILE=1 pip install . (needs mypy[mypyc])."""

import os

from setuptools import setup

HOT = [
    "src/penstock/core/acquaintance.py",
    "src/penstock/core/ledger.py",
    "src/penstock/core/decision.py",
    "src/penstock/core/flight.py",
    "src/penstock/core/sender.py",
    "src/penstock/engine/book.py",
    "src/penstock/engine/detector.py",
    "src/penstock/engine/familiar.py",
    "src/penstock/engine/gate.py",
    "src/penstock/engine/refusals.py",
    "src/penstock/engine/refusing.py",
    "src/penstock/engine/roster.py",
    "src/penstock/engine/weighing.py",
    "src/penstock/servers/policy.py",
    "src/penstock/stores/counts.py",
    "src/penstock/wire/postfix_policy.py",
]

if os.environ.get("PENSTOCK_COMPILE") == "1":
    from mypyc.build import mypycify

    setup(ext_modules=mypycify(["--ignore-missing-imports", *HOT], opt_level="3"))
else:
    setup()
