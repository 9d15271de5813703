"""SciPy's sparse arrays and matrices."""

from __future__ import annotations

import pytest
from kinds import CHECKS, conform
from kinds.matrices import MATRICES


@pytest.mark.parametrize("kind", MATRICES)
@CHECKS
def test_each_kind_is_kept(check, kind):
    conform(check, MATRICES[kind])
