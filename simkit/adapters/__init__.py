"""Which optimisers are strategies at once? Each function here makes the argument of `simkit.adaptive`.

`optuna` is define-by-run. Whatever else has ``ask`` and ``tell``, or calls a function with many points at once, needs
a few lines: docs/howto/adaptive.md has them.
"""

from __future__ import annotations

from simkit.adapters.optuna_study import optuna as optuna

__all__ = ["optuna"]
