from simkit import experiment, product


@experiment
@product(x=[1.0, 2.0, 3.0, 4.0], y=[6.0, 7.0, 8.0])
def multiply(x: float, y: float) -> dict[str, float]:
    """Multiply two numbers."""
    return {"z": x * y}
