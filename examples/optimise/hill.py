"""A hill with ripples: many summits, of which the highest is known exactly. It does not know simkit."""

from math import cos, exp, tau

SUMMIT = (3.0, -2.0)
MAXIMUM = 10.0  # there, since each of the two factors is at most 1, and is 1 there


def height(x, y):
    """Of the hill at (x, y): a broad bell, ten units high, with two summits in every unit square."""
    x, y = x - SUMMIT[0], y - SUMMIT[1]
    ripples = (3 + cos(tau * x) * cos(tau * y)) / 4
    return MAXIMUM * exp(-(x**2 + y**2) / 20) * ripples
