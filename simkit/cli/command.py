"""``simkit [TARGET …]``: from options to a study of every experiment that they select."""

from __future__ import annotations

import datetime
import secrets
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.collect.collection import Item, collect, needed
from simkit.collect.config import (
    KindOf,
    Outside,
    Reshape,
    Settings,
    cores,
    find_rootdir,
    flattened,
    load_settings,
)
from simkit.collect.conversion import convert, expected
from simkit.collect.effects import effects
from simkit.collect.targets import PARTS, Shard, Target, parse_target
from simkit.collect.text import (
    Typed,
    Unfit,
    is_quantity,
    parse,
    parse_axis,
    quantity_stretch,
    spaced,
    split,
    stretch,
    unit_inside,
)
from simkit.declare.space import Space, explore, first_value, with_axis, with_trials
from simkit.declare.tags import seconds
from simkit.errors import NothingToRun, ProviderFailed, SimkitError, SourceNotReady, visible
from simkit.execute.launched import is_by_scoop, launched_by_scoop, launcher
from simkit.inform.terminal import Report
from simkit.record.catalogue import Slot, experiments
from simkit.record.damage import alterations
from simkit.record.recorded import Recorded

if TYPE_CHECKING:
    import argparse

    from simkit.inform.events import Announcer


FAILED, INTERRUPTED, USAGE, NOTHING = 1, 2, 4, 5


