"""Sketches: what a picture of an answer shows, as plain numbers. Drawing is for others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any, TypeAlias

from solvers.names import Names
from solvers.shapes import (
    AmountOf,
    GridOf,
    Joint,
    MapOf,
    OrderOf,
    QuantityOf,
    RoutesOf,
    SetsOf,
    Shape,
    Starts,
    SubsetOf,
    TourOf,
    along,
    in_order,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Place: TypeAlias = tuple[float, float]  # to the right, upwards
SWEEPS = 8  # over the layers of a network
MOVES = 200  # of all nodes of a graph
TINY = 1e-9
LOWER = 0.4  # of the distance of two nodes in a layer


@dataclass(frozen=True)
class Bar:
    """A bar of a row from ``start`` to ``end``; bars of one ``group`` have one colour."""

    row: str
    start: float
    end: float
    label: str
    group: str


@dataclass(frozen=True)
class Bars:
    """Rows of bars: a Gantt chart, filled bins, amounts. ``limits``: (row, where a line stands).

    With ``columns``, a grid: what lies in column k goes from k to k + 1. The group "" is grey where there are others.
    """

    axis: str
    bars: tuple[Bar, ...]
    rows: tuple[str, ...]
    limits: tuple[tuple[str, float], ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A node of a graph, small where it has no label; nodes of one ``group`` have one colour. ``note``: below it."""

    label: str
    x: float
    y: float
    group: str
    note: str = ""


@dataclass(frozen=True)
class Edge:
    """An edge between nodes by their numbers; ``group`` "" is drawn thin and grey."""

    tail: int
    head: int
    group: str = ""
    label: str = ""


