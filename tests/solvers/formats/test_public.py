"""The folder of public instances: every file is read by the reader of its format, and has an optimum with a source."""

import json

import pytest

from solvers.formats import cvrplib, dimacs, jsplib, matpower, orlibrary, psplib, tsplib
from tests.solvers.formats import PUBLIC, public

READERS = {
    "job_shop/*": jsplib.read_job_shop,
    "flow_shop/*": jsplib.read_job_shop,
    "tsp/*": tsplib.read_tsp,
    "vehicle_routing/*.vrp": cvrplib.read_cvrp,
    "vehicle_routing/*.txt": cvrplib.read_solomon,
    "project_planning/*.sm": psplib.read_sm,
    "project_planning/*.rcp": psplib.read_patterson,
    "knapsack/*": orlibrary.read_mknap,
    "assignment/*": orlibrary.read_assign,
    "generalized_assignment/*": orlibrary.read_gap,
    "bin_packing/*.txt": orlibrary.read_binpack,
    "bin_packing/*.bpp": orlibrary.read_bpp,
    "set_cover/*": orlibrary.read_scp,
    "facility_location/*": orlibrary.read_cap,
    "graph_coloring/*": dimacs.read_col,
    "independent_set/*": dimacs.read_col,
    "max_sat/*": dimacs.read_cnf,
    "network_flow/*.max": dimacs.read_max_flow,
    "network_flow/*.min": dimacs.read_min_cost_flow,
    "power/*": matpower.read_case,
}
FILES = {str(path.relative_to(PUBLIC)): read for glob, read in READERS.items() for path in sorted(PUBLIC.glob(glob))}
OPTIMA = json.loads(public("optima.json"))


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_read(name):
    """Every public file is of its format; one of several problems has an optimum for each of them."""
    problem = FILES[name](public(name))
    numbers = {entry["problem"] for entry in OPTIMA if entry["file"] == name}
    assert numbers == (set(range(1, len(problem) + 1)) if isinstance(problem, tuple) else {None})


def test_each_entry_has_what_it_needs():
    """An optimum belongs to a file that is here, a family, a source; nothing else lies in the folder."""
    here = {str(path.relative_to(PUBLIC)) for path in PUBLIC.rglob("*") if path.is_file()}
    assert here == {"SOURCES.md", "optima.json", *FILES} == {"SOURCES.md", "optima.json", *(e["file"] for e in OPTIMA)}
    for entry in OPTIMA:
        assert set(entry) - {"note"} == {"file", "format", "family", "problem", "optimum", "source", "quick"}
        assert entry["source"]
    assert sum(entry["quick"] for entry in OPTIMA) >= 45


def test_the_folder_is_small():
    """Test data stay below 1.5 MB."""
    assert sum(path.stat().st_size for path in PUBLIC.rglob("*") if path.is_file()) < 1_500_000
