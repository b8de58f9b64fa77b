"""Batches: what a spec expands to, and that a wrong one is refused by name, line and way out."""

import tomllib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.asking.baselines import BASELINES
from probe.asking.measures import POSITIONS
from probe.batches import (
    ARM_KEYS,
    LIMITS,
    LISTS,
    SHARD_TRIALS,
    SPEC_KEYS,
    TEMPLATE,
    Arm,
    BatchSpec,
    checked,
    expand,
    from_table,
    read_spec,
    sample_ranges,
)
from probe.errors import RequestError
from solvers import registry

NUMERICS = [name for name in registry.modules() if registry.get(name).kind == "numerics"]


def spec_of(*arms, **more):
    return checked(BatchSpec(arms=tuple(Arm(**arm) for arm in arms), **more))


def spans(asked):
    """What is asked as (number, first, last) by everything else."""
    out = {}
    for one in asked:
        key = (one.family, one.size, one.variant, one.modules, one.mode, one.seed)
        out.setdefault(key, []).append((one.number, one.first, one.last))
    return out


def error_of(text, tmp_path, overrides=None):
    file = tmp_path / "spec.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        read_spec(file, overrides or {})
    message = str(caught.value)
    assert message.startswith(f"--spec {file}")
    return message.removeprefix(f"--spec {file}")


# --- expanding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instances", "blocks"),
    [
        (1, [(0, 0, 1)]),
        (49, [(0, 0, 49)]),
        (50, [(0, 0, 50)]),
        (51, [(0, 0, 50), (1, 0, 1)]),
        (120, [(0, 0, 50), (1, 0, 50), (2, 0, 20)]),
    ],
)
def test_instances_are_a_prefix_of_the_fixed_grid_of_blocks(instances, blocks):
    """The first indexes of a seed, in blocks of 50 from index 0 on, the last one in part."""
    assert POSITIONS == 50
    (found,) = spans(expand(spec_of({"families": ("knapsack",), "instances": instances}))).values()
    assert found == blocks


def test_an_arm_is_every_combination_of_its_lists():
    """Families times sizes times modes, each under the same seed."""
    asked = spans(
        expand(
            spec_of({"families": ("jacobi", "newton"), "sizes": ("xs", "m"), "modes": ("final", "trace"), "seed": 3})
        )
    )
    assert set(asked) == {
        (family, size, "fresh", (), mode, 3)
        for family in ("jacobi", "newton")
        for size in ("xs", "m")
        for mode in ("final", "trace")
    }


def test_a_mode_is_asked_only_where_a_family_offers_it():
    """With all families and both modes, iterates are asked of procedures only."""
    asked = expand(spec_of({"modes": ("final", "trace")}))
    assert {one.family for one in asked if one.mode == "final"} == set(registry.modules())
    assert {one.family for one in asked if one.mode == "trace"} == set(NUMERICS)


def test_a_variant_is_asked_only_where_a_family_offers_it():
    """With all families, teacher forcing is asked of procedures only, and only for the next step."""
    asked = expand(spec_of({"variants": ("fresh", "inverted", "step_correct"), "modes": ("final", "trace")}))
    assert {one.family for one in asked if one.variant == "fresh"} == set(registry.modules())
    offered = {name for name in registry.modules() if "inverted" in registry.get(name).variants}
    assert {one.family for one in asked if one.variant == "inverted"} == offered
    assert {one.family for one in asked if one.variant == "step_correct"} == set(NUMERICS)
    assert {one.mode for one in asked if one.variant == "step_correct"} == {"final"}


def test_a_famous_problem_has_no_modules():
    """What was published is the core of a family, whatever modules the arm asks for."""
    asked = expand(spec_of({"families": ("knapsack",), "variants": ("fresh", "famous", "perturbed")}))
    modules = registry.get("knapsack").module_names
    assert {one.variant: one.modules for one in asked} == {"fresh": modules, "famous": (), "perturbed": ()}


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"families": ("newton",), "variants": ("inverted",)}, "variants: none of these families has inverted"),
        (
            {"families": ("newton",), "variants": ("step_correct",), "modes": ("trace",)},
            "modes: step_correct can't be asked for trace",
        ),
    ],
)
def test_a_variant_that_no_family_offers_is_refused(arm, message):
    """An arm that would ask nothing is an error that names the field."""
    with pytest.raises(RequestError, match=message):
        spec_of(arm)


