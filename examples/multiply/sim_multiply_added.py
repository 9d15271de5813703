"""The same study, its result added instead of returned."""

from simkit import Run, experiment, product


@experiment
@product(x=[1.0, 2.0, 3.0, 4.0], y=[6.0, 7.0, 8.0])
def multiply_added(run: Run, x: float, y: float) -> None:
    """Multiply two numbers; the result is added, not returned."""
    run.add(z=x * y)
