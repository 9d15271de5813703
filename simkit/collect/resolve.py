"""Resolve an experiment's arguments, and all that they need, into a checked plan."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs

from simkit.collect import problems
from simkit.collect.config import Outside
from simkit.collect.conversion import convert
from simkit.collect.fields import Namespace, evolved, group_class, own_doc
from simkit.collect.plan import BUILTINS, Need, Node
from simkit.collect.signatures import (
    MISSING,
    Level,
    NoField,
    Provider,
    Request,
    Requester,
    every_field,
    field_at,
    requester,
    requests,
)
from simkit.declare.annotations import Note, note, notes
from simkit.declare.feed import Upstream, whole
from simkit.declare.forms import TRIAL, axes
from simkit.declare.reflection import doc_of
from simkit.declare.space import Space
from simkit.errors import SimkitError, location, together
from simkit.values.compare import same

Chain = tuple[Requester, ...]


@attrs.define(eq=False)
class Resolver:
    """Collects the nodes of one experiment, asking each provider for what it needs in turn."""

    space: Space
    levels: Sequence[Level]
    outside: Mapping[str, Outside]
    experiments: Mapping[str, Callable[..., Any]] = attrs.field(factory=dict)  # whose runs may be asked for
    dropped: Collection[str] = ()  # names of the declared space that the one which replaces it has not
    nodes: dict[str, Node] = attrs.field(factory=dict)
    used: set[str] = attrs.field(factory=set)
    missing: dict[str, SimkitError] = attrs.field(factory=dict)  # until another argument's default turns up
    feeds: Mapping[str, Upstream] = attrs.field(init=False)
    fed: Mapping[str, Upstream] = attrs.field(init=False)  # names that come with runs of other experiments

    def __attrs_post_init__(self) -> None:
        self.feeds = self.space.feeds
        self.fed = {name: feed for feed in self.feeds.values() for name in feed.names}

    def experiment(self, function: Callable[..., Any]) -> tuple[Need, ...]:
        """Resolve everything that the experiment needs and check that all that was given is used."""
        asker = Requester("", f"experiment {function.__name__}", location(function))
        problems.check_names(asker.where, self.space.names, self.outside)
        for name, values in axes(self.space.form):
            problems.check_axis(asker.where, name, values)
        needs = self.call(requests(function), (asker,))
        given = [*self.feeds, *(name for name in self.space.names if name not in self.fed)]
        unused = [n for n in given if n not in self.used and n != TRIAL]
        names = [node.name for node in self.nodes.values()]
        wrong = [*self.missing.values(), *(problems.unused(n, asker, names, self.fields()) for n in unused)]
        if wrong:
            raise together(wrong)
        self.check_fed()
        return needs

    def check_fed(self) -> None:
        """A name that comes with another experiment's runs must not have a value of its own here."""
        for name, feed in self.fed.items():
            provider = self.find(name.partition(".")[0], 0)
            if name in self.used and provider is not None and not self.is_shared(provider, feed):
                raise problems.fed_and_provided(name, feed, provider.where)

    def is_shared(self, provider: Provider, feed: Upstream) -> bool:
        """Whether the experiment before this one has its values from the same provider."""
        if feed.providers is None:
            return True
        if feed.experiment is None:  # a file does not say: what several experiments need is in a simconf.py
            return provider not in self.levels[0].values()
        return provider.thing in feed.providers

    def unprovided(self, function: Callable[..., Any]) -> list[str]:
        """The names that the experiment needs, and that nothing gives a value: each point must."""
        self.call(requests(function), (Requester("", f"experiment {function.__name__}", location(function)),))
        return list(self.missing)

    def fields(self) -> list[str]:
        """The names of all group fields within reach."""
        groups = [p for level in self.levels for p in level.values() if p.is_group]
        return [name for group in groups for name in every_field(group.name, group.thing)]

    def call(self, asked: list[Request], chain: Chain) -> tuple[Need, ...]:
        """The needs of one call, arguments with defaults first: a default may serve the others."""
        by_default = sorted(asked, key=lambda request: request.default is MISSING)
        keys = {request.name: self.request(request, chain) for request in by_default}
        return tuple(Need(request.name, keys[request.name], request.keyword) for request in asked)

    def request(self, request: Request, chain: Chain) -> str:
        """The key of the node that gives this argument."""
        name = request.name
        if any(asker.key == name for asker in chain):
            raise problems.cycle(name, chain)
        if name in self.fed and request.default is not MISSING and self.fed[name].providers is not None:
            raise problems.fed_and_provided(name, self.fed[name], f"default of {chain[-1]}")
        known = self.nodes.get(name)
        if known is None:
            self.nodes[name] = self.make(request, chain)
        elif name not in self.used:
            self.check_one_value(known, request, chain)
        self.annotate(self.nodes[name], request)
        return name

    def annotate(self, node: Node, request: Request) -> None:
        """Where the first who asked for an explored name or a constant said nothing of it, another may."""
        said = request.note
        is_said, can_be_said = said.comment or said.unit, node.kind in ("explored", "constant")
        if is_said and can_be_said and not (node.comment or node.unit):
            self.nodes[request.name] = attrs.evolve(node, comment=said.comment, unit=said.unit)

    def check_one_value(self, known: Node, request: Request, chain: Chain) -> None:
        """A name has one value in an experiment, whoever asks for it."""
        asker = chain[-1]
        if request.name in self.missing:
            if request.default is not MISSING:
                del self.missing[request.name]
                self.nodes[request.name] = self.normal(request, chain)
            return
        if request.default is not MISSING:
            agree = known.kind == "constant" and same(known.value, request.default)
            if not agree:
                raise problems.two_values(request.name, known, asker, request.default)
        elif known.kind == "constant" and (provider := self.find(request.name, 0)):
            raise problems.two_values(request.name, known, asker, provider)

    def make(self, request: Request, chain: Chain) -> Node:
        """The node of a name, whatever is laid on top of what the code says included."""
        name = request.name
        if name in self.feeds:
            return self.from_runs(request, self.feeds[name], chain)
        if name in self.space.names:
            return self.explored(request, chain)
        node = self.constant(request, chain) or self.normal(request, chain)
        overlaid = self.given_fields(name) if node.kind != "group" else []
        if overlaid:
            problems.check_is_group(chain[0].where, node, f"{name}.{overlaid[0]}")
            return self.overlay(attrs.evolve(node, key=name), chain)
        return node

    def explored(self, request: Request, chain: Chain) -> Node:
        """A value that the space gives; where it may lack it, the normal one stands in."""
        name = request.name
        self.use(name)
        needs = self.normal_need(request, chain) if name in self.space.optional else ()
        about = request.note
        return Node(
            name,
            "explored",
            needs=needs,
            varying=True,
            origin="explored",
            comment=about.comment,
            unit=about.unit,
        )

    def use(self, name: str) -> None:
        """Note that somebody asks for what the space gives; no value from outside may stand in its way."""
        given = self.outside.get(name)
        if given is not None and given.source.startswith(("--set", "set=")):
            raise problems.set_explored(name, given.source)
        self.used.add(name)

    def normal_need(self, request: Request, chain: Chain) -> tuple[Need, ...]:
        """The value that stands in at points that lack the name."""
        name = request.name
        if f"{name}@normal" not in self.nodes:
            base = self.constant(request, chain) or self.normal(request, chain, explored=True)
            self.nodes[f"{name}@normal"] = attrs.evolve(base, key=f"{name}@normal")
        return (Need(name, f"{name}@normal"),)

    def from_runs(self, request: Request, feed: Upstream, chain: Chain) -> Node:
        """What the runs of another experiment give at each point."""
        self.use(request.name)
        needs = self.normal_need(request, chain) if feed.is_optional else ()
        return Node(request.name, "feed", value=feed, needs=needs, varying=True, origin=feed.words)

    def constant(self, request: Request, chain: Chain) -> Node | None:
        """A value from outside."""
        given = self.outside.get(request.name)
        if given is None:
            return None
        self.used.add(request.name)
        if request.default is MISSING:
            problems.check_given_group(self.find(request.name, 0), given)
        about, kind = self.about(request)
        value = convert(given.value, request.name, kind, given.source)
        return self.fixed(request.name, value, about, given.source)

    def about(self, request: Request) -> tuple[Note, Any]:
        """What is known of a name's type: from the argument, else from the provider that it hides."""
        provider = self.find(request.name, 0)
        if request.kind is None and provider is not None and not provider.is_group:
            returned = notes(provider.thing).get("return", Note())
            return returned, returned.type
        return request.note, request.kind

    def fixed(self, name: str, value: Any, about: Note, origin: str) -> Node:
        """A constant, checked to be storable now rather than after a night of runs."""
        problems.check_storable(name, value, origin)
        return Node(name, "constant", value=value, origin=origin, comment=about.comment, unit=about.unit)

    def normal(self, request: Request, chain: Chain, *, explored: bool = False) -> Node:
        """The value that the code gives: a default, the nearest provider, or a built-in."""
        if request.default is not MISSING:
            return self.fixed(request.name, request.default, request.note, f"default of {chain[-1]}")
        found = self.find(request.name, 0)
        if found is not None:
            return self.provided(found, 0, chain)
        if request.name in BUILTINS:
            return self.builtin(request.name, chain)
        experiment = self.experiments.get(request.name)
        if experiment is not None:
            feed = whole(request.name, experiment)
            return Node(request.name, "feed", value=feed, scope="experiment", origin=feed.words)
        namespace = self.namespace(request.name, chain)
        if namespace is not None:
            return namespace
        available = [*self.space.names, *BUILTINS, *(name for level in self.levels for name in level)]
        dropped = request.name in self.dropped
        problem = problems.unknown(request.name, chain, available, explored=explored, dropped=dropped)
        if explored:
            raise problem
        self.missing[request.name] = problem
        return Node(request.name, "constant")

    def find(self, name: str, start: int) -> Provider | None:
        """The nearest provider of a name, from a level on."""
        return next((level[name] for level in self.levels[start:] if name in level), None)

    def builtin(self, name: str, chain: Chain) -> Node:
        """A run's own object; ``rng`` and ``random_state`` are made from ``seed``, whoever gives that."""
        needs: tuple[Need, ...] = ()
        if name in ("rng", "random_state"):
            needs = (Need("seed", self.request(Request("seed", MISSING, Note()), chain)),)
        return Node(name, "builtin", needs=needs, varying=True, origin="built in")

    def provided(self, provider: Provider, start: int, chain: Chain) -> Node:
        """The node of a provider, with all that it asks for."""
        start = next(i for i, level in enumerate(self.levels) if i >= start and provider in level.values())
        key = (
            provider.name if start == 0 or not self.is_asking(provider, chain) else f"{provider.name}@{start}"
        )
        asker = requester(provider.tag.kind or "", key, provider.thing)
        if provider.is_group:
            return self.group(provider, key, (*chain, asker))
        asked = requests(provider.thing)
        streams = [r for r in asked if r.name in ("rng", "seed", "random_state") and self.is_builtin(r)]
        own = [r for r in asked if r.name == provider.name]
        others = [r for r in asked if r not in streams and r not in own]
        keys = {need.argument: need.key for need in self.call(others, (*chain, asker))}
        keys.update({r.name: self.outer(provider, start, (*chain, asker)) for r in own})
        varying = any(self.nodes[k].varying for k in keys.values())
        per_run = varying or (provider.tag.kind == "fixture" and provider.tag.scope == "run")
        keys.update({r.name: self.stream(r, key, (*chain, asker), per_run=per_run) for r in streams})
        needs = tuple(Need(r.name, keys[r.name], r.keyword) for r in asked)
        if provider.tag.kind == "fixture":
            return self.fixture(provider, key, needs, (*chain, asker))
        returned = notes(provider.thing).get("return", note(None))
        comment = returned.comment or doc_of(provider.thing).strip()
        return Node(
            key, "derived", provider.thing, needs=needs, varying=per_run, origin=provider.where,
            comment=comment, unit=returned.unit,
        )  # fmt: skip

    def is_asking(self, provider: Provider, chain: Chain) -> bool:
        """Whether a nearer provider of this name asks for it: then this one is the wrapped value."""
        return any(asker.key.partition("@")[0] == provider.name for asker in chain)

    def outer(self, provider: Provider, start: int, chain: Chain) -> str:
        """The key of the next outer provider of the same name."""
        found = self.find(provider.name, start + 1)
        if found is None:
            available = [name for level in self.levels[start + 1 :] for name in level]
            raise problems.unknown(provider.name, chain, available, explored=False)
        node = self.provided(found, start + 1, chain)
        key = node.key if "@" in node.key else f"{node.key}@{start + 1}"
        self.nodes[key] = attrs.evolve(node, key=key)
        return key

    def is_builtin(self, request: Request) -> bool:
        """Whether a stream's name means the built-in one."""
        name = request.name
        mine = name in self.space.names or name in self.outside or request.default is not MISSING
        return not mine and self.find(name, 0) is None and name not in self.used

    def stream(self, request: Request, key: str, chain: Chain, *, per_run: bool) -> str:
        """The run's random stream, or the experiment's own where the value is shared by all runs."""
        if per_run:
            return self.request(request, chain)
        seed = f"seed@{key}"
        self.nodes[seed] = Node(seed, "builtin", scope="experiment", origin="built in")
        if request.name == "seed":
            return seed
        made = f"{request.name}@{key}"
        self.nodes[made] = Node(
            made, "builtin", needs=(Need("seed", seed),), scope="experiment", origin="built in"
        )
        return made

    def fixture(self, provider: Provider, key: str, needs: tuple[Need, ...], chain: Chain) -> Node:
        """A fixture; one that the runs share may not need what differs between them."""
        shared = provider.tag.scope == "experiment"
        culprit = next((n for n in needs if self.nodes[n.key].varying), None) if shared else None
        if culprit is not None:
            raise problems.shared_needs_varying(provider, culprit.key, self.nodes, chain)
        return Node(
            key, "fixture", provider.thing, needs=needs, varying=not shared, scope=provider.tag.scope,
            origin=provider.where,
        )  # fmt: skip

    def group(self, provider: Provider, key: str, chain: Chain) -> Node:
        """A parameter class, its fields replaced by what was explored, given from outside, or has providers."""
        name, inner = provider.name, self.inner_providers(provider.name, chain)
        below = tuple(f"{need.argument}." for need in inner)
        given = [] if "@" in key else [n for n in self.given_fields(name) if not n.startswith(below)]
        asked = [self.asked_field(provider, field) for field in given]
        for need in inner:
            self.asked_field(provider, need.argument)
        self.check_complete(provider, {*given, *(need.argument for need in inner)}, chain)
        needs = (*inner, *(self.field(name, request, chain) for request in asked))
        return Node(
            key, "group", provider.thing, needs=needs, varying=self.is_varying(needs), origin=provider.where,
            comment=own_doc(provider.thing),
        )  # fmt: skip

    def asked_field(self, provider: Provider, name: str) -> Request:
        """A field of a parameter class, or of a group in it, under its dotted name there."""
        request = field_at(provider.thing, name)
        if isinstance(request, NoField):
            raise problems.unknown_field(provider.name, provider.where, name, request, self.outside)
        return attrs.evolve(request, name=name)

    def check_complete(self, provider: Provider, given: set[str], chain: Chain) -> None:
        """Every field has a value: its own default, or one that is given."""
        for full, request in every_field(provider.name, provider.thing).items():
            name = full.removeprefix(f"{provider.name}.")
            wholes = {name.rsplit(".", i)[0] for i in range(name.count(".") + 1)}
            if request.default is MISSING and given.isdisjoint(wholes):
                raise problems.no_value(provider, name, chain)

    def inner_providers(self, name: str, chain: Chain) -> tuple[Need, ...]:
        """The fields of a group that have providers of their own, as ``@parameter(name="model.synaptic")``."""
        prefix = f"{name}."
        inside = (known for level in self.levels for known in level if known.startswith(prefix))
        fields = dict.fromkeys(known[len(prefix) :].partition(".")[0] for known in inside)
        return tuple(
            Need(field, self.request(Request(f"{prefix}{field}", MISSING, Note()), chain), keyword=True)
            for field in fields
        )

    def namespace(self, name: str, chain: Chain) -> Node | None:
        """A group without a class, of the providers whose names lie below its own; None where there are none."""
        if not any(known.startswith(f"{name}.") for level in self.levels for known in level):
            return None
        asker = Requester(name, f"group {name}", chain[-1].where)
        needs = self.inner_providers(name, (*chain, asker))
        return Node(
            name,
            "group",
            Namespace,
            needs=needs,
            varying=self.is_varying(needs),
            origin="providers of its fields",
        )

    def overlay(self, node: Node, chain: Chain) -> Node:
        """A group that a function or a default gives, with some of its fields replaced."""
        base = self.nodes[f"{node.key}@base"] = attrs.evolve(node, key=f"{node.key}@base")
        needs = [Need("group", base.key)]
        for field in self.given_fields(node.key):
            normal = f"{node.key}.{field}@normal"
            self.nodes[normal] = attrs.evolve(
                base, key=normal, kind="derived", make=operator.attrgetter(field), value=None,
                needs=(Need(field, base.key),),
            )  # fmt: skip
            needs.append(self.field(node.key, self.overlaid_field(node, field), chain))
        return attrs.evolve(
            node, kind="overlay", make=evolved, needs=tuple(needs), varying=self.is_varying(needs), value=None
        )

    def overlaid_field(self, node: Node, field: str) -> Request:
        """What is known of a field that is replaced: from the group itself, else from its class."""
        group = node.value if node.kind == "constant" else group_class(_returned(node.make))
        if group is None:
            return Request(field, MISSING, Note())
        request = field_at(group, field)
        if isinstance(request, NoField):
            raise problems.unknown_field(node.name, node.origin, field, request, self.outside)
        return attrs.evolve(request, name=field)

    def given_fields(self, group: str) -> list[str]:
        """The fields of a group that the space or the outside names."""
        names = (*self.space.names, *self.outside)
        return [n.removeprefix(group + ".") for n in dict.fromkeys(names) if n.startswith(group + ".")]

    def field(self, group: str, request: Request, chain: Chain) -> Need:
        """What gives the value of one replaced field: explored, or from outside."""
        name = f"{group}.{request.name}"
        if name not in self.nodes:
            dotted = attrs.evolve(request, name=name)
            node = self.explored(dotted, chain) if name in self.space.names else self.constant(dotted, chain)
            assert node is not None  # a given field is explored or comes from outside
            self.nodes[name] = node
        return Need(request.name, name, keyword=True)

    def is_varying(self, needs: Iterable[Need]) -> bool:
        """Whether one of the values that are needed may differ between runs."""
        return any(self.nodes[need.key].varying for need in needs)


def _returned(function: Any) -> Any:
    """The type that a provider says it returns."""
    return notes(function).get("return", Note()).type if callable(function) else None
