"""How do optuna's trials become points, and results its values?"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simkit.errors import SimkitError, caller, listed

Suggest = Callable[[Any], Mapping[str, Any]]


def optuna(
    suggest: Suggest,
    value: str | Sequence[str] = "loss",
    n_trials: int = 100,
    direction: str | Sequence[str] = "minimize",
    sampler: Any = None,
    pruner: Any = None,
) -> Callable[..., Any]:
    """A strategy that asks a study of optuna's for points, as many at once as there are workers.

    Parameters
    ----------
    suggest
        Called with each trial, gives the point: ``lambda trial: {"x": trial.suggest_float("x", -5, 5)}``. Which
        names a point has may depend on what the trial suggested before.
    value
        The result that is optimised, or several.
    n_trials
        How many points are asked for; a larger number goes on. ``--set n_trials=200`` changes it.
    direction
        ``minimize`` or ``maximize``, one for each value.
    sampler
        One of optuna's, or a function that makes one from a seed: ``lambda seed: NSGAIISampler(seed=seed)``. By
        default ``TPESampler``, told which trials are under way. One without a seed does not repeat itself: then the
        recorded points are learned when the study goes on.
    pruner
        One of optuna's, that stops runs early by what they and others reported: a run calls
        ``run.report(loss, step)``, and returns what it has where ``run.should_stop()``. Such a run is done, and its
        trial a pruned one.

    Returns
    -------
    function
        For `adaptive`. In ``traj.summary`` are ``best_value`` and ``best_params``, or the ``front`` of several values.

    Raises
    ------
    SimkitError
        When the number of directions is not that of the values, and for a pruner of several values.
    """
    values = [value] if isinstance(value, str) else list(value)
    directions = [direction] * len(values) if isinstance(direction, str) else list(direction)
    if len(values) != len(directions):
        msg = f"{caller()}: {len(values)} values, but {len(directions)} directions: give one for each value"
        raise SimkitError(msg)
    if pruner is not None and len(values) > 1:
        msg = f"{caller()}: optuna stops no runs of several values ({', '.join(values)}): leave out pruner={pruner!r}"
        raise SimkitError(msg)
    count = n_trials

    def optuna_trials(seed: int, n_trials: int = count) -> OptunaStudy:
        return OptunaStudy(suggest, values, directions, n_trials, _made(sampler, seed), copy.deepcopy(pruner))

    return optuna_trials


def _made(sampler: Any, seed: int) -> Any:
    """The sampler, seeded where that is ours to do."""
    import optuna as library

    number = seed % 2**32
    if sampler is None:
        return library.samplers.TPESampler(seed=number, constant_liar=True)
    is_factory = callable(sampler) and not isinstance(sampler, library.samplers.BaseSampler)
    return sampler(number) if is_factory else copy.deepcopy(sampler)


class OptunaStudy:
    """A study of optuna's in memory: what is recorded is in the trajectory."""

    def __init__(
        self, suggest: Suggest, values: list[str], directions: list[Any], n_trials: int, sampler: Any, pruner: Any
    ) -> None:  # fmt: skip
        import optuna as library

        self.library, self.suggest, self.values, self.left = library, suggest, values, n_trials
        library.logging.set_verbosity(library.logging.WARNING)
        # Hyperband takes its brackets from the name.
        self.study = library.create_study(
            directions=directions,
            sampler=sampler,
            pruner=pruner or library.pruners.NopPruner(),
            study_name="simkit",
        )
        self.trials: dict[int, Any] = {}  # by the identity of the point
        self.pruned: set[int] = set()  # numbers of trials

    def ask(self) -> Mapping[str, Any] | None:
        """The next trial's point."""
        if self.left <= 0:
            return None
        self.left -= 1
        trial = self.study.ask()
        point = dict(self.suggest(trial))
        self.trials[id(point)] = (trial, point)
        return point

    def tell(self, point: Mapping[str, Any], results: Mapping[str, Any] | None) -> None:
        """A trial's values; it has failed where its run has."""
        trial, _ = self.trials.pop(id(point))
        if results is None:
            self.study.tell(trial, state=self.library.trial.TrialState.FAIL)
            return
        if trial.number in self.pruned:
            self.study.tell(trial, state=self.library.trial.TrialState.PRUNED)
            return
        self.study.tell(trial, self._numbers(results))

    def report(self, point: Mapping[str, Any], value: float, step: int) -> None:
        """A trial's value so far."""
        trial, _ = self.trials[id(point)]
        if len(self.values) == 1:
            trial.report(value, step)

    def should_stop(self, point: Mapping[str, Any]) -> bool:
        """Whether the pruner has no use for the rest of a trial."""
        trial, _ = self.trials[id(point)]
        if len(self.values) == 1 and trial.should_prune():
            self.pruned.add(trial.number)
        return trial.number in self.pruned

    def _numbers(self, results: Mapping[str, Any]) -> list[float]:
        lacking = next((name for name in self.values if name not in results), None)
        if lacking is not None:
            msg = (
                f"optuna: no result {lacking!r}; there are: {listed(lacking, results)}: name one with value=…"
            )
            raise SimkitError(msg)
        return [float(results[name]) for name in self.values]

    def learn(self, point: Mapping[str, Any], results: Mapping[str, Any]) -> None:
        """Add a trial that was not asked for: its distributions are those that `suggest` names for this point."""
        trial = self.library.trial.FixedTrial(dict(point))
        try:
            self.suggest(trial)
        except ValueError as problem:
            msg = f"optuna: a recorded point can't be learned, since what is suggested has other names: {problem}"
            raise SimkitError(msg) from None
        self.study.add_trial(
            self.library.trial.create_trial(
                params=trial.params, distributions=trial.distributions, values=self._numbers(results)
            )
        )
        self.left -= 1

    def result(self) -> dict[str, Any]:
        """The best value and its parameters, or the front of several values."""
        done = self.library.trial.TrialState.COMPLETE
        if not self.study.get_trials(deepcopy=False, states=(done,)):
            return {}
        if len(self.values) == 1:
            best = self.study.best_trial
            return {"best_value": best.value, "best_params": json.dumps(best.params, default=str)}
        return {"front": [list(trial.values) for trial in self.study.best_trials]}
