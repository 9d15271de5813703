from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import Study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """An empty study folder; what is imported from it is forgotten afterwards."""
    root = tmp_path / "study"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)
    yield Study(root)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(root)):
            del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items() if name not in sys.modules})
