"""Pictures of instances: each family's exact answer can be drawn, and what is drawn is the answer."""

from functools import cache
from itertools import pairwise
from math import pi

import pytest
import vl_convert

from probe.results.pictures import charts, picture
from probe.results.plots import save
from probe.results.plots.frame import VERSION
from solvers import registry
from solvers.names import Names, sentence
from solvers.problem import Instance
from solvers.shapes import MapOf, Partial, RoutesOf, Starts, SubsetOf, TourOf
from solvers.sketches import (
    Bar,
    Bars,
    Curves,
    Edge,
    Graph,
    Node,
    Panels,
    flows,
    hops,
    in_plane,
    layered,
    of_shape,
    profile,
    stages,
    untangled,
)

FAMILIES = registry.modules()


@cache
def first(name, size="s", variant="fresh"):
    """The first instance of a family."""
    found, _ = registry.get(name).instance(size, 7, 0, variant=variant)
    assert isinstance(found, Instance)
    return found


@cache
def parts(name, size="s", variant="fresh"):
    """The sketches of the first instance of a family."""
    sketch = registry.get(name).sketch(first(name, size, variant))
    return sketch.parts if isinstance(sketch, Panels) else (sketch,)


def values(spec):
    """All rows of data in a specification."""
    if isinstance(spec, dict):
        own = spec["data"]["values"] if "data" in spec else []
        return [*own, *(row for key, part in spec.items() if key != "data" for row in values(part))]
    return [row for part in spec for row in values(part)] if isinstance(spec, list) else []


def texts(sketch):
    """The texts in the charts of a sketch."""
    return [row["label"] for row in values(charts(sketch)) if "ink" in row]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_can_be_drawn(name):
    """The specification compiles, holds data, and its title names the family."""
    spec = picture(first(name))
    assert vl_convert.vegalite_to_vega(spec, vl_version=VERSION)["marks"]
    assert values(spec["vconcat"])
    assert spec["title"]["text"] == sentence(registry.get(name).title)


@pytest.mark.parametrize("name", FAMILIES)
def test_bars_are_in_rows_of_the_chart_apart_and_within_their_limits(name):
    """No bar of any family lies on another one or beyond the limit of its row, and all rows are different."""
    for part in parts(name):
        if isinstance(part, Bars):
            assert len(set(part.rows)) == len(part.rows)
            assert {bar.row for bar in part.bars} <= set(part.rows)
            limits = dict(part.limits)
            for row in part.rows:
                bars = sorted((bar for bar in part.bars if bar.row == row), key=lambda bar: bar.start)
                assert all(one.end <= other.start for one, other in pairwise(bars))
                assert all(bar.end <= limits.get(row, bar.end) for bar in bars)


@pytest.mark.parametrize("name", FAMILIES)
def test_renamed_things_have_their_new_names_in_the_picture(name):
    """No label of a renamed instance's first sketch is one of the plain instance, but for times and amounts."""
    if "renamed" not in registry.get(name).variants or registry.get(name).kind == "numerics":
        return
    part, plain = parts(name, "s", "renamed")[0], parts(name)[0]
    if isinstance(part, Graph):
        named = {node.label for node in part.nodes if node.label != "depot"}  # there is only one
        assert named.isdisjoint(node.label for node in plain.nodes)
    elif isinstance(part, Bars):
        assert set(part.rows) != set(plain.rows) or part.columns != plain.columns


def test_a_picture_is_saved_as_an_image(tmp_path):
    """A PNG is a PNG."""
    save(picture(first("knapsack")), tmp_path / "knapsack.png")
    assert (tmp_path / "knapsack.png").read_bytes().startswith(b"\x89PNG")


def test_what_stands_under_the_title():
    """Size, modules and optimum are told whole, in as many lines as it takes."""
    lines = picture(first("knapsack"))["title"]["subtitle"]
    assert lines[0] == "Size s, with conflict, requires, minimum count"
    assert lines[1:] == [f"The total value of the chosen items: {first('knapsack').optimum} (the most possible)"]
    long = " ".join(picture(first("portfolio"))["title"]["subtitle"])
    assert long.endswith(f"{first('portfolio').optimum} (the most possible)")


# --- what shapes know -------------------------------------------------------------------------------------------------