@dataclass(frozen=True)
class Graph:
    """Nodes and edges; a group of both has one colour. ``arrows``: edges have a direction. ``caption``: below it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    arrows: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Curves:
    """Points (x, y, series) joined to a line for each series; ``value``: what y is."""

    axis: str
    points: tuple[tuple[float, float, str], ...]
    value: str = "value"


@dataclass(frozen=True)
class Panels:
    """Sketches one below the other."""

    parts: tuple[Bars | Graph | Curves, ...]


Sketch: TypeAlias = Bars | Graph | Curves | Panels


# --- bars -------------------------------------------------------------------------------------------------------------


def stacked(rows: Sequence[str], parts: Sequence[Sequence[tuple[str, float, str]]], axis: str) -> Bars:
    """Return rows whose parts (label, length, group) lie end to end."""
    bars = []
    for row, own in zip(rows, parts, strict=True):
        end = 0.0
        for label, length, group in own:
            if length:
                bars.append(Bar(row, end, end + length, label, group))
                end += length
    return Bars(axis, tuple(bars), tuple(rows))


def limited(bars: Bars, limits: Sequence[float]) -> Bars:
    """Return rows with a line in each."""
    return replace(bars, limits=tuple(zip(bars.rows, limits, strict=True)))


def grid(
    rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[int, int], tuple[str, str]], axis: str
) -> Bars:
    """Return a table of cells (row, column) -> (label, group); what is no cell stays blank."""
    bars = [Bar(rows[i], j, j + 1, label, group) for (i, j), (label, group) in cells.items()]
    return Bars(axis, tuple(bars), tuple(rows), columns=tuple(columns))


def profile(row: str, values: Sequence[int], most: int) -> list[Bar]:
    """Return bars with what holds from time to time, "used in full" where it is ``most``; 0 is left out."""
    bars: list[Bar] = []
    for t, value in enumerate(values):
        if bars and bars[-1].end == t and bars[-1].label == str(value):
            bars[-1] = replace(bars[-1], end=t + 1)
        elif value:
            bars.append(Bar(row, t, t + 1, str(value), "used in full" if value == most else ""))
    return bars


# --- places of nodes --------------------------------------------------------------------------------------------------


def circle(labels: Sequence[str], groups: Sequence[str]) -> tuple[Node, ...]:
    """Return nodes on a circle, the first one on top, clockwise."""
    n = len(labels)
    return tuple(
        Node(label, sin(2 * pi * k / n), cos(2 * pi * k / n), group)
        for k, (label, group) in enumerate(zip(labels, groups, strict=True))
    )


def in_plane(distance: Sequence[Sequence[float]]) -> list[Place]:
    """Return places whose distances are about those given (classical multidimensional scaling: Torgerson 1952).

    Distances that differ with the direction are averaged. Of the two ways along each axis, the one is taken in which
    the place farthest out has a positive coordinate.
    """
    import numpy as np

    given = np.array(distance, dtype=float)
    n = len(given)
    away = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-away @ (((given + given.T) / 2) ** 2) @ away / 2)
    places = np.zeros((n, 2))
    for axis in range(min(n, 2)):
        column = vectors[:, -1 - axis] * max(values[-1 - axis], 0) ** 0.5
        far = int(np.argmax(np.round(np.abs(column), 6)))
        places[:, axis] = -column if column[far] < 0 else column
    return _pairs(places)


def untangled(nodes: int, edges: Sequence[tuple[int, int]]) -> list[Place]:
    """Return places of a connected graph's nodes that are about as far apart as the edges between them are many.

    Stress majorisation (Gansner, Koren and North 2004), from where classical scaling puts the nodes.
    """
    import numpy as np

    if nodes < 3:
        return [(float(i), 0.0) for i in range(nodes)]
    beside = [*edges, *((j, i) for i, j in edges)]
    away = np.array([hops(nodes, beside, [i]) for i in range(nodes)], dtype=float)
    turn = np.arange(nodes) * 2.4  # nodes in one place must not stay there
    places = np.array(in_plane(away.tolist())) + 0.05 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    weight = 1 / np.where(away > 0, away, np.inf) ** 2
    back = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight)
    for _ in range(MOVES):
        gap = np.linalg.norm(places[:, None] - places[None], axis=2)
        pull = -weight * away / np.maximum(gap, TINY)
        places = back @ ((pull - np.diag(pull.sum(axis=1))) @ places)
    return _pairs(places)


def _pairs(places: "NDArray[Any]") -> list[Place]:
    return [(round(float(x), 4), round(float(y), 4)) for x, y in places]


def hops(nodes: int, arcs: Sequence[tuple[int, int]], sources: Sequence[int]) -> list[int]:
    """Return, by node, the fewest arcs from a source to it; where there is no way, one more than the most."""
    found, front, step = dict.fromkeys(sources, 0), list(sources), 0
    while front:
        step += 1
        front = [j for i, j in arcs if i in front and j not in found]
        found.update(dict.fromkeys(front, step))
    return [found.get(i, step) for i in range(nodes)]


def layered(layer: Sequence[int], arcs: Sequence[tuple[int, int]]) -> list[Place]:
    """Return places of nodes in layers from left to right, each near the middle of its neighbours' heights.

    Every other layer stands a little lower, so that few arcs over a layer run into its nodes.
    """
    layers = [[i for i, own in enumerate(layer) if own == k] for k in range(1 + max(layer))]
    height = {i: place - (len(own) - 1) / 2 for own in layers for place, i in enumerate(own)}
    for sweep in range(SWEEPS):
        for own in layers if sweep % 2 else reversed(layers):
            near = {i: [height[b if a == i else a] for a, b in arcs if i in (a, b)] for i in own}
            own.sort(key=lambda i: (sum(near[i]) / len(near[i]) if near[i] else 0.0, i))
            height.update({i: place - (len(own) - 1) / 2 for place, i in enumerate(own)})
    return [(1.5 * own, -height[i] - LOWER * (own % 2)) for i, own in enumerate(layer)]


def flows(nodes: Sequence[Node], ends: Sequence[tuple[int, int]], flow: Sequence[int], most: Sequence[int]) -> Graph:
    """Return a network with the flow of each arc beside its capacity."""
    groups = ["used in full" if own == limit else "used" if own else "" for own, limit in zip(flow, most, strict=True)]
    edges = [
        Edge(*pair, group if own else "", f"{own}/{limit}")
        for pair, group, own, limit in zip(ends, groups, flow, most, strict=True)
    ]
    return Graph(tuple(nodes), tuple(edges), arrows=True, caption="on an arc: flow / capacity")


def stages(nodes: int, used: Sequence[tuple[int, int]], arcs: Sequence[tuple[int, int]]) -> list[int]:
    """Return the layer of each node, so that what is used leads to a later layer (unless it goes round in circles).

    A node that nothing used touches is put where its neighbours are.
    """
    layer = [0] * nodes
    for _ in range(nodes):
        for i, j in used:
            layer[j] = min(max(layer[j], layer[i] + 1), nodes)
    touched = {i for arc in used for i in arc}
    for i in range(nodes):
        near = [layer[b if a == i else a] for a, b in arcs if i in (a, b)]
        if i not in touched and near:
            layer[i] = sum(near) // len(near)
    return [sorted(set(layer)).index(own) for own in layer]


# --- what a shape knows -----------------------------------------------------------------------------------------------


def of_shape(shape: Shape[Any, Any], answer: Any, names: Names) -> Sketch:
    """Return the sketch that says of an answer what its shape knows."""
    match shape:
        case SubsetOf():
            labels = [names.label(shape.entity, i) for i in range(shape.count)]
            chosen = [(labels[i], 1.0, "chosen") for i in range(shape.count) if i in answer]
            others = [(labels[i], 1.0, "") for i in range(shape.count) if i not in answer]
            return stacked(["chosen", "not chosen"], [chosen, others], names.all(shape.entity))
        case MapOf():
            targets = [names.one(shape.target, j) for j in range(shape.targets)]
            held = [
                [(names.label(shape.entity, i), 1.0, "") for i in answer if answer[i] == j]
                for j in range(shape.targets)
            ]
            return stacked(targets, held, names.all(shape.entity))
        case SetsOf():
            bars = tuple(
                Bar(names.one(shape.entity, i), j, j + 1, names.label(shape.target, j), "")
                for i, things in answer.items()
                for j in sorted(things)
            )
            return Bars(names.all(shape.target), bars, tuple(names.one(shape.entity, i) for i in range(shape.count)))
        case AmountOf():
            words = [names.one(shape.entity, i) for i in range(len(shape.most))]
            return stacked(
                words, [[(str(answer[i]), answer[i], "")] for i in range(len(shape.most))], names.word(shape.key)
            )
        case GridOf():
            words = [names.one(shape.row, i) for i in range(len(shape.most))]
            cells = [
                [(str(answer[i, j]), answer[i, j], names.one(shape.column, j)) for j in range(shape.columns)]
                for i in range(len(shape.most))
            ]
            return stacked(words, cells, names.word(shape.key))
        case OrderOf():
            order = [(names.label(shape.entity, i), 1.0, names.label(shape.entity, i)) for i in in_order(answer)]
            return stacked(["order"], [order], "place")
        case Starts():
            bars = tuple(
                Bar(names.one(shape.entity, j), start, start + shape.durations[j][k], str(k + 1), str(k + 1))
                for (j, k), start in sorted(answer.items())
            )
            return Bars("time", bars, tuple(names.one(shape.entity, j) for j in range(len(shape.durations))))
        case TourOf():
            tour = along(answer)
            nodes = circle([names.label(shape.entity, i) for i in tour], ["" for _ in tour])
            return Graph(nodes, tuple(Edge(k, (k + 1) % len(tour), "tour") for k in range(len(tour))), arrows=True)
        case RoutesOf():
            stops = [i for k in range(shape.vehicles) for i in answer[k]]
            place = {i: k + 1 for k, i in enumerate(stops)}
            nodes = (Node("depot", 0, 0, ""), *circle([names.label(shape.stop, i) for i in stops], [""] * len(stops)))
            edges = []
            for k in range(shape.vehicles):
                path = [0, *(place[i] for i in answer[k]), 0]
                edges += [Edge(a, b, names.one(shape.vehicle, k)) for a, b in pairwise(path) if a != b]
            return Graph(nodes, tuple(edges), arrows=True)
        case QuantityOf():
            words = [names.one(shape.entity, i) for i in range(len(shape.span))]
            amounts = [[(f"{float(answer[i]):g}", float(answer[i]), "")] for i in range(len(shape.span))]
            return stacked(words, amounts, f"{names.word(shape.key)} ({shape.unit})")
        case Joint():
            parts = [of_shape(part, own, names) for part, own in zip(shape.parts, answer, strict=True)]
            return Panels(tuple(part for part in parts if not isinstance(part, Panels)))
    raise TypeError(f"no sketch of a {type(shape).__name__}")
