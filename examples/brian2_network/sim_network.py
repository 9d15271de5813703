"""An inhibitory network at three strengths of its synapses."""

from brian2 import Network, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, mV, prefs

from simkit import experiment, product

# No compiler is needed, and the same numbers come out on every machine.
prefs.codegen.target = "numpy"


@experiment
@product({"syn.w": [-0.01 * mV, -0.1 * mV, -0.5 * mV]})
def network(neuron, syn, duration, recorded):
    """Leaky integrate-and-fire neurons that inhibit one another at random."""
    neurons = NeuronGroup(
        neuron.N,
        "dV/dt = (drive - V) / tau : volt",
        threshold="V > V_threshold",
        reset="V = V_reset",
        method="exact",
        namespace={
            "drive": neuron.drive,
            "tau": neuron.tau,
            "V_threshold": neuron.threshold,
            "V_reset": neuron.reset,
        },
        name="neurons",
    )
    neurons.V = "V_reset + rand() * (V_threshold - V_reset)"
    synapses = Synapses(neurons, neurons, on_pre="V += w", namespace={"w": syn.w}, name="synapses")
    synapses.connect(p=syn.p)
    spikes = SpikeMonitor(neurons, name="spikes")
    trace = StateMonitor(neurons, "V", record=recorded, name="trace")
    Network(neurons, synapses, spikes, trace).run(duration)
    return {"spikes": spikes, "trace": trace, "rate": spikes.num_spikes / neuron.N / duration}
