"""The same work in inspect_ai, run by the Python of .venv-bench.

`inspect_child.py URL PROMPTS.json CONCURRENCY FOLDER` prints {"seconds", "cpu", "trials"}, from just
before to just after its `eval()`: its log file included, everything imported before.
"""

import json
import os
import sys
import time
from pathlib import Path

from inspect_ai import Task, eval, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import Score, Target, accuracy, scorer
from inspect_ai.solver import TaskState, generate

ANSWER_TOKENS = 256


@scorer(metrics=[accuracy()])
def trivial():
    """Scores without looking."""

    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=1)

    return score


@task
def bench(prompts):
    """One sample per prompt."""
    return Task(dataset=MemoryDataset([Sample(input=text) for text in prompts]), solver=generate(), scorer=trivial())


def main(url, file, concurrency, folder):
    os.environ |= {"BENCH_BASE_URL": url, "BENCH_API_KEY": "none"}
    prompts = json.loads(Path(file).read_text(encoding="utf-8"))
    config = GenerateConfig(temperature=0, max_tokens=ANSWER_TOKENS, seed=7, max_connections=int(concurrency))
    model = get_model("openai-api/bench/served", config=config)
    begun, used = time.perf_counter(), time.process_time()
    (log,) = eval(bench(prompts), model=model, display="none", log_dir=folder, max_connections=int(concurrency))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    assert log.status == "success", log.error
    print(json.dumps({"seconds": seconds, "cpu": cpu, "trials": log.results.completed_samples}))


if __name__ == "__main__":
    main(*sys.argv[1:])
