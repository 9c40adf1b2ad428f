"""The policy file: TOML → frozen Settings, with every error at once.

The only part that reads it is ``load``; whoever runs on the settings takes plain values.
"""

from penstock.config.load import default_path, load, parse
from penstock.config.report import BadValue, ConfigError, Problem
from penstock.config.scalars import parse_address
from penstock.config.settings import (
    Address,
    CommandSource,
    DirectorySettings,
    Listen,
    Settings,
    SqlSource,
)
from penstock.config.toml import written as effective_toml

__all__ = [
    "Address",
    "BadValue",
    "CommandSource",
    "ConfigError",
    "DirectorySettings",
    "Listen",
    "Problem",
    "Settings",
    "SqlSource",
    "default_path",
    "effective_toml",
    "load",
    "parse",
    "parse_address",
]
