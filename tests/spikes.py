"""A codec of the user's own in a project."""

from __future__ import annotations

SPIKES = """
import numpy as np
from simkit import Codec, hookimpl

class Spikes:
    def __init__(self, t, source):
        self.t, self.source = t, source

{body}
@hookimpl
def simkit_codecs():
    return {codecs}
"""


GOOD = """
def encode(spikes):
    return {"t": spikes.t}, {"source": spikes.source}

def decode(arrays, facts):
    return Spikes(arrays["t"], facts["source"])
"""


CODEC = '[Codec("lab.Spikes", Spikes, encode, decode)]'


STUDY = """
import numpy as np
from simconf import Spikes
from simkit import experiment, product

@experiment
@product(n=[1, 2, 3])
def f(n, kind=Spikes(np.zeros(2), "template")):
    assert isinstance(kind, Spikes)
    return {"spikes": Spikes(np.arange(n), "soma"), "both": [Spikes(np.ones(1), "a"), 2]}
"""


def simconf(project, body=GOOD, codecs=CODEC):
    project.file("simconf.py", SPIKES.format(body=body, codecs=codecs))
    project.file("sim_f.py", STUDY)