def test_a_schedule_is_drawn_as_long_as_it_takes():
    """Each operation is a bar of its job from its start to its end."""
    sketch = of_shape(Starts("job", ((3, 2), (4,)), 20), Partial({(0, 0): 1, (0, 1): 5, (1, 0): 0}), Names())
    assert isinstance(sketch, Bars)
    assert [(bar.row, bar.start, bar.end) for bar in sketch.bars] == [("job 1", 1, 4), ("job 1", 5, 7), ("job 2", 0, 4)]


def test_a_map_is_drawn_in_rows_of_its_targets():
    """Each entity is a block in the row of what it is given; an empty row is there too."""
    sketch = of_shape(MapOf("item", 3, "bin", 3), Partial({0: 2, 1: 0, 2: 2}), Names())
    assert sketch.rows == ("bin 1", "bin 2", "bin 3")
    assert [(bar.row, bar.label) for bar in sketch.bars] == [("bin 1", "2"), ("bin 3", "1"), ("bin 3", "3")]


def test_a_subset_is_drawn_as_what_is_chosen_and_what_is_not():
    """Every entity is in one of two rows."""
    sketch = of_shape(SubsetOf("item", 3), frozenset({2}), Names())
    assert [(bar.row, bar.label) for bar in sketch.bars] == [("chosen", "3"), ("not chosen", "1"), ("not chosen", "2")]


def test_tours_and_routes_are_drawn_along_their_arcs():
    """A tour closes; a route leaves the depot and comes back; a vehicle that stays draws nothing."""
    tour = of_shape(TourOf("city", 3), Partial({0: 2, 2: 1, 1: 0}), Names())
    assert isinstance(tour, Graph)
    arcs = [(tour.nodes[e.tail].label, tour.nodes[e.head].label) for e in tour.edges]
    assert arcs == [("1", "3"), ("3", "2"), ("2", "1")]
    routes = of_shape(RoutesOf("van", 2, "stop", 3), Partial({0: (2, 0), 1: ()}), Names())
    arcs = [(routes.nodes[e.tail].label, routes.nodes[e.head].label, e.group) for e in routes.edges]
    assert arcs == [("depot", "3", "van 1"), ("3", "1", "van 1"), ("1", "depot", "van 1")]


# --- what families know -----------------------------------------------------------------------------------------------


def test_the_bars_of_a_bin_add_up_to_its_load():
    """In each dimension, a bin's row ends where its items' sizes add up to."""
    d, packing = first("bin_packing").data, first("bin_packing").answer
    for size, part in zip(d.size, parts("bin_packing"), strict=True):
        for j, row in enumerate(part.rows):
            load = sum(size[i] for i in packing if packing[i] == j)
            assert max((bar.end for bar in part.bars if bar.row == row), default=0) == load


def test_the_chosen_items_are_worth_the_optimum():
    """The coloured bars of a knapsack add up to the optimum, those of a dimension to what is used of it."""
    instance, (items, loads) = first("knapsack"), parts("knapsack")
    assert sum(bar.end for bar in items.bars if bar.group) == instance.optimum
    used = [sum(size[i] for i in instance.answer) for size in instance.data.size]
    assert [max(bar.end for bar in loads.bars if bar.row == row) for row in loads.rows] == used


def test_the_chosen_cells_of_an_assignment_cost_the_optimum():
    """One cell of each row and each column is chosen; their costs add up to the optimum."""
    (table,) = parts("assignment")
    chosen = [bar for bar in table.bars if bar.group]
    assert sorted(bar.row for bar in chosen) == sorted(table.rows)
    assert sorted(bar.start for bar in chosen) == list(range(len(table.columns)))
    assert sum(int(bar.label) for bar in chosen) == first("assignment").optimum


def test_the_chosen_sets_cover_every_column():
    """Every element is in a chosen set."""
    (table,) = parts("set_cover")
    assert {bar.start for bar in table.bars if bar.group} == set(range(len(table.columns)))


def test_a_shift_is_worked_by_as_many_as_it_needs():
    """A column has at least as many coloured cells as its last row says."""
    (table,) = parts("shift_scheduling")
    for needed in (bar for bar in table.bars if bar.row == "needed"):
        assert sum(bar.group == "works" for bar in table.bars if bar.start == needed.start) >= int(needed.label)


