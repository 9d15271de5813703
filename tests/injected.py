"""One experiment's text, executed in this process."""

from __future__ import annotations

HEAD = """
import types
from collections import namedtuple
from dataclasses import dataclass
from typing import NamedTuple

import attrs
import numpy as np

from simkit import experiment, explore, fixture, parameter, product

events = []
"""
