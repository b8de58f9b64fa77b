"""Workers' clocks may be wrong: leases go by the database's."""

from dataclasses import replace

from sqlalchemy import select

from probe.batches import Arm, BatchSpec
from probe.store.tables import Shard, Worker
from tests.endpoint import Endpoint
from tests.runs import known, sound, varied
from tests.services.service import answers, asked_twice, ended, queued, service, wait_until

MINUTES = 5 * 60
LEASE = 4.0
SPEC = BatchSpec(arms=(Arm(families=("knapsack",), sizes=("xs",), instances=300),), baselines=("blank",))


def test_workers_whose_clocks_are_minutes_apart_neither_steal_nor_lose_leases(pg_store, valkey, tmp_path):
    """One is behind, one ahead: both keep their leases beyond the time that these last unless they are renewed."""
    waiting = True  # for both to have got hold of something, and kept it for a while

    def script(body, number):
        return replace(varied(body, number), delay=3.0 if waiting else 0.0)

    how = {
        "PROBE_CONSTANTS": f"probe.store.work.LEASE_SECONDS={LEASE};probe.running.HEARTBEAT=1.0",
        "PROBE_CONCURRENCY": "4",
    }
    with Endpoint(script) as endpoint:
        known(pg_store, endpoint.url)
        with (
            service(pg_store, valkey, tmp_path / "behind", PROBE_CLOCK=str(-MINUTES), **how) as behind,
            service(pg_store, valkey, tmp_path / "ahead", PROBE_CLOCK=str(MINUTES), **how) as ahead,
        ):
            batch_id = queued(pg_store, valkey, SPEC)
            wait_until(lambda: holding(pg_store, behind) and holding(pg_store, ahead))
            before = holding(pg_store, behind) | holding(pg_store, ahead)

            def kept():
                now = holding(pg_store, behind) | holding(pg_store, ahead)
                assert before.keys() <= now.keys()
                return all(now[token] > until + LEASE for token, until in before.items())

            wait_until(kept)
            waiting = False
            assert ended(pg_store, batch_id) == "complete"
            with pg_store.reading() as session:
                skews = sorted(session.scalars(select(Worker.skew)))
    assert [round(skew / MINUTES) for skew in skews] == [-1, 1]  # what `probe doctor` tells
    assert answers(pg_store, batch_id) == 300
    assert asked_twice(endpoint) == 0
    sound(pg_store)


def holding(store, worker):
    """The leases of shards that a worker's processes hold: token -> until when."""
    pids = worker.pids()
    with store.reading() as session:
        rows = session.execute(
            select(Shard.lease_token, Shard.lease_until, Shard.owner).where(Shard.lease_token.is_not(None))
        ).all()
    return {row.lease_token: row.lease_until for row in rows if int(row.owner.split()[1]) in pids}
