"""The travelling salesman (Dantzig, Fulkerson and Johnson 1954): the shortest round tour; distances may be asymmetric.

Modules: ``time_window`` (when a city is reached, as in Dumas, Desrosiers, Gelinas and Solomon 1995), ``precedence``
(a city before another) and ``forbidden_arc`` (a city not directly after another).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import Any, ClassVar, TypeAlias

from solvers.constrained import Fits, Optimization
from solvers.formats.tsplib import read_tsp
from solvers.keys import Stream
from solvers.names import Costume, Names, sentence
from solvers.problem import Constraint, Data, Famous, Knobs, Objective, ladder
from solvers.shapes import Partial, TourOf, TourVariables
from solvers.shapes.orders import rounded_up

Tour: TypeAlias = Partial[int, int]  # city -> the next one
Matrix: TypeAlias = tuple[tuple[int, ...], ...]
SIDE = 60  # of the square in which all cities lie


@dataclass(frozen=True, kw_only=True)
class TspKnobs(Knobs):
    cities: int
    windows: int
    precedences: int
    forbidden: int
    detour: int  # most that a way is longer than the straight one, %


@dataclass(frozen=True)
class TspData(Data):
    distance: Matrix  # from, to
    windows: tuple[tuple[int, int, int], ...] = ()  # (city, opening, closing)
    precedences: tuple[tuple[int, int], ...] = ()  # (city, one that comes later)
    forbidden: tuple[tuple[int, int], ...] = ()  # (city, one that doesn't come next)

    def opening(self) -> tuple[int, ...]:
        """Return by city when it opens: at 0 where it has no window."""
        opens = {city: opening for city, opening, _ in self.windows}
        return tuple(opens.get(i, 0) for i in range(len(self.distance)))


@dataclass(frozen=True)
class Visited(Constraint[Tour, TourVariables]):
    kind: ClassVar[str] = "visited"
    constraint_class: ClassVar[str] = "structure"
    city: int

    def say(self, names: Names) -> str:
        return f"Every {names.word('city')} is visited exactly once."

    def check(self, answer: Tour) -> int:
        return 0 if answer[self.city] >= 0 else -1

    def post(self, model: Any, x: TourVariables) -> None:
        model.add(x.arc[self.city, self.city] == 0)


@dataclass(frozen=True)
class TimeWindow(Constraint[Tour, TourVariables]):
    """``opening``: by city, when it opens; to wait there delays what follows. ``limit``: when this city closes."""

    kind: ClassVar[str] = "time_window"
    constraint_class: ClassVar[str] = "temporal"
    city: int
    distance: Matrix
    opening: tuple[int, ...]
    limit: int

    def say(self, names: Names) -> str:
        city, opening = sentence(names.one("city", self.city)), self.opening[self.city]
        return (
            f"{city} is reached at time {self.limit} at the latest; a tour that reaches it before time {opening} waits"
            f" there until time {opening}."
        )

    def check(self, answer: Tour) -> int:
        return self.limit - arrivals(answer, self.distance, self.opening)[self.city]

    def post(self, model: Any, x: TourVariables) -> None:
        arrival = x.once("arrival", lambda: arriving(model, x, self.distance, self.opening))
        model.add(arrival[self.city] <= self.limit)
        for city in (0, self.city):
            model.add(x.arc[city, city] == 0)


def arrivals(tour: Tour, distance: Matrix, opening: Sequence[int]) -> Partial[int, int]:
    """Return when each city of a tour is reached that leaves city 0 at time 0. Raises Absent without city 0."""
    arrival, here, time = Partial({0: 0}), 0, 0
    while (following := tour[here]) != 0:
        time = max(time, opening[here]) + distance[here][following]
        arrival[following], here = time, following
    return arrival


def arriving(model: Any, x: TourVariables, distance: Matrix, opening: Sequence[int]) -> list[Any]:
    """Return variables of when each city is reached, bounded from below by what it takes.

    Not only the city before counts, but every city that comes before: proofs are much faster.
    """
    n = len(distance)
    latest = max(opening) + sum(map(max, distance))
    arrival = [model.new_int_var(0, latest, f"arrival {i}") for i in range(n)]
    leaving = [model.new_int_var(opening[i], latest, f"leaving {i}") for i in range(n)]
    before, least = x.once("before", lambda: coming_before(model, x, n)), shortest(distance)
    model.add(leaving[0] == 0)
    for i in range(1, n):
        model.add(leaving[i] >= arrival[i])
        model.add(arrival[i] >= least[0][i])
        model.add(arrival[i] >= distance[0][i]).only_enforce_if(x.arc[0, i])
        for j in range(1, n):
            if i != j:
                model.add(arrival[j] >= leaving[i] + least[i][j]).only_enforce_if(before[i, j])
                if least[i][j] < distance[i][j]:
                    model.add(arrival[j] >= leaving[i] + distance[i][j]).only_enforce_if(x.arc[i, j])
    return arrival


def coming_before(model: Any, x: TourVariables, n: int) -> dict[tuple[int, int], Any]:
    """Return (city, city) -> whether the first one comes before the second one on a tour that starts from city 0."""
    before = {(i, j): model.new_bool_var(f"{i} before {j}") for i in range(1, n) for j in range(i + 1, n)}
    before |= {(j, i): ~literal for (i, j), literal in before.items()}
    for i, j in before:
        model.add_implication(x.arc[i, j], before[i, j])
        model.add_implication(x.arc[0, i], before[i, j])
        model.add_bool_or(~x.arc[j, 0], x.arc[i, i], before[i, j])  # one that is left out comes after all
        for k in range(1, n):
            if k not in (i, j):  # what comes before the second of two neighbours comes before the first
                model.add_bool_or(~x.arc[i, j], before[k, i], ~before[k, j])
    return before


def shortest(distance: Matrix) -> Matrix:
    """Return the lengths of the shortest ways, by whatever cities they lead."""
    way = [list(row) for row in distance]
    for k, via in enumerate(way):
        for row in way:
            for j, onward in enumerate(via):
                row[j] = min(row[j], row[k] + onward)
    return tuple(map(tuple, way))


@dataclass(frozen=True)
class Precedence(Constraint[Tour, TourVariables]):
    kind: ClassVar[str] = "precedence"
    constraint_class: ClassVar[str] = "temporal"
    pair: tuple[int, int]
    cities: int

    def say(self, names: Names) -> str:
        first, second = (names.one("city", i) for i in self.pair)
        return f"{sentence(first)} is visited before {second}."

    def check(self, answer: Tour) -> int:
        place, here, first = {0: 0}, 0, 0
        while (here := answer[here]) != first:
            place[here] = len(place)
        one, other = (place[i] if i in place else answer[i] for i in self.pair)
        return 0 if one < other else -1

    def post(self, model: Any, x: TourVariables) -> None:
        model.add(x.once("before", lambda: coming_before(model, x, self.cities))[self.pair] == 1)
        for city in (0, *self.pair):
            model.add(x.arc[city, city] == 0)


@dataclass(frozen=True)
class ForbiddenArc(Constraint[Tour, TourVariables]):
    kind: ClassVar[str] = "forbidden_arc"
    constraint_class: ClassVar[str] = "logical"
    hereditary: ClassVar[bool] = False  # a city between the two mends it
    arc: tuple[int, int]

    def say(self, names: Names) -> str:
        first, second = (names.one("city", i) for i in self.arc)
        return f"The tour does not go directly from {first} to {second}."

    def check(self, answer: Tour) -> int:
        first, second = self.arc
        return -1 if answer[first] == second or answer[second] < 0 else 0

    def post(self, model: Any, x: TourVariables) -> None:
        model.add(x.arc[self.arc] == 0)
        for city in self.arc:
            model.add(x.arc[city, city] == 0)


@dataclass(frozen=True)
class Length(Objective[Tour, TourVariables]):
    direction: ClassVar[Any] = "min"
    distance: Matrix

    def noun(self, names: Names) -> str:
        return "the length of the tour (with the way back)"

    def of(self, answer: Tour) -> int:
        return sum(row[answer[i]] for i, row in enumerate(self.distance))

    def post(self, model: Any, x: TourVariables) -> Any:
        return sum(self.distance[i][j] * literal for (i, j), literal in x.arc.items() if i != j)


def from_file(text: str) -> TspData:
    """Return the problem of a TSPLIB file, symmetric or not. Raises FormatError."""
    return TspData(read_tsp(text).matrix)


def symmetric(text: str) -> TspData:
    """Return the problem of a lower triangle of distances written row by row."""
    rows = [tuple(map(int, row.split())) for row in f"/ {text}".split("/")][1:]
    half = [(), *rows]
    n = range(len(half))
    return TspData(tuple(tuple(half[max(i, j)][min(i, j)] if i != j else 0 for j in n) for i in n))


BURMA14 = (
    "153 / 510 422 / 706 664 289 / 966 997 744 491 / 581 598 390 265 400 / 455 507 437 410 514 168 / 70 "
    "197 491 664 902 522 389 / 160 311 645 804 990 634 482 154 / 372 479 880 1070 1261 910 757 406 276 / "
    "157 310 618 768 947 593 439 133 43 318 / 567 581 374 259 418 19 163 508 623 898 582 / 342 417 455 "
    "499 635 284 124 273 358 633 315 275 / 398 376 211 310 636 239 232 355 498 761 464 221 247"
)
ULYSSES16 = (
    "509 / 501 126 / 312 474 541 / 1019 1526 1516 1157 / 736 1226 1184 980 478 / 656 1133 1084 919 583 "
    "115 / 60 532 536 271 996 740 667 / 1039 1449 1371 1333 858 470 455 1066 / 726 1122 1045 1029 855 379 "
    "288 759 328 / 2314 2789 2728 2553 1504 1581 1661 2320 1387 1697 / 479 958 913 751 677 271 177 493 "
    "591 333 1838 / 448 941 904 704 651 289 216 454 650 400 1868 68 / 479 978 946 720 600 261 207 479 656 "
    "427 1841 105 52 / 619 1127 1115 783 401 308 343 598 776 622 1789 336 287 237 / 150 542 499 455 1033 "
    "687 592 206 933 610 2248 417 406 449 636"
)
GR17 = (
    "633 / 257 390 / 91 661 228 / 412 227 169 383 / 150 488 112 120 267 / 80 572 196 77 351 63 / 134 530 "
    "154 105 309 34 29 / 259 555 372 175 338 264 232 249 / 505 289 262 476 196 360 444 402 495 / 353 282 "
    "110 324 61 208 292 250 352 154 / 324 638 437 240 421 329 297 314 95 578 435 / 70 567 191 27 346 83 "
    "47 68 189 439 287 254 / 211 466 74 182 243 105 150 108 326 336 184 391 145 / 268 420 53 239 199 123 "
    "207 165 383 240 140 448 202 57 / 246 745 472 237 528 364 332 349 202 685 542 157 289 426 483 / 121 "
    "518 142 84 297 35 29 36 236 390 238 301 55 96 153 336"
)
GR21 = (
    "510 / 635 355 / 91 415 605 / 385 585 390 350 / 155 475 495 120 240 / 110 480 570 78 320 96 / 130 500 "
    "540 97 285 36 29 / 490 605 295 460 120 350 425 390 / 370 320 700 280 590 365 350 370 625 / 155 380 "
    "640 63 430 200 160 175 535 240 / 68 440 575 27 320 91 48 67 430 300 90 / 610 360 705 520 835 605 590 "
    "610 865 250 480 545 / 655 235 585 555 750 615 625 645 775 285 515 585 190 / 480 81 435 380 575 440 "
    "455 465 600 245 345 415 295 170 / 265 480 420 235 125 125 200 165 230 475 310 205 715 650 475 / 255 "
    "440 755 235 650 370 320 350 680 150 175 265 400 435 385 485 / 450 270 625 345 660 430 420 440 690 77 "
    "310 380 180 215 190 545 225 / 170 445 750 160 495 265 220 240 600 235 125 170 485 525 405 375 87 315 "
    "/ 240 290 590 140 480 255 205 220 515 150 100 170 390 425 255 395 205 220 155 / 380 140 495 280 480 "
    "340 350 370 505 185 240 310 345 280 105 380 280 165 305 150"
)
SOURCE = "Reinelt, TSPLIB 95"
FAMOUS = (
    Famous("burma14", "m", symmetric(BURMA14), 3323, SOURCE),
    Famous("ulysses16", "m", symmetric(ULYSSES16), 6859, SOURCE),
    Famous("gr17", "m", symmetric(GR17), 2085, SOURCE),
    Famous("gr21", "l", symmetric(GR21), 2707, SOURCE),
)
COSTUMES = (
    Costume(
        "A milk lorry calls at the farms of a valley and comes back to the one where it is kept.",
        {"city": ("farm", "farms")},
    ),
    Costume(
        "The warden of a museum walks through its rooms once a night and ends where the walk began.",
        {"city": ("room", "rooms")},
    ),
    Costume(
        "A drill moves over a plate, from hole to hole, and back to the first one.",
        {"city": ("hole", "holes")},
    ),
)


class Tsp(Optimization[TspData, Tour, TourVariables]):
    name: ClassVar[str] = "tsp"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Travelling salesman"
    data = TspData
    sizes: ClassVar[Any] = ladder(
        TspKnobs,
        cities=(6, 9, 12, 14, 16),
        windows=(1, 2, 4, 5, 6),
        precedences=(1, 2, 3, 4, 5),
        forbidden=(1, 2, 4, 6, 8),
        detour=20,
    )
    core_kinds: ClassVar[tuple[str, ...]] = ("visited",)
    modules: ClassVar[Any] = {
        "time_window": lambda d: [TimeWindow(i, d.distance, d.opening(), closing) for i, _, closing in d.windows],
        "precedence": lambda d: [Precedence(pair, len(d.distance)) for pair in d.precedences],
        "forbidden_arc": lambda d: [ForbiddenArc(arc) for arc in d.forbidden],
    }
    target_share: ClassVar[Fraction] = Fraction(105, 100)
    costumes = COSTUMES
    formats: ClassVar[Any] = {"tsplib": from_file}

    def draw(self, knobs: TspKnobs, stream: Stream) -> TspData:
        """Hide a tour in the data that keeps every rule: mostly to one of the two nearest cities."""
        n = knobs.cities
        distance = ways(stream, n, knobs.detour)
        tour, pick = [0], stream("tour")
        while len(tour) < n:
            nearest = sorted((j for j in range(n) if j not in tour), key=lambda j: distance[tour[-1]][j])
            tour.append(pick.choice(nearest[:2]))
        place = {city: k for k, city in enumerate(tour)}
        width = sum(distance[i][j] for i, j in pairwise(tour)) // 5
        windowed = stream("windows").sample(range(1, n), knobs.windows)
        windows, time = [], 0
        for i, j in pairwise(tour):
            time += distance[i][j]
            if j in windowed:
                part = stream(f"window {j}")
                opening = max(distance[0][j] + 1, time + part("opening").integer(-width // 2, width // 4))
                windows.append((j, opening, max(time, opening) + part("closing").integer(0, width // 2)))
                time = max(time, opening)
        # Of two cities the one that is farther from the start is to come first: the other order comes naturally.
        later = [
            (i, j) for i in range(1, n) for j in range(1, n) if place[i] < place[j] and distance[0][i] >= distance[0][j]
        ]
        usual = [(i, j) for i in range(1, n) for j in range(1, n) if place[i] < place[j]]
        steps = {*pairwise(tour), (tour[-1], 0)}
        short = [
            (i, j) for i in range(n) for j in sorted(range(n), key=lambda j: distance[i][j])[1:4] if (i, j) not in steps
        ]
        return TspData(
            distance=distance,
            windows=tuple(sorted(windows)),
            precedences=tuple(
                sorted(stream("precedences").sample(later if len(later) > n else usual, knobs.precedences))
            ),
            forbidden=tuple(sorted(stream("forbidden").sample(short, knobs.forbidden))),
        )

    def form(self, d: TspData) -> TourOf:
        """Return the shape; the full linear relaxation slows down proofs about which city comes before which."""
        return TourOf("city", len(d.distance), linearized=not (d.windows or d.precedences))

    def core(self, d: TspData) -> list[Constraint[Tour, Any]]:
        return [Visited(i) for i in range(len(d.distance))]

    def objective(self, d: TspData) -> Length:
        return Length(d.distance)

    def greedy(self, d: TspData, fits: Fits[Tour]) -> Tour:
        """Cheapest insertion (Rosenkrantz, Stearns and Lewis 1977): the city and place that add least, as they fit."""
        tour, missing = [0], set(range(1, len(d.distance)))
        while missing:
            extra = {
                (i, k): d.distance[here][i] + d.distance[i][following] - d.distance[here][following]
                for i in missing
                for k, (here, following) in enumerate(pairwise([*tour, 0]), 1)
            }
            for i, k in sorted(extra, key=lambda at: (extra[at], at)):
                longer = [*tour[:k], i, *tour[k:]]
                if fits(rounded_up(longer)):
                    tour = longer
                    missing.remove(i)
                    break
            else:
                break
        return rounded_up(tour)

    def entities(self, d: TspData) -> Mapping[str, int]:
        return {"city": len(d.distance)}

    def intro(self, d: TspData, names: Names) -> str:
        city, cities, first = names.word("city"), names.all("city"), names.one("city", 0)
        listing = names.matrix("city", d.distance, "city", r"from \ to")
        return (
            f"Find a round tour through these {cities}. It leaves {first} at time 0 and ends there; to go from one"
            f" {city} to the next takes as much time as the distance from the one to the other. Distances may depend on"
            f" the direction: the row is the {city} that one comes from, the column the {city} that one goes to."
            f"\n\n{listing}"
        )

    def famous(self) -> Sequence[Famous[TspData]]:
        return FAMOUS

    def perturb(self, d: TspData, stream: Stream) -> TspData:
        """Change a quarter of the distances by up to a half, in both directions alike."""
        n = len(d.distance)
        pairs = [(i, j) for i in range(n) for j in range(i)]
        chosen = stream("pairs").sample(pairs, len(pairs) // 4)
        share = {pair: stream(f"share {pair}").integer(50, 150) for pair in chosen}
        return replace(
            d,
            distance=tuple(
                tuple(
                    max(1, way * share.get((max(i, j), min(i, j)), 100) // 100) if i != j else way
                    for j, way in enumerate(row)
                )
                for i, row in enumerate(d.distance)
            ),
        )


def ways(stream: Stream, n: int, detour: int) -> Matrix:
    """Return distances between random places: straight ones, longer by up to ``detour`` %; no way round is shorter."""
    at = stream("places").matrix(n, 2, 0, SIDE)
    more = stream("detour").matrix(n, n, 100, 100 + detour)
    squares = [[(a - c) ** 2 + (b - e) ** 2 for c, e in at] for a, b in at]
    return shortest(
        tuple(
            tuple(max(int(i != j), -(-isqrt(square * 10_000) * more[i][j] // 10_000)) for j, square in enumerate(row))
            for i, row in enumerate(squares)
        )
    )
