"""Sketches: what a picture of an answer shows, as plain numbers. Drawing is for others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sin
from typing import Any, TypeAlias

from solvers.names import Names
from solvers.shapes import (
    AmountOf,
    GridOf,
    Joint,
    MapOf,
    OrderOf,
    RoutesOf,
    SetsOf,
    Shape,
    Starts,
    SubsetOf,
    TourOf,
    along,
    in_order,
)


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
    """Rows of bars: a Gantt chart, filled bins, amounts. ``limits``: (row, where a line stands)."""

    axis: str
    bars: tuple[Bar, ...]
    rows: tuple[str, ...]
    limits: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Node:
    """A node of a graph; nodes of one ``group`` have one colour."""

    label: str
    x: float
    y: float
    group: str


@dataclass(frozen=True)
class Edge:
    """An edge between nodes by their numbers; ``group`` "" is drawn thin and grey."""

    tail: int
    head: int
    group: str = ""
    label: str = ""


@dataclass(frozen=True)
class Graph:
    """Nodes and edges; ``arrows``: edges have a direction."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    arrows: bool = False


@dataclass(frozen=True)
class Curves:
    """Points (x, y, series) joined to a line for each series."""

    axis: str
    points: tuple[tuple[float, float, str], ...]


Sketch: TypeAlias = Bars | Graph | Curves


def circle(labels: Sequence[str], groups: Sequence[str]) -> tuple[Node, ...]:
    """Return nodes on a circle, the first one on top, clockwise."""
    n = len(labels)
    return tuple(
        Node(label, sin(2 * pi * k / n), cos(2 * pi * k / n), group)
        for k, (label, group) in enumerate(zip(labels, groups, strict=True))
    )


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


def of_shape(shape: Shape[Any, Any], answer: Any, names: Names) -> Sketch:
    """Return the sketch that says of an answer what its shape knows."""
    match shape:
        case SubsetOf():
            words = [names.one(shape.entity, i) for i in range(shape.count)]
            return stacked(words, [[("", 1, "chosen" if i in answer else "")] for i in range(shape.count)], "chosen")
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
        case Joint():
            return of_shape(shape.parts[-1], answer[-1], names)
    raise TypeError(f"no sketch of a {type(shape).__name__}")
