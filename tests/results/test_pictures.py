"""Pictures of instances: each family's exact answer can be drawn, and what is drawn is the answer."""

import pytest
import vl_convert

from probe.results.pictures import picture
from probe.results.plots import VERSION, save
from solvers import registry
from solvers.names import Names
from solvers.problem import Instance
from solvers.shapes import MapOf, Partial, RoutesOf, Starts, TourOf
from solvers.sketches import Bars, Curves, Graph, of_shape


def first(family):
    """The first instance of size s."""
    found, _ = family.instance("s", 7, 0)
    assert isinstance(found, Instance)
    return found


def values(spec):
    """All rows of data in a specification."""
    if isinstance(spec, dict):
        return [*spec.get("values", []), *(row for part in spec.values() for row in values(part))]
    return [row for part in spec for row in values(part)] if isinstance(spec, list) else []


@pytest.mark.parametrize("name", registry.modules())
def test_every_family_can_be_drawn(name):
    """The specification compiles, holds data, and its title names the family."""
    family = registry.get(name)
    spec = picture(first(family))
    assert vl_convert.vegalite_to_vega(spec, vl_version=VERSION)["marks"]
    assert values(spec)
    assert spec["title"]["text"].lower().startswith(family.title.lower())


def test_a_picture_is_saved_as_an_image(tmp_path):
    """A PNG is a PNG."""
    save(picture(first(registry.get("knapsack"))), tmp_path / "knapsack.png")
    assert (tmp_path / "knapsack.png").read_bytes().startswith(b"\x89PNG")


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


def test_tours_and_routes_are_drawn_along_their_arcs():
    """A tour closes; a route leaves the depot and comes back; a vehicle that stays draws nothing."""
    tour = of_shape(TourOf("city", 3), Partial({0: 2, 2: 1, 1: 0}), Names())
    assert isinstance(tour, Graph)
    arcs = [(tour.nodes[e.tail].label, tour.nodes[e.head].label) for e in tour.edges]
    assert arcs == [("1", "3"), ("3", "2"), ("2", "1")]
    routes = of_shape(RoutesOf("van", 2, "stop", 3), Partial({0: (2, 0), 1: ()}), Names())
    arcs = [(routes.nodes[e.tail].label, routes.nodes[e.head].label, e.group) for e in routes.edges]
    assert arcs == [("depot", "3", "van 1"), ("3", "1", "van 1"), ("1", "depot", "van 1")]


def test_a_trace_is_drawn_from_the_start_on():
    """A curve for each component, with the start as step 0."""
    family = registry.get("newton")
    instance = first(family)
    sketch = family.sketch(instance)
    assert isinstance(sketch, Curves)
    assert [x for x, _, _ in sketch.points] == list(range(instance.knobs["steps"] + 1))
    assert sketch.points[0][1] == float(family.start(instance.data)[0])
    assert sketch.points[-1][1] == float(instance.answer[-1][0])
