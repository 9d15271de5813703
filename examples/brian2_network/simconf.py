"""The parameters that every experiment of this folder shares, in two groups."""

from typing import Annotated

from brian2 import Quantity, ms, mV

from simkit import parameter


@parameter
class Neuron:
    """Leaky integrate-and-fire neurons."""

    N: Annotated[int, "number of neurons"] = 100
    tau: Annotated[Quantity, "membrane time constant"] = 20 * ms
    drive: Annotated[Quantity, "constant drive, above the threshold"] = 1.5 * mV
    threshold: Annotated[Quantity, "where a neuron fires"] = 1 * mV
    reset: Annotated[Quantity, "where it starts again"] = 0 * mV


@parameter
class Syn:
    """Inhibitory synapses."""

    p: Annotated[float, "probability of a connection"] = 0.1
    w: Annotated[Quantity, "what a spike adds to the voltage"] = -0.1 * mV


@parameter
def duration() -> Quantity:
    """How long the network is simulated."""
    return 200 * ms


@parameter
def recorded() -> list[int]:
    """The neurons whose voltage is recorded."""
    return [0, 1, 2]
