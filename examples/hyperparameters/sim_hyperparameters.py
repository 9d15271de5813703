"""Which hyper-parameters let a classifier judge best? optuna chooses them, and stops what promises nothing."""

import numpy as np
import optuna
from digits import classifier, data

from simkit import adapters, adaptive, experiment, fixture


def suggest(trial):
    """How strong the penalty is and of which kind; a mixture has a ratio as well."""
    point = {
        "alpha": trial.suggest_float("alpha", 1e-6, 1.0, log=True),
        "penalty": trial.suggest_categorical("penalty", ["l2", "l1", "elasticnet"]),
    }
    if point["penalty"] == "elasticnet":
        point["l1_ratio"] = trial.suggest_float("l1_ratio", 0.0, 1.0)
    return point


@fixture(scope="experiment")
def digits():
    """Read once by each worker."""
    return data()


@experiment
@adaptive(
    adapters.optuna(
        suggest,
        value="error",
        n_trials=40,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2),
    )
)
def learn(alpha: float, penalty: str, digits, run, random_state, l1_ratio: float = 0.15, passes: int = 15):
    """Learn in passes over the data, and report after each how many of the others are judged wrong."""
    images, others, labels, other_labels = digits
    model = classifier(alpha, penalty, l1_ratio, random_state)
    for step in range(passes):
        model.partial_fit(images, labels, classes=np.arange(10))
        error = 1.0 - model.score(others, other_labels)
        run.append(errors=error)
        run.report(error, step)
        if run.should_stop():
            break
    return {"error": error, "learned": step + 1, "nonzero": int((model.coef_ != 0).sum())}
