"""A small study that was really run: what archives and exports are checked against."""

import hashlib
import json
import shutil

import pytest

from probe.batches import Arm, BatchSpec
from probe.store.sessions import Store
from tests.endpoint import Endpoint, answers, completion
from tests.runs import known, ran, submitted

ARMS = (
    Arm(families=("knapsack",), sizes=("xs",), variants=("fresh", "renamed"), instances=6),
    Arm(families=("jacobi",), sizes=("xs",), modes=("trace",), instances=4),
)
SPEC = BatchSpec(arms=ARMS, channels=("text", "tool"), samples=2)
ONLY_BASELINES = BatchSpec(arms=(ARMS[0],), models=("none",), baselines=("random", "exact"))
FORMULA = '=HYPERLINK("http://127.0.0.1/","look")'


def every_way(body, number):
    """Replies that end in every outcome that a reply can have, by prompt and model alone; both models say the same to
    every second prompt."""
    prompt = body["messages"][-1]["content"]
    draw = hashlib.sha256(prompt.encode()).digest()
    if draw[3] % 2:
        draw = hashlib.sha256((prompt + body["model"]).encode()).digest()
    items = [i + 1 for i in range(6) if draw[1] >> i & 1]
    steps = [[str(draw[2] % 7), "0.5"]] * 2
    answer = json.dumps({"items": items, "iterates": steps})
    message, finish = {"content": f"I think that it is this.\n{answer}"}, "stop"
    match draw[0] % 9:
        case 0:
            message = {"content": "I would rather not show numbers."}
        case 1:
            message, finish = {"content": '{"items": [1,'}, "length"
        case 2:
            message = {"content": None, "refusal": "That is not for me."}
        case 3:
            message = {"content": '{"items": [99], "iterates": 4}'}
        case 4:
            message = {"content": ""}
        case _ if "tools" in body:
            call = {"id": "t-1", "type": "function", "function": {"name": "answer", "arguments": answer}}
            message, finish = {"content": None, "tool_calls": [call]}, "tool_calls"
    return answers(completion(message, finish, system_fingerprint=FORMULA))


@pytest.fixture(scope="session")
def study(migrated_sqlite, tmp_path_factory):
    """A database with a batch of two models and one of baselines alone; never changed."""
    folder = tmp_path_factory.mktemp("study")
    store = Store(f"sqlite:///{shutil.copy(migrated_sqlite, folder / 'probe.sqlite3')}")
    with Endpoint(every_way) as endpoint:
        known(store, endpoint.url, "tiny", params=135_000_000, lineage="Tiny", extra_body={"api_key": "sk-1"})
        known(store, endpoint.url, "large", params=7_000_000_000, reasoning=True, price_in=1.0, price_out=2.5)
        ran(store, submitted(store, SPEC, "main"))
        ran(store, submitted(store, ONLY_BASELINES, "thoughtless"))
    yield store
    store.dispose()


@pytest.fixture
def source(study, tmp_path):
    """A copy of the study's database, to be changed."""
    study.dispose()
    store = Store(f"sqlite:///{shutil.copy(study.file, tmp_path / 'source.sqlite3')}")
    yield store
    store.dispose()
