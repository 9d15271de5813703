"""Make the pictures of the README and of paper.md again: ``python docs/pictures.py``.

The examples are executed in copies of their folders, and the page of a trajectory is photographed in Chromium.
"""

import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tests")]

from browsers import chromium
from example_folders import EXAMPLES, execute
from PIL import Image

PICTURES = HERE / "_static" / "pictures"
OF_EXAMPLES = {
    "automata": ("automata", ["simkit . -n 2", "python plot_automata.py"]),
    "automata_single": ("automata", ["simkit . -n 2 --set initial=single", "python plot_automata.py"]),
    "network": ("brian2_network", ["simkit . -n 2", "python plot_network.py"]),
    "climb": ("climb", ["simkit . -n 2", "python plot_climb.py"]),
}
NEURON = '''
from typing import Annotated, NamedTuple
import numpy as np
from simkit import Unit, experiment, product

class Out(NamedTuple):
    rate: Annotated[float, "firing rate", Unit("Hz")]

@experiment
@product(current=np.linspace(0.5, 2.5, 21).round(2), noise=np.linspace(0, 0.5, 11).round(2))
def neuron(current: Annotated[float, "input current", Unit("nA")], noise: float, rng) -> Out:
    """Firing rate of a leaky neuron with noisy input."""
    v, spikes = 0.0, 0
    for kick in rng.normal(size=5000):
        v += 0.01 * (current - v) + noise * 0.1 * kick
        if v > 1:
            v, spikes = 0.0, spikes + 1
    return Out(spikes / 0.5)
'''


def small(picture: Path, name: str, width: int) -> None:
    """Keep a picture for pages: no wider than this, in 256 colours."""
    image = Image.open(picture).convert("RGB")
    image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    image.quantize(256, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


def photograph(folder: Path) -> Path:
    """The page of a trajectory, as a desk shows it."""
    (folder / "sim_neuron.py").write_text(NEURON, "utf-8")
    simkit = [sys.executable, "-m", "simkit"]
    subprocess.run([*simkit, "-n", "2", "-q"], cwd=folder, check=True)
    words = [*simkit, "serve", "--no-browser", "--port", "0", "results/neuron-001.h5"]
    with (
        subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as server,
        chromium() as browser,
    ):
        address = next(match[0] for line in server.stdout if (match := re.search(r"http://\S+", line)))
        page = browser.new_page(viewport={"width": 1180, "height": 722})
        page.goto(address)
        page.get_by_role("link", name="neuron-001.h5").click()
        page.locator("body[data-drawn]").wait_for(state="attached")
        page.screenshot(path=folder / "page.png")
        server.send_signal(signal.SIGINT)
    return folder / "page.png"


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        for name, (example, commands) in OF_EXAMPLES.items():
            execute(EXAMPLES / example, commands, made)
            small(made / f"{example}.png", name, 700)
        study = made / "study"
        study.mkdir()
        small(photograph(study), "page", 900)


if __name__ == "__main__":
    main()