def test_overlapping_arms_ask_each_position_once():
    """Two arms over the same instances are one question of the longer prefix; another seed or size is another."""
    arm = {"families": ("knapsack",), "instances": 30}
    asked = spans(
        expand(
            spec_of(
                arm, arm | {"instances": 60}, arm | {"families": ("optimization",), "instances": 10}, arm | {"seed": 8}
            )
        )
    )
    modules = registry.get("knapsack").module_names
    assert asked["knapsack", "s", "fresh", modules, "final", 7] == [(0, 0, 50), (1, 0, 10)]
    assert asked["knapsack", "s", "fresh", modules, "final", 8] == [(0, 0, 30)]
    assert asked["job_shop", "s", "fresh", registry.get("job_shop").module_names, "final", 7] == [(0, 0, 10)]
    positions = [(key, number, p) for key, blocks in asked.items() for number, a, b in blocks for p in range(a, b)]
    assert len(positions) == len(set(positions))


def test_a_list_that_repeats_itself_asks_nothing_twice():
    """Sizes, modes, families and channels named twice count once."""
    arm = {"families": ("knapsack", "optimization", "knapsack"), "sizes": ("s", "s"), "modes": ("final", "final")}
    spec = spec_of(arm, channels=("json", "text", "json"))
    assert len(expand(spec)) == len(expand(spec_of({"families": ("optimization",)})))
    assert spec.channels == ("json", "text")


def test_modules_are_the_families_own_in_the_order_of_their_statement():
    """default and all are every module, none is none; names pick those that a family has."""
    own = registry.get("knapsack").module_names

    families = ("knapsack", "bin_packing", "independent_set")

    def modules(*names):
        return {one.family: one.modules for one in expand(spec_of({"families": families, "modules": names}))}

    assert modules("default")["knapsack"] == modules("all")["knapsack"] == own
    assert set(modules("none").values()) == {()}
    assert modules("requires", "conflict") == {
        "knapsack": ("conflict", "requires"),
        "bin_packing": (),
        "independent_set": ("requires",),
    }


@pytest.mark.parametrize("span", [1, 7, 20, 50])
@pytest.mark.parametrize("samples", [1, 4, 5, 6, 999])
def test_samples_are_cut_into_ranges_that_cover_each_once(span, samples):
    """Each shard holds at most 250 trials, and all samples are in exactly one shard."""
    ranges = list(sample_ranges(span, samples))
    assert [sample for low, high in ranges for sample in range(low, high)] == list(range(samples))
    assert all((high - low) * span <= SHARD_TRIALS for low, high in ranges)


def test_each_channel_is_a_presentation():
    """Everything else of how it is asked is shared."""
    spec = spec_of(
        {}, channels=("text", "tool"), examples=2, warning=True, temperature=0.5, effort="low", answer_tokens=99
    )
    text, tool = spec.presentations()
    assert (text.channel, text.form, tool.channel, tool.form) == ("text", "text", "tool", "tool")
    assert replace(tool, channel="text", form="text") == text
    assert (text.examples, text.warning, text.temperature, text.effort, text.answer_tokens) == (2, True, 0.5, "low", 99)


# --- checking ---------------------------------------------------------------------------------------------------------


def test_checking_spells_out_families_and_baselines_and_changes_nothing_more():
    """all, optimization and numerics are names for what there is; a checked spec is left as it is."""
    spec = spec_of({"families": ("numerics",)})
    assert spec.arms[0].families == tuple(NUMERICS)
    assert spec.baselines == tuple(BASELINES)
    assert checked(spec) == spec
    assert spec_of({}, baselines=("none",)).baselines == ()
    assert spec_of({}, baselines=("exact", "blank", "exact")).baselines == ("exact", "blank")


