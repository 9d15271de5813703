"""Three stages: time series are recorded, each is analysed with several windows, and subjects are compared."""

import numpy as np
from series import oscillation, peak, spectrum

from simkit import each, experiment, product


@experiment
@product(subject=range(8), coupling=[0.25, 0.5, 1.0])
def record(subject: int, coupling: float, rng, rate: float = 200.0, seconds: float = 40.0):
    """The time series of one subject under one condition."""
    frequency = 8 + 0.5 * subject
    return {"signal": oscillation(rng, frequency, coupling, seconds, rate), "frequency": frequency}


@experiment
@each(record)
@product(window=[1.0, 4.0])
def analyse(record, window: float, low: float = 4.0, high: float = 16.0):
    """Spectrum of a recording, and its largest peak within the band."""
    frequencies, powers = spectrum(record.signal, record.rate, window)
    where, height = peak(frequencies, powers, low, high)
    return {"frequencies": frequencies, "powers": powers, "peak": where, "height": height}


@experiment
@each(analyse, by=["coupling", "window"])
def compare(analyse, coupling: float, window: float):
    """How well the analysis finds what is in the recordings, over all subjects."""
    true = 8 + 0.5 * analyse["subject"]
    error = np.abs(analyse["peak"] - true)
    return {"error": error.mean(), "height": np.median(analyse["height"]), "subjects": len(analyse)}
