"""optuna: a study with the random sampler, in memory (red) or in a journal (green); the grid sampler is quadratic."""

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from workloads import scalar

optuna.logging.set_verbosity(optuna.logging.ERROR)


def _study(folder, workload):
    storage = None if workload == "red" else JournalStorage(JournalFileBackend(f"{folder}/journal.log"))
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True, sampler=sampler)


def objective(trial):
    trial.suggest_float("x", 0, 1)
    return scalar(trial.number)


def run(workload, n, folder, form):
    study = _study(folder, workload)
    study.optimize(objective, n_trials=n)
    if workload == "red":
        np.save(f"{folder}/all.npy", [trial.value for trial in study.get_trials(deepcopy=False)])


def load(workload, n, folder):
    if workload == "red":
        return np.load(f"{folder}/all.npy")
    return [trial.value for trial in _study(folder, workload).get_trials(deepcopy=False)]


def load_one(workload, n, folder, i):
    return load(workload, n, folder)[i]