@pytest.mark.parametrize(
    ("arm", "more", "message"),
    [
        (
            {"families": ("knapsac",)},
            {},
            "families: unknown 'knapsac'; one of all, optimization, numerics, ",
        ),
        ({"families": ()}, {}, "families: empty"),
        ({"sizes": ("s", "huge")}, {}, "sizes: unknown 'huge'; one of xs, s, m, l, xl"),
        ({"sizes": ()}, {}, "sizes: empty; give one or more of xs, s"),
        ({"variants": ("stale",)}, {}, "variants: unknown 'stale'; one of fresh"),
        ({"modes": ("last",)}, {}, "modes: unknown 'last'; one of final, trace"),
        ({"modes": ("trace",), "families": ("knapsack",)}, {}, "modes: none of these families can be asked for trace"),
        ({"modules": ("conflct",)}, {}, "modules: unknown conflct; default, none, all or some of "),
        ({"modules": ("x",), "families": ("numerics",)}, {}, "(these families have none)"),
        ({"instances": 0}, {}, "instances: 0 is not between 1 and 1e+06"),
        ({"seed": -1}, {}, "seed: -1 is not between 0 and"),
        ({"seed": 2**62 + 1}, {}, "seed: 4611686018427387905 is not between"),
        ({}, {"samples": 0}, "samples: 0 is not between 1 and 10000"),
        ({}, {"examples": 21}, "examples: 21 is not between 0 and 20"),
        ({}, {"temperature": 2.5}, "temperature: 2.5 is not between 0 and 2"),
        ({}, {"temperature": float("nan")}, "temperature: nan is not between 0 and 2"),
        ({}, {"answer_tokens": 0}, "answer-tokens: 0 is not between"),
        ({}, {"effort": "maximal"}, "effort: unknown 'maximal'; one of minimal, low, medium, high"),
        ({}, {"channels": ("voice",)}, "channels: unknown 'voice'; one of text, json, tool"),
        ({}, {"baselines": ("cleverest",)}, "baselines: unknown 'cleverest'; one of all, none, blank"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(arm, more, message):
    """The error starts with the field and says what would do; with several arms, which one it is."""
    with pytest.raises(RequestError) as caught:
        spec_of(arm, **more)
    assert message in str(caught.value)
    field = next(iter(arm if arm else more)).replace("_", "-")
    assert str(caught.value).startswith(("families: " if "families: " in message else field, "modes: ", "modules: "))
    if arm:
        with pytest.raises(RequestError, match=r"^arm 2: "):
            spec_of({}, arm, **more)


def test_the_spec_is_identified_by_all_it_says():
    """Two specs that ask for the same have one digest, others have another."""
    spec = spec_of({})
    assert spec_of({}).digest == spec.digest
    changed = [
        replace(spec, samples=2),
        replace(spec, warning=True),
        replace(spec, arms=(replace(spec.arms[0], seed=8),)),
    ]
    assert len({spec.digest, *(one.digest for one in changed)}) == 4


# --- spec files -------------------------------------------------------------------------------------------------------


def test_the_template_is_the_defaults(tmp_path):
    """What `probe spec` prints can be used as it is, and asks for what `probe run` without flags does."""
    file = tmp_path / "spec.toml"
    file.write_text(TEMPLATE, encoding="utf-8")
    assert read_spec(file, {}) == (checked(BatchSpec()), {})


def test_the_template_shows_every_key(tmp_path):
    """With its comment signs taken away, it holds each key there is, all of them right."""
    text = "\n".join(
        line.removeprefix("# ") if " = " in line.split("#")[1] else line
        for line in TEMPLATE.splitlines()
        if line.startswith("#")
    )
    text += "\n" + "\n".join(line for line in TEMPLATE.splitlines() if not line.startswith("#"))
    file = tmp_path / "spec.toml"
    file.write_text(text, encoding="utf-8")
    table = tomllib.loads(text)
    assert {*table, *table["arm"][0]} - {"arm"} == {*ARM_KEYS, *SPEC_KEYS, *LIMITS}
    spec, limits = read_spec(file, {})
    assert spec.effort == "medium"
    assert set(limits) == set(LIMITS)


def test_arms_override_the_keys_that_they_share(tmp_path):
    """A key above the arms holds for each that doesn't say otherwise; a text is a list of names."""
    file = tmp_path / "spec.toml"
    file.write_text(
        'sizes = "xs, m"\ninstances = 5\nanswer_tokens = 64\nname = "n"\nmax-cost = 2\n'
        '[[arm]]\nfamilies = ["jacobi"]\n[[arm]]\nfamilies = ["newton"]\ninstances = 9\nmodes = ["trace"]\n'
    )
    spec, limits = read_spec(file, {})
    assert spec.arms == (
        Arm(families=("jacobi",), sizes=("xs", "m"), instances=5),
        Arm(families=("newton",), sizes=("xs", "m"), instances=9, modes=("trace",)),
    )
    assert spec.answer_tokens == 64
    assert limits == {"name": "n", "max-cost": 2}


def test_flags_override_the_file_and_its_arms(tmp_path):
    """A flag wins over the file everywhere: what the user just typed is never silently ignored."""
    file = tmp_path / "spec.toml"
    file.write_text('seed = 1\nanswer_tokens = 64\nmax-calls = 5\n[[arm]]\nfamilies = ["jacobi"]\n[[arm]]\nseed = 3\n')
    spec, limits = read_spec(file, {"seed": 2, "answer-tokens": 32, "max-calls": 9})
    assert spec.arms[0].families == ("jacobi",)
    assert [arm.seed for arm in spec.arms] == [2, 2]
    assert spec.answer_tokens == 32
    assert limits == {"max-calls": 9}


HUGE = "9" * 5000
LINES = {
    "samples = 1\nsizes = [\n": ": Invalid value (at end of document, line 2)",
    "samples = 1\nsizes = s\n": ": Invalid value (at line 2, column 9)",
    "a = 1\na = 2\n": "line 2",
    "samples = 2\nsampels = 3\n": ", line 2: sampels: unknown key; known: ",
    "\n\nsamples = 'many'\n": ", line 3: samples: 'many' is not a whole number",
    "samples = true\n": ", line 1: samples: True is not a whole number",
    "samples = 1.0\n": ", line 1: samples: 1.0 is not a whole number",
    "samples = 0\n": ", line 1: samples: 0 is not between 1 and 10000",
    "warning = 1\n": ", line 1: warning: 1 is not true or false",
    "temperature = 'hot'\n": ", line 1: temperature: 'hot' is not a number",
    "temperature = nan\n": ", line 1: temperature: nan is not between 0 and 2",
    f"temperature = {'9' * 400}\n": ", line 1: temperature: 9",
    f"samples = {HUGE}\n": ": Exceeds the limit",
    f"samples = 0x{'f' * 5000}\n": ", line 1: samples: a huge number is not between",
    f"sizes = [0x{'f' * 5000}]\n": ", line 1: arm 1: sizes: a huge number is not a list of names",
    "effort = 3\n": ", line 1: effort: 3 is not a text",
    "models = [1]\n": ", line 1: models: [1] is not a list of names",
    "models = {a = 1}\n": ", line 1: models: {'a': 1} is not a list of names",
    "sizes = ['huge']\n": ", line 1: sizes: unknown 'huge'",
    "answer-tokens = 1\nanswer_tokens = 2\n": ", line 1: answer-tokens: given twice",
    "name = 3\n": ", line 1: name: 3 has the wrong type",
    "name = ''\n": ", line 1: name: empty",
    "max-calls = 1.5\n": ", line 1: max-calls: 1.5 has the wrong type",
    "max-calls = 0\n": ", line 1: max-calls: 0 is not above 0",
    "max-cost = nan\n": ", line 1: max-cost: nan is not above 0",
    "max-cost = inf\n": ", line 1: max-cost: inf is not above 0",
    f"max_total_tokens = 1{'0' * 30}\n": ", line 1: max-total-tokens: 1",
    "arm = 3\n": ", line 1: arm: write each arm as a table headed [[arm]]",
    "[arm]\nseed = 3\n": ": arm: write each arm as a table headed [[arm]]",
    "'arm x' = 3\n": ": arm x: unknown key",
    "'' = 3\n\n": ": : unknown key",
    "[[arm]]\nseed = 1\n[[arm]]  # second\nseed = -1\n": ", line 4: arm 2: seed: -1 is not between",
    "[[arm]]\n[[ arm ]]\nsize = ['s']\n": ", line 3: arm 2: size: unknown key of an arm; known: ",
    "[[arm]]\nsamples = 2\n": ", line 2: arm 1: samples: unknown key of an arm",
    "sizes = ['huge']\n[[arm]]\n[[arm]]\n": ", line 1: arm 1: sizes: unknown 'huge'",
    "[[arm]]\nmodes = ['trace']\nfamilies = ['knapsack']\n": ", line 2: modes: none of these families",
    "[[arm]]\nfamilies = ['jacobi']\n[[arm]]\nfamilies = ['jacoby']\n": ", line 4: arm 2: families: unknown 'jacoby'",
    "[[arm]]\ninstances = '5'\n": ", line 2: arm 1: instances: '5' is not a whole number",
    "x = " + "[" * 3000 + "]" * 3000 + "\n": ": ",
}


@pytest.mark.parametrize("text", LINES, ids=[text[:40] for text in LINES])
def test_a_wrong_spec_file_is_refused_by_line_and_field(text, tmp_path):
    """The message names the file, the line where the field stands, the arm if there are several, and what would do."""
    message = error_of(text, tmp_path)
    assert LINES[text] in message
    if LINES[text].startswith((",", ":")):
        assert message.startswith(LINES[text])


def test_a_spec_that_cannot_be_read_is_refused(tmp_path):
    """No such file, a folder, no text: said so, with the path."""
    for path, what in ((tmp_path / "absent.toml", "No such file"), (tmp_path, "directory")):
        with pytest.raises(RequestError, match=what):
            read_spec(path, {})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="not a UTF-8 text file"):
        read_spec(tmp_path / "binary.toml", {})


KEYS = (*ARM_KEYS, *SPEC_KEYS, *LIMITS)
WORDS = st.sampled_from(
    [*(word for words in LISTS.values() for word in words), "knapsack", "jacobi", "default", "", "x"]
)
SCALARS = st.one_of(
    st.integers(-3, 30).map(str),
    st.sampled_from(
        ["true", "0.5", "nan", "-inf", "1979-05-27", "07:32:00", "0x" + "f" * 4000, "9" * 400, "1e400", "-0"]
    ),
    WORDS.map(lambda word: f'"{word}"'),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='"\\'), max_size=8).map(
        lambda text: f'"{text}"'
    ),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.lists(WORDS.map(lambda word: f'"{word}"'), max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    SCALARS.map(lambda value: f"{{a = {value}}}"),
)
NAMES = st.one_of(
    st.sampled_from(KEYS), st.sampled_from(["arm", '"arm 1"', '"arm x"', '""', '"a: b"', "tool.x", "size"])
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=4).map(
    lambda t: "".join(f"{key} = {value}\n" for key, value in t.items())
)
FILES = st.one_of(
    st.builds(
        lambda top, arms: top + "".join(f"{head}\n{arm}" for head, arm in arms),
        TABLES,
        st.lists(st.tuples(st.sampled_from(["[[arm]]", "[[ arm ]] # one", "[arm]", "[[arms]]"]), TABLES), max_size=3),
    ),
    st.text(st.characters(codec="utf-8"), max_size=40),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES)
def test_any_file_is_a_spec_or_a_wrong_request(tmp_path, text):
    """Whatever a file holds: a checked spec that expands, or an error for the user; never another exception."""
    file = tmp_path / "spec.toml"
    file.write_bytes(text.encode())
    try:
        spec, limits = read_spec(file, {})
    except RequestError:
        return
    assert set(limits) <= set(LIMITS)
    assert checked(spec) == spec
    assert all(0 <= one.first < one.last <= POSITIONS for one in expand(replace(spec, arms=spec.arms[:1])))


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*KEYS, "arm", "frobs"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(),
            st.lists(st.integers() | st.text(), max_size=2),
            st.lists(st.dictionaries(st.sampled_from(KEYS), st.integers() | st.text()), max_size=2),
        ),
        max_size=4,
    )
)
def test_any_table_is_a_spec_or_a_wrong_request(table):
    """The same for tables that come from elsewhere than a file."""
    try:
        spec, _ = from_table(table)
        assert expand(checked(spec))
    except RequestError:
        pass
