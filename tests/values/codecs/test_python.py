"""Python's own composite and exact types."""

from __future__ import annotations

import pytest
from kinds import CHECKS, conform
from kinds.python import NATIVES


@pytest.mark.parametrize("kind", NATIVES)
@CHECKS
def test_each_kind_is_kept(check, kind):
    conform(check, NATIVES[kind])
