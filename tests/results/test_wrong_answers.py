"""Wrong answers: matched with their own instance's attractors and with those of others of the same block."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import insert, update

from probe.asking.judging import JUDGE_VERSION, judge_reply
from probe.asking.measures import POSITIONS
from probe.asking.posed import Posed
from probe.asking.records import record
from probe.preparing import pack_document
from probe.results import evidence, wrong_answers
from probe.results.wrong_answers import JUMPS, OTHERS
from probe.store import tables as t
from probe.store import work
from solvers import registry
from solvers.problem import Instance

INSTANCES = 12


def asked(session, family, variant, answer):
    """Write the shard of the model that gives ``answer(posed)`` to the first instances of a family."""
    kind = registry.get(family)
    version = {"name": family, "version": kind.version, "kind": kind.kind}
    session.execute(insert(t.FamilyVersion).values(id=1, **version))
    block = {"family_version_id": 1, "size": "s", "seed": 7, "number": 0, "variant": variant}
    more = {"knobs": {}, "modules": "", "prepared": POSITIONS, "discards": {}, "holes": {}}
    session.execute(insert(t.Block).values(id=1, **block, **more))
    session.execute(insert(t.Question).values(id=1, block_id=1, mode="final"))
    shard = {"batch_id": 1, "model_id": 1, "presentation_id": 1, "asked_channel": "json", "attempts": 0}
    span = {"first": 0, "last": INSTANCES, "first_sample": 0, "last_sample": 1, "state": "pending"}
    session.execute(insert(t.Shard).values(id=1, question_id=1, **shard, **span))
    records = []
    for position in range(INSTANCES):
        instance, _ = kind.instance("s", 7, position, (), variant)
        if not isinstance(instance, Instance):
            continue
        row = {"block_id": 1, "position": position, "key": instance.key}
        session.execute(insert(t.Instance).values(**row, document=pack_document(kind.dump(instance))))
        posed = Posed(instance, "final")
        text = json.dumps(posed.shape.write(answer(posed), instance.names))
        records.append(record(posed, position, 0, judge_reply(posed, text, "stop")))
    work.save_trials(session, [(1, r) for r in records])
    counts = [(r.position, r.counts) for r in records]
    assert work.finish_shard(session, 1, None, counts, JUDGE_VERSION)


@pytest.fixture
def session(store):
    """A session with one model, in one batch."""
    with store.writing() as session:
        session.execute(insert(t.Endpoint).values(id=1, url="http://127.0.0.1/v1", key_variable=""))
        model = {"id": 1, "name": "jumper", "kind": "endpoint", "endpoint_id": 1, "added_at": 0.0}
        session.execute(insert(t.Model).values(**model, reasoning=False, extra_body={}, capabilities={}))
        how = {"channel": "json", "form": "json_schema", "examples": 0, "warning": False, "template": 1}
        session.execute(insert(t.Presentation).values(id=1, digest="d", answer_tokens=512, **how))
        batch = {"id": 1, "name": "b", "spec": {}, "spec_digest": "d", "state": "complete", "created_at": 0.0}
        session.execute(insert(t.Batch).values(**batch, notes={}))
        yield session


def matched(session):
    return wrong_answers.load(session, evidence.load(session, lambda name: name.startswith("outcome:")))


def limit(posed):
    return posed.family.template_answer(posed.instance, "final")


def start(posed):
    return (posed.family.start(posed.instance.data),)


@pytest.mark.parametrize(("answer", "name"), [(limit, "converged"), (start, "start")])
def test_a_jump_is_matched_with_its_own_attractor_and_seldom_with_anothers(session, answer, name):
    asked(session, "jacobi", "fresh", answer)
    [arm] = matched(session)
    assert arm.subject.name == "jumper"
    n, y = arm.counts[f"own:{name}"][:INSTANCES].T
    assert (n > 0).sum() >= 10  # not every last iterate is wrong if the limit is written
    if name == "converged":
        assert y.sum() == n.sum()
        m, chance = arm.counts["other:converged"].sum(axis=0)
        assert m == n.sum() * OTHERS
        assert chance < 0.05 * m
    assert arm.counts[f"own:{name}"][INSTANCES:].sum() == 0


def test_values_agree_with_what_the_tally_counts(session):
    """Against their own instance, values are classed as judging classed them."""
    asked(session, "newton", "fresh", start)
    [arm] = matched(session)
    [tallied] = evidence.load(session, lambda name: name.startswith("attractor:"))
    for name in JUMPS:
        assert (arm.counts[f"own:{name}"] == tallied.counts[f"attractor:{name}"]).all()


def test_right_values_are_not_matched(session):
    asked(session, "jacobi", "fresh", lambda posed: posed.family.exact(posed.instance, "final"))
    assert matched(session) == []


def test_greedys_answer_is_recognised_where_greedy_fails(session):
    asked(session, "knapsack", "greedy_fails", lambda posed: posed.family.greedy_answer(posed.instance))
    [arm] = matched(session)
    n, y = arm.counts["own:greedy"].sum(axis=0)
    m, chance = arm.counts["other:greedy"].sum(axis=0)
    assert n == y > 0
    assert m == n * min(OTHERS, n - 1)
    assert chance <= 0.1 * m


def test_instances_of_a_family_that_moved_on_are_left_out(session):
    asked(session, "jacobi", "fresh", limit)
    document = dict(registry.get("jacobi").dump(registry.get("jacobi").instance("s", 7, 0)[0]), version=0)
    session.execute(update(t.Instance).values(document=pack_document(document)))
    assert matched(session) == []


def test_few_answers_of_many_blocks_are_matched_the_same_for_all_models(session):
    asked(session, "jacobi", "fresh", limit)
    [arm] = evidence.load(session, lambda name: name.startswith("outcome:"))
    arms = [replace(arm, base=arm.base._replace(number=i), shards=(i,)) for i in range(200)]
    chosen = wrong_answers._spread(arms)
    assert sum(last for _, last in chosen) <= wrong_answers.MOST_ANSWERS
    assert all(last >= wrong_answers.FEWEST_POSITIONS for _, last in chosen)
    assert chosen == wrong_answers._spread(arms[::-1])
    assert wrong_answers._spread([arm]) == [(arm, POSITIONS)]
