"""Time series of a noisy oscillation, and what one measures of them. It does not know simkit."""

import numpy as np
from scipy.signal import welch


def oscillation(rng, frequency, coupling, seconds, rate):
    """A signal that follows an oscillation as closely as the coupling says, in noise that remembers its past.

    Parameters
    ----------
    frequency, rate
        In Hz.

    Returns
    -------
    ndarray
        Shape ``(seconds * rate,)``.
    """
    time = np.arange(int(seconds * rate)) / rate
    noise = np.zeros(len(time))
    for i, kick in enumerate(rng.normal(size=len(time) - 1), 1):
        noise[i] = 0.9 * noise[i - 1] + kick
    phase = rng.uniform(0, 2 * np.pi)
    return noise + coupling * np.sin(2 * np.pi * frequency * time + phase)


def spectrum(signal, rate, window):
    """Power over frequency by Welch's method, with windows of this many seconds: frequencies in Hz, and powers."""
    return welch(signal, rate, nperseg=int(window * rate))


def peak(frequencies, powers, low, high):
    """Where in a band of frequencies the power stands out most, and by how much: frequency in Hz, and a ratio.

    The noise's own power falls with the square of the frequency, and is made even first.
    """
    inside = (frequencies >= low) & (frequencies <= high)
    even = powers * frequencies**2
    best = np.flatnonzero(inside)[np.argmax(even[inside])]
    return frequencies[best], even[best] / np.median(even[inside])