def test_what_is_made_and_not_asked_for_lies_in_stock():
    """Opening stock, production, demand and stock of the plan of a product agree from period to period."""
    d, (table,) = first("lot_sizing").data, parts("lot_sizing")
    cells = {(bar.row, bar.start): int(bar.label) for bar in table.bars if ":" in bar.row}
    for i, opening in enumerate(d.opening):
        stock = opening
        for t in range(len(table.columns)):
            made, asked, left = (cells.get((f"product {i + 1}: {what}", t), 0) for what in ("made", "demand", "stock"))
            assert stock + made - asked == left
            stock = left


def test_the_supply_of_a_line_adds_up_to_its_units():
    """Each line's bars end at the units that are ordered; a source that supplies some is in the legend by its kind."""
    d, (chart,) = first("order_fulfillment").data, parts("order_fulfillment")
    assert [max(bar.end for bar in chart.bars if bar.row == row) for row in chart.rows] == list(d.units)
    used = {s for (_, s), units in first("order_fulfillment").answer.items() if units}
    assert {bar.group for bar in chart.bars} == {f"source {s + 1} ({d.kinds[s]})" for s in used}


def test_no_edge_joins_nodes_of_one_colour():
    """A graph colouring is drawn in its colours."""
    (graph,) = parts("graph_coloring")
    assert all(graph.nodes[edge.tail].group != graph.nodes[edge.head].group for edge in graph.edges)
    assert len({node.group for node in graph.nodes}) == first("graph_coloring").optimum


@pytest.mark.parametrize("name", ["max_flow", "min_cost_flow"])
def test_flow_runs_from_left_to_right(name):
    """What flows along an arc leads to the right, and is no more than the arc's capacity."""
    for size in ("s", "m", "l"):
        (graph,) = parts(name, size)
        for edge in graph.edges:
            flow, most = map(int, edge.label.split("/"))
            assert flow <= most
            assert (flow > 0) == (edge.group != "")
            assert flow == 0 or graph.nodes[edge.tail].x < graph.nodes[edge.head].x


def test_the_distances_after_the_last_round_stand_beside_the_nodes():
    """A coloured arc gave each known distance; what is unknown is in no curve."""
    for size in ("s", "m", "l"):
        answer, (graph, curves) = first("bellman_ford", size).answer, parts("bellman_ford", size)
        known = {int(node.label): int(node.note) for node in graph.nodes if node.note not in ("", "?")}
        assert known == {j: v for j, v in enumerate(answer[-1], 1) if v < 9999}
        assert sorted(int(graph.nodes[edge.head].label) for edge in graph.edges if edge.group) == sorted(known)
        assert all(y < 9999 for _, y, _ in curves.points)


def test_the_unknowns_of_a_simplex_tableau_are_worth_its_objective():
    """After each pivot, the gains of the unknowns that are read off add up to the objective that is read off."""
    gain, (objective, unknowns) = first("simplex_pivots", "l").data.gain, parts("simplex_pivots", "l")
    for pivot, z, _ in objective.points:
        x = {name: y for k, y, name in unknowns.points if k == pivot}
        assert sum(g * x[f"x_{j + 1}"] for j, g in enumerate(gain)) == pytest.approx(z, abs=0.01)


def test_the_ways_of_centres_end_where_the_centres_are():
    """Each centre has a way of as many parts as steps, which ends at the numbered node."""
    instance, (graph,) = first("k_means", "m"), parts("k_means", "m")
    k, last = len(instance.data.start), instance.answer[-1]
    ends = {node.label: (node.x, node.y) for node in graph.nodes if node.label}
    assert ends == {str(c + 1): (float(last[c]), float(last[k + c])) for c in range(k)}
    assert len(graph.edges) == k * instance.knobs["steps"]


def test_a_trace_is_drawn_from_the_start_on():
    """A curve for each component, with the start as step 0."""
    family, instance = registry.get("newton"), first("newton")
    (sketch,) = parts("newton")
    assert isinstance(sketch, Curves)
    assert [x for x, _, _ in sketch.points] == list(range(instance.knobs["steps"] + 1))
    assert sketch.points[0][1] == float(family.start(instance.data)[0])
    assert sketch.points[-1][1] == float(instance.answer[-1][0])


