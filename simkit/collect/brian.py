"""What does Brian2 keep from one simulation to the next, and how are its devices seeded and told where to write?

What is read of its groups and monitors is kept as well: Brian2 2.10 gives views of memory that goes with the network.

Nothing here imports Brian2: it looks at what is loaded.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from simkit.declare.reflection import own_attributes

NAME = "Brian2's device, clock and objects"
OUTPUT = "output"  # where a standalone device writes unless it is told otherwise
_HOOK = "_simkit_hook"


def brian2() -> Any:
    """The module ``brian2.devices.device``, once Brian2 is loaded whole."""
    package = sys.modules.get("brian2")  # asked for each run
    is_whole = package is not None and "seed" in own_attributes(package)
    return sys.modules.get("brian2.devices.device") if is_whole else None


class DeviceHook:
    """Stands before the standalone devices: they are seeded when they are set, and write into a folder of the run.

    Attributes
    ----------
    seed
        What a device is seeded with that is set now; None between runs.
    folder
        Gives the folder of the run under way.
    """

    def __init__(self, devices: Any) -> None:
        self.devices = devices
        self.seed: int | None = None
        self.folder: Callable[[], Path] | None = None
        for device in devices.all_devices.values():
            if device is not devices.runtime_device:
                device.activate = self._activating(device, device.activate)
                device.build = self._building(device.build)
        _own_what_is_read(type(devices.runtime_device))

    def _activating(self, device: Any, activate: Callable[..., Any]) -> Callable[..., None]:
        def activated(*args: Any, **kwargs: Any) -> None:
            activate(*args, **kwargs)
            if self.seed is not None:
                device.seed(self.seed)

        return activated

    def _building(self, build: Callable[..., Any]) -> Callable[..., Any]:
        def built(directory: Any = OUTPUT, *args: Any, **kwargs: Any) -> Any:
            own = directory == OUTPUT and self.folder is not None
            return build(str(self.folder() / OUTPUT) if own and self.folder else directory, *args, **kwargs)

        return built

    def begin(self, seed: int) -> None:
        """Seed the devices for a run."""
        self.seed = seed
        runtime, active = self.devices.runtime_device, self.devices.active_device
        runtime.rand_buffer_index[:] = 0
        runtime.randn_buffer_index[:] = 0
        if active is not runtime and hasattr(active, "main_queue"):
            active.main_queue.insert(0, ("seed", seed))  # before what was set up when the file was imported
            active.seed(seed)

    def state(self) -> tuple[Any, ...]:
        """How far the numbers are used that the runtime device has drawn in advance."""
        runtime = self.devices.runtime_device
        pairs = (
            (runtime.rand_buffer_index, runtime.rand_buffer),
            (runtime.randn_buffer_index, runtime.randn_buffer),
        )
        return tuple((int(index[0]), buffer.tobytes() if index[0] else b"") for index, buffer in pairs)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Put that back."""
        self.seed = None
        runtime = self.devices.runtime_device
        runtime.rand_buffer_index[:], runtime.randn_buffer_index[:] = state[0][0], state[1][0]
        for buffer, (_, kept) in zip((runtime.rand_buffer, runtime.randn_buffer), state, strict=True):
            if kept:
                buffer[:] = memoryview(kept).cast("d")


class _Held:
    """Memory as NumPy is told of it, and what would free it."""

    def __init__(self, values: np.ndarray[Any, Any], owner: Any) -> None:
        self.__array_interface__, self.owner = values.__array_interface__, owner


def _own_what_is_read(runtime: type) -> None:
    """Let what is read stay what it was.

    From 2.10 on, ``monitor.t[:]`` is a view of memory that is freed with the monitor, and moves when it grows: what a
    function returns of its network would be other numbers. Brian2 2.9 kept it.
    """
    runtime.variableview_get_with_index_array = staticmethod(_read)  # type: ignore[attr-defined] # Brian2's own seam
    monitors = sys.modules["brian2.monitors.statemonitor"]
    for kind in (monitors.StateMonitor, monitors.StateMonitorView):
        kind.__getattr__ = _copying(kind.__getattr__)


def _read(view: Any, item: Any) -> Any:
    """What a variable holds; recorded numbers are copied, others can be written through what is read."""
    read = sys.modules["brian2.core.variables"].VariableView.get_with_index_array.original_function
    values, variable = read(view, item), view.variable
    if not _is_loose(values):
        return values
    return (
        values.copy() if variable.read_only else np.asarray(_Held(values, variable.device.arrays[variable]))
    )


def _copying(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def copied(monitor: Any, name: str) -> Any:
        value = read(monitor, name)
        return value.copy() if _is_loose(value) else value

    return copied


def _is_loose(value: Any) -> bool:
    """Whether an array shows memory that nothing keeps."""
    while isinstance(value, np.ndarray):
        if value.base is None:
            return not value.flags.owndata
        value = value.base
    return False


def device_hook() -> DeviceHook:
    """The hook of this process's devices."""
    devices = brian2()
    hook: DeviceHook | None = getattr(devices, _HOOK, None)
    if hook is None:
        hook = DeviceHook(devices)
        setattr(devices, _HOOK, hook)
    return hook


def look() -> Any:
    """Device, time steps, preferences, and how many objects there are."""
    devices = brian2()
    active, known = devices.active_device, devices.all_devices
    clocks = {
        name: device.defaultclock.dt_ for name, device in known.items() if device.defaultclock is not None
    }
    used = {
        name: (getattr(device, "has_been_run", False), len(getattr(device, "main_queue", ())))
        for name, device in known.items()
    }
    chosen = (active, getattr(active, "build_on_run", True), dict(active.build_options or {}))
    return chosen, list(devices.previous_devices), clocks, used, dict(_preferences()), len(_instances())


def used(state: Any) -> Any:
    """What the devices were told before they run, of a state that `look` gave."""
    return state[3]


def with_used(state: Any, other: Any) -> Any:
    """A state in which the devices were told what they were told in another one."""
    return (*state[:3], other[3], *state[4:])


def put_back(state: Any) -> None:
    """Let Brian2 be as it was."""
    devices = brian2()
    (active, build_on_run, options), previous, clocks, used, preferences, number = state
    now = look()
    for name, device in devices.all_devices.items():
        if now[3][name] != used.get(name) and device is not devices.runtime_device:
            device.reinit()
    if now[0] != state[0] or now[3] != used:
        devices.active_device = active
        active.activate(build_on_run=build_on_run, **options)
    devices.previous_devices[:] = previous
    for name, step in clocks.items():
        clock = devices.all_devices[name].defaultclock
        if clock is None or clock.dt_ != step:
            _set_step(devices.all_devices[name], step)
    if now[4] != preferences:
        _preferences().clear()
        _preferences().update(preferences)
    if now[5] > number:
        gc.collect()  # networks refer to themselves; their objects' names would count on from run to run


def _set_step(device: Any, step: float) -> None:
    if device.defaultclock is not None:
        device.defaultclock.dt = step * sys.modules["brian2"].second


def _preferences() -> dict[str, Any]:
    preferences: dict[str, Any] = sys.modules["brian2"].prefs.prefs
    return preferences


def _instances() -> set[Any]:
    instances: set[Any] = sys.modules["brian2.core.names"].Nameable.__instances__()
    return instances