def command(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Collect, then list or run; the exit code."""
    if options.init:
        from simkit.cli.template import write_study

        return write_study(options.targets)
    with effects().apart():
        return _command(options, arguments)


def _command(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    targets = [parse_target(argument) for argument in options.targets]
    settings = settings_of(options, arguments, targets)
    try:
        items, problems = collect(settings)
    finally:
        effects().leave()
    if settings.into is not None:
        items = [item for item in items if item.plan.node_id in recorded_ids(settings.into)] or items
    report = report_of(settings, options)
    if options.parameters or options.collect_only:
        from simkit.cli.listing import list_experiments, list_parameters

        code = (
            list_parameters(items, options)
            if options.parameters
            else list_experiments(items, settings, options)
        )
        for problem in problems:
            if not isinstance(report, Report):
                report.uncollected(problem.where, str(problem.error))
            else:
                print(visible(f"simkit: {problem.error}"), file=sys.stderr)
        return USAGE if problems else code
    if settings.engine == "scoop" and settings.workers and not is_by_scoop():
        return launched_by_scoop(arguments, settings.workers)
    for problem in problems:
        report.uncollected(problem.where, str(problem.error))
    from simkit.study.session import transported  # with what executes, which to list needs not

    uncollected = [problem.where for problem in problems]
    with transported(settings, [item.plan for item in items]) as settings:
        code = run_all(items, settings, report, durations=options.durations or 0, uncollected=uncollected)
    return USAGE if problems and code != INTERRUPTED else code


def report_of(settings: Settings, options: argparse.Namespace) -> Report | Announcer:
    """Who is told how it goes: people, or with ``--json`` programs."""
    if not options.json:
        return Report(settings, verbose=options.verbose, quiet=options.quiet, again=again(options))
    from simkit.inform.events import Announcer

    return Announcer(settings, options.json, again=again(options))


def run_all(
    items: Sequence[Item],
    settings: Settings,
    report: Report | Announcer,
    *,
    durations: int,
    uncollected: Iterable[str] = (),
) -> int:
    """Study the experiments one after the other, but those that need the runs of uncollected ones; the exit code."""
    from simkit.study.session import study

    nothing: list[tuple[str, str]] = []
    slots: dict[str, Slot] = {}
    unready = dict.fromkeys(where for where in uncollected if "::" in where)
    code = 0
    try:
        for number, item in enumerate(items, 1):
            node_id = item.plan.node_id
            try:
                check_ready(item, unready)
                progress = study(item, settings, report, slots)
            except NothingToRun as problem:
                nothing.append((item.plan.node_id, str(problem)))
                continue
            except (ProviderFailed, SourceNotReady) as problem:
                report.unstarted(node_id, str(problem))
                unready[node_id] = None
                code = code or problem.exit_code
                continue
            slots[node_id] = progress.target.slot
            code = code or (FAILED if progress.failed_in_all or progress.problems else 0)
            if progress.interrupted or (
                settings.most_failures and progress.failed_in_all >= settings.most_failures
            ):
                code = INTERRUPTED if progress.interrupted else FAILED
                report.unbegun([left.plan.node_id for left in items[number:]])
                break
    except SimkitError:
        close(report, durations)
        raise
    close(report, durations)
    for node_id, text in nothing:
        report.nothing(node_id, text)
    return NOTHING if len(nothing) == len(items) else code


def close(report: Report | Announcer, durations: int) -> None:
    """Say how it ended, where the command was typed: a file that is imported may change the working directory."""
    effects().leave()
    report.close(durations)


def check_ready(item: Item, unready: Iterable[str]) -> None:
    """Refuse an experiment that needs the runs of one that could not be run."""
    lacking = needed(item.plan, unready)
    if lacking:
        msg = f"it needs the runs of {lacking[0]}, which could not be run"
        raise SourceNotReady(msg)


def settings_of(options: argparse.Namespace, arguments: Sequence[str], targets: Sequence[Target]) -> Settings:
    """What the project's configuration and the command's options say together."""
    check_options(options)
    project = load_settings(find_rootdir([target.path for target in targets]))
    workers = project.workers if options.workers is None else worker_count(options.workers)
    return attrs.evolve(
        project,
        targets=targets,
        keyword=options.k,
        where=options.where,
        outside=outside_values(project, options.params, options.set),
        reshape=reshaping(options.product, options.explore, options.sample, options.repeat),
        timeout=None if options.timeout is None else seconds(options.timeout, "--timeout"),
        output=Path(options.output).absolute() if options.output else None,
        seed=options.seed,
        root=secrets.randbits(32),
        fresh=options.fresh,
        into=Path(options.into).absolute() if options.into else None,
        only_failed=options.lf,
        shard=shard(options.shard) if options.shard else None,
        workers=0 if options.pdb else workers,
        method=options.start_method,
        engine=engine_name(options, project),
        most_failures=options.maxfail or 0,
        show_output=options.show_output,
        on_error=debug if options.pdb else None,
        replay=options.pdb and any(target.runs is not None for target in targets),
        allow_incomplete=options.allow_incomplete,
        argv=("simkit", *arguments),
        shaping=shaping(options),
        sumatra=project.sumatra or options.sumatra,
        reason=options.reason,
        every_package=options.verbose > 0,
    )


def shaping(options: argparse.Namespace) -> tuple[str, ...]:
    """The options that give values and points: a command that is suggested repeats them."""
    given = {name: getattr(options, name) for name in ("params", "set", "product")}
    words = [word for name, texts in given.items() for text in texts for word in (f"--{name}", text)]
    for name in ("explore", "sample"):
        words += [f"--{name}", *getattr(options, name)] if getattr(options, name) else []
    return (*words, *(["--repeat", str(options.repeat)] if options.repeat is not None else []))


def check_options(options: argparse.Namespace) -> None:
    """Refuse numbers and pairs of options that mean nothing."""
    if options.seed is not None and options.seed < 0:
        msg = f"--seed {options.seed}: a seed is a whole number from 0 on"
        raise SimkitError(msg)
    for name in ("maxfail", "durations"):
        if (getattr(options, name) or 0) < 0:
            msg = f"--{name} {getattr(options, name)}: give a whole number from 0 on"
            raise SimkitError(msg)
    if options.fresh and options.shard:
        msg = (
            "--fresh and --shard: each task would begin a set of its own\n"
            "    name the new one in all of them: --output results/NAME-002.h5"
        )
        raise SimkitError(msg)
    check_names_once(options)
    contrary = [name for name in ("fresh", "into", "lf") if getattr(options, name)]
    if len(contrary) > 1:
        msg = f"--{contrary[0]} and --{contrary[1]} contradict each other"
        raise SimkitError(msg)


def check_names_once(options: argparse.Namespace) -> None:
    """Refuse two options that give one name different values: the last would win, without a word."""
    if options.explore and options.sample:
        msg = "--explore and --sample both replace the space: give one of them, and --product to multiply it"
        raise SimkitError(msg)
    number, *sampled = options.sample or [""]
    again = next((text for text in sampled if text.isdigit()), None)
    if again is not None:
        msg = f"--sample {number} and --sample {again}: give one number of points, and all names behind it"
        raise SimkitError(msg)
    texts = {"set": options.set, "explore": options.explore, "sample": sampled, "product": options.product}
    given: dict[str, tuple[str, str]] = {}
    for option, assigned in texts.items():
        for text in assigned:
            name = assignment(text, f"--{option}")[0]
            first, said = given.setdefault(name, (option, text))
            replaces = option == "product" and first in ("explore", "sample")
            if said is not text and not replaces:
                msg = f"--{first} {said} and --{option} {text} both give {name}: leave one of them out"
                raise SimkitError(msg)
            given[name] = option, text


def engine_name(options: argparse.Namespace, project: Settings) -> str:
    """Which engine is meant: a launcher that was typed before the command says so as well."""
    if options.engine and options.workers == "0":
        msg = f"--engine {options.engine} and -n 0 contradict each other: -n 0 runs in this process"
        raise SimkitError(msg)
    started = {"mpi4py.futures": "mpi"}.get(launcher(), "scoop" if is_by_scoop() else "")
    return str(options.engine or started or project.engine)


def recorded_ids(path: Path) -> set[str]:
    """The experiments that a file holds runs of."""
    ids = set()
    for name in experiments(path):
        with alterations([path]), closing(Recorded.open(path, name)) as recorded:
            ids.add(str(recorded.attributes["node_id"]))
    return ids


def shard(text: str) -> Shard:
    """``--shard i/n``, ``--shard auto`` or ``--shard auto/n``."""
    first, _, second = text.partition("/")
    if first == "auto" and (text == "auto" or (second.isdecimal() and int(second))):
        return Shard(None, int(second or PARTS))
    if not (first.isdecimal() and second.isdecimal() and int(first) < int(second)):
        msg = (
            f"--shard {text}: write I/N with I from 0 to N-1, as in --shard 3/20\n"
            "    or auto, for one part after the other as they are free"
        )
        raise SimkitError(msg)
    return Shard(int(first), int(second))


def debug(error: BaseException) -> None:
    """Open the debugger where a run failed."""
    import pdb

    from simkit.inject.contact import first_user_frame

    print(f"\n{type(error).__name__}: {error}")
    pdb.post_mortem(first_user_frame(error).__traceback__)


def worker_count(text: str) -> int:
    """``-n``: a number, or all cores that this process may use."""
    if text == "auto":
        return cores()
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        msg = f"-n {text}: give a number of processes, or 'auto'"
        raise SimkitError(msg)
    return number


def outside_values(project: Settings, files: Sequence[str], assigned: Sequence[str]) -> dict[str, Outside]:
    """Values that do not come from the code, the strongest last."""
    values = dict(project.outside)
    for file in files:
        values.update({name: Outside(value, f"--params {file}") for name, value in from_file(file).items()})
    for text in assigned:
        name, value = assignment(text, "--set")
        values[name] = Outside(Typed(value), f"--set {text}")
    return values


def from_file(file: str) -> Mapping[str, Any]:
    """The values of a TOML file, or the constants of a trajectory."""
    path = Path(file)
    if not path.is_file():
        msg = f"--params {file}: no such file"
        raise SimkitError(msg)
    if path.suffix in (".h5", ".hdf5"):
        from simkit.analyse.open import open as open_trajectory

        with open_trajectory(path) as trajectory:
            return trajectory.constants()
    try:
        return flattened(tomllib.loads(path.read_text(encoding="utf-8")), f"--params {file}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"--params {file}: not valid TOML: {error}"
        raise SimkitError(msg) from None


def assignment(text: str, option: str) -> tuple[str, str]:
    """``NAME=VALUE``."""
    name, separator, value = text.partition("=")
    if not separator or not all(part.isidentifier() for part in name.strip().split(".")):
        msg = f"{option} {text}: write {option} NAME=VALUE"
        raise SimkitError(msg)
    return name.strip(), value


def reshaping(
    products: Sequence[str], explored: Sequence[str], sampled: Sequence[str], repeat: int | None
) -> Reshape:
    """What ``--explore`` or ``--sample``, ``--product`` and ``--repeat`` make of a declared space, in this order."""
    if repeat is not None and repeat < 1:
        msg = f"--repeat {repeat}: give a whole number of at least 1"
        raise SimkitError(msg)

    def reshape(space: Space, kind_of: KindOf) -> Space:
        if explored:
            space = explored_space(space, explored, kind_of)
        if sampled:
            space = sampled_space(space, sampled, kind_of)
        for name, text in pairs(products, "--product"):
            space = with_axis(space, name, axis(space, name, text, kind_of, "--product"))
        return space if repeat is None else with_trials(space, repeat)

    return reshape


def explored_space(space: Space, texts: Sequence[str], kind_of: KindOf) -> Space:
    """``--explore x=1,2 y=3,4``: axes that move together."""
    axes = {name: axis(space, name, text, kind_of, "--explore") for name, text in pairs(texts, "--explore")}
    lengths = {len(values) for values in axes.values()}
    if len(lengths) > 1:
        sizes = ", ".join(f"{name} has {len(values)}" for name, values in axes.items())
        msg = (
            f"--explore {' '.join(texts)}: the names move together, but {sizes}\n"
            "    give lists of one length, or --product for all combinations"
        )
        raise SimkitError(msg)
    return explore(axes)


def sampled_space(space: Space, texts: Sequence[str], kind_of: KindOf) -> Space:
    """``--sample 256 x=0:1 k=1,2,4``: a range, or a list to choose from, for each name."""
    number, *rest = texts
    if not number.isdigit() or not rest:
        msg = f"--sample {' '.join(texts)}: write --sample N NAME=LOW:HIGH, as in --sample 256 x=0:1 k=1,2,4"
        raise SimkitError(msg)
    axes: dict[str, Any] = {}
    for name, text in pairs(rest, "--sample"):
        ends = split(text, ":")
        if len(ends) != 2:
            axes[name] = axis(space, name, text, kind_of, "--sample")
            continue
        source, kind = f"--sample {name}={text}", expected_kind(space, name, kind_of)
        if is_quantity(kind) and type(parse(ends[0])) in (int, float):
            ends[0] += "".join(spaced(ends[1]).partition("*")[1:])  # 0:10*mV
        axes[name] = tuple(convert(Typed(end), name, kind, source) for end in ends)
        if kind is int:
            msg = f"{source}: {name} is an int, and a range gives floats: list the values, {name}=1,2,3"
            raise SimkitError(msg)
    from simkit.declare.sampling import sample

    return sample(int(number), axes)


def pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    """Several ``NAME=V,V``."""
    return [assignment(text, option) for text in texts]


def axis(space: Space, name: str, text: str, kind_of: KindOf, option: str) -> list[Any]:
    """An axis from the command line, its values of the type that the code has there."""
    kind, source = expected_kind(space, name, kind_of), f"{option} {name}={text}"
    if is_quantity(kind) and not np.ndim(first_value(space, name)):
        text = unit_inside(text)
    try:
        values = [each for part in parse_axis(text) for each in parts_of(part, name, kind)]
    except Unfit as problem:
        msg = f"{source}: {problem}"
        raise SimkitError(msg) from None
    return [convert(value, name, kind, source) for value in values]


def parts_of(part: Typed, name: str, kind: Any) -> Sequence[Any]:
    """The values that one part of an axis stands for: several where it is a range, ``0:1:11``.

    Raises
    ------
    Unfit
        For a range that has no such values.
    """
    if isinstance(kind, type) and issubclass(kind, (str, bytes, datetime.time, datetime.datetime)):
        return [part]
    return (quantity_stretch(part, name) if is_quantity(kind) else stretch(part)) or [part]


def expected_kind(space: Space, name: str, kind_of: KindOf) -> Any:
    """The type of a name's declared values, or what the code says more of it."""
    return expected(kind_of(name), first_value(space, name))


def again(options: argparse.Namespace) -> list[str]:
    """The arguments that a replay needs besides the node id: those that shape points and values."""
    kept: list[str] = []
    for option in ("set", "params", "product", "repeat", "output"):
        given = getattr(options, option)
        for value in given if isinstance(given, list) else [given] if given is not None else []:
            kept += [f"--{option}", str(value)]
    for option in ("explore", "sample"):
        given = getattr(options, option)
        kept += [f"--{option}", *given] if given else []
    return kept