def test_terms_of_several_components_have_a_panel_each():
    """The conjugate gradient method's x, r and p are told apart; together they are the state."""
    instance, panels = first("conjugate_gradient"), parts("conjugate_gradient")
    assert [panel.value for panel in panels] == ["x", "r", "p"]
    last = [y for panel in panels for x, y, _ in panel.points if x == instance.knobs["steps"]]
    assert last == list(map(float, instance.answer[-1]))


# --- where nodes lie --------------------------------------------------------------------------------------------------


def test_places_have_the_distances_that_were_given():
    """Points of the plane come back, turned: their distances are kept, and the same however they are given."""
    points = [(0, 0), (6, 0), (6, 8), (1, 2)]
    distance = [[((a - c) ** 2 + (b - d) ** 2) ** 0.5 for c, d in points] for a, b in points]
    places = in_plane(distance)
    for i, (x, y) in enumerate(places):
        for j, (u, v) in enumerate(places):
            assert ((x - u) ** 2 + (y - v) ** 2) ** 0.5 == pytest.approx(distance[i][j], abs=0.001)
    assert max(places, key=lambda place: abs(place[0]))[0] > 0
    again = in_plane([row[::-1] for row in distance[::-1]])
    assert again[::-1] == [pytest.approx(place, abs=0.001) for place in places]


def test_an_untangled_graph_has_neighbours_side_by_side():
    """In a ring, each node is nearer to its two neighbours than to all others; alike nodes are not in one place."""
    ring = untangled(6, [(i, (i + 1) % 6) for i in range(6)])
    for i, (x, y) in enumerate(ring):
        away = sorted(range(6), key=lambda j: (ring[j][0] - x) ** 2 + (ring[j][1] - y) ** 2)
        assert set(away[1:3]) == {(i - 1) % 6, (i + 1) % 6}
    star = untangled(5, [(0, i) for i in range(1, 5)])
    assert len({(round(x, 1), round(y, 1)) for x, y in star}) == 5
    assert len(untangled(1, [])) == 1


def test_layers_follow_what_is_used():
    """Hops count arcs from the sources; stages put the end of a used arc behind its start, circles included."""
    arcs = [(0, 1), (1, 2), (0, 2), (3, 2)]
    assert hops(4, arcs, [0]) == [0, 1, 1, 2]
    assert stages(4, [(0, 1), (1, 2)], arcs) == [0, 1, 2, 2]
    assert max(stages(2, [(0, 1), (1, 0)], [(0, 1), (1, 0)])) <= 2
    places = layered([0, 1, 1, 2], [(0, 1), (0, 2), (1, 3), (2, 3)])
    assert places[0][0] < places[1][0] == places[2][0] < places[3][0]
    assert places[1][1] != places[2][1]


def test_what_is_needed_over_time_is_drawn_in_stretches():
    """Equal numbers that follow each other are one bar; nothing is no bar; all that there is has a colour."""
    bars = profile("resource 1", [2, 2, 0, 0, 3, 2], 3)
    assert [(bar.start, bar.end, bar.label, bar.group) for bar in bars] == [
        *((0, 2, "2", ""), (4, 5, "3", "used in full"), (5, 6, "2", ""))
    ]


# --- how it is drawn --------------------------------------------------------------------------------------------------


def test_a_label_is_written_where_it_fits():
    """Inside its bar, else behind it, else not at all; never over another bar or a limit."""
    bars = (Bar("a", 0, 1, "squeezed", ""), Bar("a", 1, 90, "roomy", ""), Bar("b", 0, 1, "behind", ""))
    sketch = Bars("time", bars, ("a", "b"), limits=(("b", 2), ("a", 100)))
    assert texts(sketch) == ["roomy", "behind"]
    behind = next(row for row in values(charts(sketch)) if row.get("label") == "behind" and "at" in row)
    assert behind["at"] > 2


def test_text_on_a_dark_bar_is_white():
    """Blue bars have white labels, yellow ones black ones."""
    sketch = Bars("time", (Bar("a", 0, 9, "1", "job 1"), Bar("a", 9, 18, "2", "job 2")), ("a",))
    assert [row["ink"] for row in values(charts(sketch)) if "ink" in row] == ["white", "black"]


def test_a_group_has_one_colour_and_one_legend():
    """Groups are sorted as one counts; the second chart repeats colours, but no legend."""
    one = Bars("time", (Bar("a", 0, 9, "", "job 10"), Bar("a", 9, 18, "", "job 2")), ("a",))
    spec = charts(Panels((one, one)))
    colours = [chart["layer"][0]["encoding"]["color"] for chart in spec["vconcat"]]
    assert colours[0]["scale"] == colours[1]["scale"]
    assert colours[0]["legend"]["values"] == ["job 2", "job 10"]
    assert colours[1]["legend"] is None


def test_an_edge_passes_beside_nodes_and_its_twin():
    """An edge between nodes with a third one between them is bent; so are two arcs that lead back and forth."""
    nodes = tuple(Node(str(i), float(i), 0.0, "") for i in range(3))
    lines = [row for row in values(charts(Graph(nodes, (Edge(0, 2),)))) if "place" in row]
    middle = next(row["x"] for row in lines if row["place"] == 5)
    assert all(abs(row["y"] - lines[0]["y"]) > 12 for row in lines if abs(row["x"] - middle) < 12)
    twins = [row for row in values(charts(Graph(nodes[:2], (Edge(0, 1), Edge(1, 0)), arrows=True))) if "place" in row]
    assert {round(row["y"] - twins[0]["y"]) > 0 for row in twins if row["place"] == 5} == {True, False}


def test_a_label_of_an_edge_lies_on_no_other_edge():
    """Where two edges cross in their middles, both labels move away from the crossing."""
    corners = [(0.0, 0.0), (2.0, 2.0), (0.0, 2.0), (2.0, 0.0)]
    nodes = tuple(Node(str(i), x, y, "") for i, (x, y) in enumerate(corners))
    rows = values(charts(Graph(nodes, (Edge(0, 1, "", "up"), Edge(2, 3, "", "down")))))
    middle = sum({row["x"] for row in rows if "size" in row}) / 2
    places = {row["label"]: row["x"] for row in rows if row.get("label") in ("up", "down")}
    assert len(places) == 2
    assert all(abs(x - middle) > 12 for x in places.values())


def test_an_arrow_ends_outside_of_every_node():
    """Its head is not hidden below a larger node in the same place."""
    nodes = (Node("", 0.0, 0.0, ""), Node("", 9.0, 0.0, ""), Node("last", 9.0, 0.0, ""))
    rows = values(charts(Graph(nodes, (Edge(0, 1), Edge(1, 2)), arrows=True)))
    (head,) = (row for row in rows if "angle" in row)
    last = next(row for row in rows if row.get("label") == "last")
    assert last["x"] - head["x"] > (last["size"] / pi) ** 0.5


def test_what_is_grey_is_said_below():
    """A machine's closed times need no label to be known."""
    assert [part.axis for part in parts("job_shop")] == ["time; grey: closed"]


def test_flow_is_told_beside_capacity():
    """An arc is used, used in full, or neither."""
    nodes = [Node(str(i), float(i), 0.0, "") for i in range(2)]
    graph = flows(nodes, [(0, 1)] * 3, [0, 2, 3], [3, 3, 3])
    assert [(edge.group, edge.label) for edge in graph.edges] == [
        *(("", "0/3"), ("used", "2/3"), ("used in full", "3/3"))
    ]


def test_curves_have_whole_steps_and_their_last_values():
    """The axis of steps has no halves; beside each curve stands what it comes to, apart from the others."""
    sketch = Curves("step", tuple((k, 0.5 * k + c / 1000, f"x_{c}") for c in (1, 2) for k in range(3)))
    spec = charts(sketch)["vconcat"][0]
    assert spec["layer"][0]["encoding"]["x"]["axis"] == {"values": [0, 1, 2], "format": ",d"}
    ends = [row for row in values(spec) if "at" in row][:2]  # in two layers: lines and texts
    assert [row["label"] for row in ends] == ["x_1 = 1.001", "x_2 = 1.002"]
    assert ends[0]["at"] != ends[1]["at"]
