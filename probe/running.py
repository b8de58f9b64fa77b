"""Running: preparing what a batch needs and asking its shards. Local runs and workers share this one path.

A call's slot is freed only after its answer is committed, so a crash repeats at most the calls in flight. Answers are
written in groups: whatever is waiting when the writer is free goes into one transaction, together with the tally of a
shard that it finishes.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from probe import submitting
from probe.asking import capabilities, presentation
from probe.asking.addresses import check_public
from probe.asking.calls import Attempt, Caller, CallResult, Facts, Reply, Request, RetryPolicy, Target
from probe.asking.connection import EndpointError
from probe.asking.judging import JUDGE_VERSION, Verdict, failed, judge_reply, judge_stored
from probe.asking.limits import Limits
from probe.asking.measures import counts
from probe.asking.posed import Posed, load
from probe.asking.presentation import Presentation
from probe.asking.records import Record, record
from probe.budget import Budget, Charge, Prices, Use, use, used_by
from probe.controls import OPEN, any_in, check_open
from probe.desk import Desk, Office, Progress
from probe.errors import RequestError
from probe.preparing import unpack_document
from probe.seats import MOST_OPENED, Place, open_circuit
from probe.store import work
from probe.store.sessions import Store, StoreError
from probe.store.tables import Batch, BatchQuestion, Endpoint, Model, Shard
from probe.store.tables import Presentation as PresentationRow
from probe.store.work import CallRow, Finished, Lease, Spent
from probe.workshop import prepare

T = TypeVar("T")
HEARTBEAT = 20.0  # seconds between renewals of leases whose answers are slow to come
POLL = 1.0  # seconds between two looks at what others hold
GROUP = 200  # most answers written in one transaction
LINGER = 0.02  # seconds that an answer waits for others to be written with it while calls are open
PATIENCE = 1.0  # seconds to wait for a database that is away: somebody watches
DEAD_AFTER = 10  # answers in a row that failed in transit: the endpoint is given up for this run
OWN_FAULT = (400, 413, 422)  # HTTP status of requests that the endpoint is right to refuse
MEND = "What was answered is stored; mend the endpoint, then `probe retry` asks the failed ones again"
SEEDS = 2**31


@dataclass(frozen=True)
class Ran:
    """How a run ended: the batch's state and what went wrong, by model."""

    state: str
    errors: dict[str, str]


async def run(
    store: Store,
    batch_id: int,
    *,
    concurrency: int,
    progress: Progress,
    policy: RetryPolicy | None = None,
    processes: int | None = None,
) -> Ran:
    """Prepare and ask everything of a batch that is still to be done, and return how it ended.

    What other processes hold of it (workers help where some are running) is waited for, and taken over where they die.
    The first SIGINT stops new calls and waits for those in flight; a second one cancels them.
    """
    with store.writing() as session:
        batch = session.get_one(Batch, batch_id)
        check_open(batch)
        batch.state = "running"
        submitting.remember_questions(session, batch_id, submitting.stored_spec(batch.spec))
        work.take_over(session, batch_id)
        budget = budget_of(session, batch)
    office = Office(store, policy or RetryPolicy(), PATIENCE)
    desk = Desk(office, batch_id, concurrency, budget, progress)
    errors: dict[str, str] = {}
    state = "failed"
    try:
        with interruptible(desk.stop):
            await _take(desk, processes or os.cpu_count() or 1, errors)
            while not errors and await _left_by_others(desk):
                await _take(desk, processes or os.cpu_count() or 1, errors)
        state = desk.halted or ("failed" if errors else "budget_reached" if budget.reached else "paused")
    except asyncio.CancelledError:
        state = "paused"
    except BaseExceptionGroup as several:
        raise _first(several) from several
    finally:
        office.close()
        with store.writing() as session:
            closed = work.close_batch(session, store.now(session), batch_id, state)
    return Ran(closed, errors)


async def _take(desk: Desk, processes: int, errors: dict[str, str]) -> None:
    """Prepare and ask what nobody else holds."""
    models = await desk.database(lambda session, _: _models(session, desk.batch_id))
    for model, endpoint in models:
        if await desk.database(partial(_suspicious, desk.batch_id, model.id)):
            await ask_model(desk, model, endpoint, errors, alone=True)
    desk.preparing = True
    async with asyncio.TaskGroup() as group:
        group.create_task(prepare(desk, processes))
        for model, endpoint in models:
            group.create_task(ask_model(desk, model, endpoint, errors))


async def _left_by_others(desk: Desk) -> bool:
    """Wait while others hold all that is left of a batch; return whether something of it can be taken."""
    told = False
    while not (desk.stop.is_set() or desk.budget.reached):
        held, free = await desk.database(partial(_held_and_free, desk.batch_id))
        if not (held or free):
            return False
        if not (free or told):
            desk.progress.note("other processes ask the rest; this run ends when they have")
            told = True
        with suppress(TimeoutError):
            await asyncio.wait_for(desk.stop.wait(), POLL)
        if free:
            return True
    return False


def _held_and_free(batch_id: int, session: Session, now: float) -> tuple[bool, bool]:
    """Return whether somebody holds work of a batch, and whether some could be taken."""
    work.take_over(session, batch_id)
    due = (pair for suspects in (False, True) for pair in work.due(session, now, suspects))
    open_ = (BatchQuestion.batch_id == batch_id, BatchQuestion.state.in_(OPEN), work.unheld(BatchQuestion, now))
    free = any(pair[0] == batch_id for pair in due) or session.scalar(select(BatchQuestion.id).where(*open_).limit(1))
    return any_in(session, batch_id, OPEN, held_at=now), bool(free)


def budget_of(session: Session, batch: Batch) -> Budget:
    """Return the limits of a batch and what it has used of them."""
    return Budget(batch.max_calls, batch.max_tokens, batch.max_cost, work.spent(session, batch.id))


def _suspicious(batch_id: int, model_id: int, session: Session, now: float) -> bool:
    return (batch_id, model_id) in work.due(session, now, suspects=True)


def _first(error: BaseException) -> BaseException:
    """Return the first failure inside groups of failures: the others follow from it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _models(session: Session, batch_id: int) -> list[tuple[Model, Endpoint]]:
    """Return the models with pending shards in a batch, smallest first."""
    pending = select(Shard.model_id).where(Shard.batch_id == batch_id, Shard.state == "pending").distinct()
    query = select(Model, Endpoint).join(Endpoint, Model.endpoint_id == Endpoint.id).where(Model.id.in_(pending))
    return [(model, endpoint) for model, endpoint in session.execute(query.order_by(Model.params, Model.id))]


@contextmanager
def interruptible(stop: asyncio.Event) -> Iterator[None]:
    """Let the first SIGINT set ``stop`` and the second cancel the current task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def interrupted() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    try:
        loop.add_signal_handler(signal.SIGINT, interrupted)
    except (RuntimeError, ValueError, NotImplementedError):  # not the main thread: nobody presses Ctrl-C here
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


# --- asking -----------------------------------------------------------------------------------------------------------


@dataclass
class Held:
    """A leased shard while its trials are asked."""

    lease: Lease
    presentation: Presentation
    posed: dict[int, Posed]
    requests: dict[int, Request] = field(default_factory=dict)  # of sample 0, by position, made on first use

    def request(self, position: int, sample: int) -> Request:
        """Return the request of one trial; the seed makes sampled answers repeatable where an endpoint honours it."""
        if position not in self.requests:
            self.requests[position] = build_request(self.posed[position], self.presentation)
        first = self.requests[position]
        assert first.seed is not None
        return replace(first, seed=(first.seed + sample) % SEEDS)


async def ask_model(desk: Desk, model: Model, endpoint: Endpoint, errors: dict[str, str], alone: bool = False) -> None:
    """Ask everything that is pending for one model; its failure leaves other models alone.

    ``alone``: only shards that may be what their owners died of, one trial at a time.
    """
    most = min(desk.concurrency, endpoint.max_concurrency or desk.concurrency)
    target = Target(
        url=endpoint.url,
        model=model.served_id or model.name,
        key_variable=endpoint.key_variable or None,
        extra_body=model.extra_body,
        reasoning=model.reasoning,
    )
    seats, limits = desk.office.seats, Limits(most, endpoint.rpm, endpoint.tpm)
    try:
        if not endpoint.internal:
            await asyncio.to_thread(check_public, endpoint.url)  # what a name means may have changed since it was added
        async with seats.at(endpoint.id, limits) as place, Caller(target, place.limits, desk.office.policy) as caller:
            asking = Asking(desk, model, caller, place)
            await asking.settle()
            await asking.ask_all(1 if alone else most, alone)
    except Exception as error:
        cause = _first(error)
        if isinstance(cause, StoreError):  # the database is everybody's
            raise cause from error
        known = isinstance(cause, EndpointError | RequestError)
        errors[model.name] = str(cause) if known else f"{type(cause).__name__}: {cause}"
        return
    if (reason := asking.complaint()) is not None:
        errors[model.name] = reason


class Asking:
    """One model's run: leases shards, asks their trials within a window, writes the answers in groups."""

    def __init__(self, desk: Desk, model: Model, caller: Caller, place: Place) -> None:
        self.desk, self.model, self.caller, self.place = desk, model, caller, place
        self.held: dict[int, Held] = {}
        self.queue: list[tuple[Held, int, int]] = []  # trials to ask, the next one last
        self.written: asyncio.Queue[tuple[Finished, asyncio.Future[None]]] = asyncio.Queue()
        self.leasing = asyncio.Lock()
        self.calling = 0  # calls open
        self.arrived = 0  # answers that got through in this run
        self.lost: str | None = None  # why the latest one did not
        self.lost_in_a_row = 0
        self.unsure: list[Finished] = []  # lost answers, while it is open whether the endpoint is down
        self.given_up: str | None = None
        self.exhausted = False

    async def settle(self) -> None:
        """Find out, once for a model and channel, what its endpoint accepts, and have the shards asked that way."""
        batch_id, model_id = self.desk.batch_id, self.model.id

        def channels(session: Session, _: float) -> list[tuple[str, int, int]]:
            mine = (Shard.batch_id == batch_id, Shard.model_id == model_id, Shard.state == "pending")
            query = select(Shard.asked_channel, Shard.presentation_id, Shard.last, Shard.first, Shard.first_sample)
            seen: dict[tuple[str, int], int] = {}
            rows = session.execute(query.add_columns(Shard.last_sample).where(*mine))
            for channel, presentation_id, last, first, low, high in rows:
                seen[channel, presentation_id] = seen.get((channel, presentation_id), 0) + (last - first) * (high - low)
            return [(channel, presentation_id, n) for (channel, presentation_id), n in seen.items()]

        asked = await self.desk.database(channels)
        known = dict(self.model.capabilities)
        for channel in {channel for channel, _, _ in asked}:
            if channel not in known:
                settled = await capabilities.settle(self.caller, channel)  # type: ignore[arg-type]
                known[channel] = asdict(settled) | {"notes": list(settled.notes)}
        if known:
            some = next(iter(known.values()))
            names = ("token_field", "accepts_temperature", "accepts_seed")
            self.caller.facts = Facts(**{name: some[name] for name in names if name in some})

        said = [f"{self.model.name}: {text}" for channel, _, _ in asked for text in known[channel]["notes"]]
        for text in dict.fromkeys(said):
            self.desk.progress.note(text)

        def remember(session: Session, _: float) -> None:
            session.execute(update(Model).where(Model.id == model_id).values(capabilities=known))
            for channel, presentation_id, _ in asked:
                row = session.get_one(PresentationRow, presentation_id)
                used = Presentation(
                    **{n: getattr(row, n) for n in Presentation.__dataclass_fields__ if n not in ("channel", "form")},
                    channel=known[channel]["channel"],
                    form=known[channel]["form"],
                )
                new_id = submitting.presentation_id(session, used)
                if new_id != presentation_id:
                    session.execute(
                        update(Shard)
                        .where(Shard.batch_id == batch_id, Shard.model_id == model_id, Shard.state == "pending")
                        .where(Shard.asked_channel == channel, Shard.presentation_id == presentation_id)
                        .values(presentation_id=new_id)
                    )
            # Last of all, as in every transaction: shards before their batch, so that two never wait for each other.
            batch = session.get_one(Batch, batch_id, with_for_update=True)
            batch.notes = batch.notes | {"notes": list(dict.fromkeys([*batch.notes.get("notes", []), *said]))}

        await self.desk.database(remember)
        self.desk.progress.asking(self.model.name, sum(n for _, _, n in asked))

    async def ask_all(self, window: int, alone: bool = False) -> None:
        """Ask with at most ``window`` calls open; release what is left where the run is stopped."""
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self.write()), group.create_task(self.beat())]
                if alone:
                    await self.ask_suspects()
                else:
                    await asyncio.wait([group.create_task(self.ask()) for _ in range(window)])
                await self.decide()
                for helper in helpers:
                    helper.cancel()
        finally:
            left = [(h.lease.shard_id, h.lease.token) for h in self.held.values()]
            await asyncio.shield(self.desk.database(partial(_release, left)))

    async def ask(self) -> None:
        """Ask one trial after the other until none is left."""
        while (trial := await self.next()) is not None:
            if not await self.ask_trial(*trial):
                self.give_up(None)
                return

    async def ask_suspects(self) -> None:
        """Ask shards whose owners died again and again, trial by trial under a lease of its own, so that only the
        trial that they died of is counted out."""
        while not self.desk.stop.is_set() and not self.exhausted:
            leased = await self.desk.database(partial(self.lease, suspects=True))
            if leased is None:
                return
            await self.hold(leased)
            lease = leased[0]
            if not self.queue:
                continue
            held, position, sample = self.queue.pop()
            self.queue.clear()
            if lease.poisoned:
                await self.store(held, _poisoned(held.posed[position], position, sample), ())
            elif not await self.ask_trial(held, position, sample):
                self.give_up(None)
            self.held.pop(lease.shard_id, None)
            await self.desk.database(partial(_release, [(lease.shard_id, lease.token)]))

    async def ask_trial(self, held: Held, position: int, sample: int) -> bool:
        """Ask one trial and store what came; False where the budget or the run ends."""
        budget, stop = self.desk.budget, self.desk.stop
        posed = held.posed[position]
        request = held.request(position, sample)
        tokens = (request.most_tokens() - request.answer_tokens, request.answer_tokens)
        worst = use(1, *tokens, self.prices)
        if not await budget.reserve(worst, stop):
            return False
        attempts: list[Attempt] = []
        charge = Charge(budget, worst)
        self.calling += 1
        try:
            result = await self.caller.call(request, attempts, lambda: not stop.is_set() and charge.another())
        finally:
            self.calling -= 1
            known = [(a.kind, a.prompt_tokens, a.completion_tokens) for a in attempts]
            charge.settle([used_by(k, *tokens) for k in known], self.prices)
        if result.stopped:
            return False
        calls = call_rows(result, held.lease.attempted.get((position, sample), 0), tokens)
        await self.store(held, judged(posed, position, sample, result), calls, result.reply is None)
        return True

    def give_up(self, reason: str | None) -> None:
        """Ask nothing more in this run; the calls in flight are still waited for."""
        self.queue.clear()
        self.exhausted = True
        self.given_up = self.given_up or reason

    @property
    def prices(self) -> Prices | None:
        """USD per million prompt and answer tokens."""
        price_in, price_out = self.model.price_in, self.model.price_out
        return None if price_in is None or price_out is None else (price_in, price_out)

    async def store(self, held: Held, row: Record, calls: tuple[CallRow, ...], lost: bool = False) -> None:
        """Store a judged answer, ``lost`` in transit or not; give the endpoint up where too many were in a row.

        A patient run keeps lost answers back until it knows whether the endpoint is down: then they are no answers.
        """
        finished = Finished(held.lease.shard_id, held.lease.token, row.position, row.sample, row, calls)
        if row.outcome != "transport_error":
            self.arrived += 1
            self.lost_in_a_row = 0
            self.place.answered = True
            unsure, self.unsure = self.unsure, []
            await asyncio.gather(*(self.commit(item) for item in (finished, *unsure)))
            return
        self.lost = row.error
        self.lost_in_a_row += 1
        if self.desk.patient and lost and calls and calls[-1].status not in OWN_FAULT:
            self.unsure.append(finished)
        else:
            await self.commit(finished)
        if self.lost_in_a_row >= DEAD_AFTER:
            self.give_up(f"{DEAD_AFTER} answers in a row failed in transit, the last: {row.error}. {MEND}")

    async def commit(self, finished: Finished) -> None:
        """Hand an answer to the writer and wait until it is committed."""
        held = self.held.get(finished.shard_id)
        if held is None or held.lease.token != finished.token:
            return
        row = finished.record
        if row is not None:
            held.lease.counts.append((row.position, row.counts))
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.written.put_nowait((finished, committed))
        await committed
        if row is not None:
            self.desk.progress.answered(self.model.name, row.outcome)

    async def decide(self) -> None:
        """At the end: is the endpoint down? Then a patient run leaves it alone for a while; else the lost are lost."""
        unsure, self.unsure = self.unsure, []
        down = self.lost_in_a_row >= DEAD_AFTER or (unsure and self.arrived == 0)
        if down and self.desk.patient:
            unsure = [replace(item, record=None) for item in unsure]
            await self.desk.database(partial(leave_alone, self.desk.batch_id, self.model, self.lost or ""))
        await asyncio.gather(*(self.commit(item) for item in unsure))

    def complaint(self) -> str | None:
        """Return why this run of the model is no success, None where it is one."""
        if self.given_up is not None:
            return self.given_up
        if self.lost is not None and self.arrived == 0:
            return f"no answer got through, the last failure: {self.lost}. {MEND}"
        return None

    async def next(self) -> tuple[Held, int, int] | None:
        """Return the next trial, leasing shards as they are needed; None where nothing is left or the run stops."""
        async with self.leasing:
            while not self.queue:
                if self.desk.stop.is_set() or self.exhausted:
                    return None
                preparing, saved = self.desk.preparing, self.desk.saved  # before looking: what is saved later is seen
                lease = await self.desk.database(self.lease)
                if lease is not None:
                    await self.hold(lease)
                elif preparing:
                    async with self.desk.prepared:
                        if self.desk.saved == saved:
                            await self.desk.prepared.wait()
                else:
                    self.exhausted = True
                    return None
            return None if self.desk.stop.is_set() else self.queue.pop()

    def lease(self, session: Session, now: float, suspects: bool = False) -> tuple[Lease, Presentation] | None:
        """Take a shard of this model."""
        taken = work.lease(session, now, self.desk.batch_id, self.model.id, list(self.held), suspects)
        if taken is None:
            return None
        row = session.get_one(PresentationRow, taken.presentation_id)
        return taken, Presentation(**{n: getattr(row, n) for n in Presentation.__dataclass_fields__})

    async def hold(self, leased: tuple[Lease, Presentation]) -> None:
        """Put a shard's trials into the queue; finish it at once where nothing is left to ask."""
        lease, used = leased
        held = self.held[lease.shard_id] = Held(lease, used, {})
        try:
            for position, blob in lease.documents.items():
                held.posed[position] = load(unpack_document(blob), lease.mode)  # type: ignore[arg-type]
        except ValueError as error:  # of a version of the family that this program no longer has
            await self.desk.database(partial(_fail, lease, str(error)))
            del self.held[lease.shard_id]
            self.lost = self.lost or str(error)
            return
        for position, _, outcome, text in lease.answered:
            verdict = judge_stored(held.posed[position], outcome, text)  # type: ignore[arg-type]
            lease.counts.append((position, counts(held.posed[position], verdict)))
        if not lease.todo:
            await self.desk.database(partial(_finish, lease))
            del self.held[lease.shard_id]
            return
        self.queue = [(held, position, sample) for position, sample in reversed(lease.todo)]

    async def write(self) -> None:
        """Commit what is waiting, group after group."""
        while True:
            group = [await self.written.get()]
            if self.calling:  # a transaction costs as much as several answers
                await asyncio.sleep(LINGER)
            while len(group) < GROUP and not self.written.empty():
                group.append(self.written.get_nowait())
            finished = [item for item, _ in group]
            done = Counter(item.shard_id for item in finished if item.record is not None)
            whole = [self.held[id_].lease for id_, count in done.items() if self.held[id_].lease.left == count]
            try:
                owned, spent, mine = await self.desk.database(partial(self.commit_group, finished, whole))
            except Exception as error:  # noqa: BLE001  (whoever waits for the commit raises it)
                for _, committed in group:
                    if not committed.done():
                        committed.set_exception(error)
                continue
            self.desk.budget.learn(spent, mine)
            self.settle_leases(done, owned)
            for _, committed in group:
                if not committed.done():
                    committed.set_result(None)

    def commit_group(
        self, finished: list[Finished], whole: list[Lease], session: Session, now: float
    ) -> tuple[set[int], Spent, Use]:
        """Write a group of answers, and the tally of each shard that it makes whole, in one transaction.

        Returns the shards that this process still owned (of the others nothing was written), what the batch has used
        by now, and what of it this group did.
        """
        owned, written = work.commit_group(session, now, finished, again=session.info.get("again", False))
        shard_ids = {shard_id for shard_id, _ in owned}
        for lease in whole:
            if lease.shard_id in shard_ids:
                work.finish_shard(session, lease.shard_id, lease.token, lease.counts, JUDGE_VERSION)
        mine = Use(0, 0, 0.0)
        for call in (call for item in written for call in item.calls):
            mine += use(1, call.charged_prompt_tokens, call.charged_answer_tokens, self.prices)
        spent = work.use(session, self.desk.batch_id, mine.calls, mine.tokens, mine.cost)
        ended = Counter(item.record.outcome for item in written if item.record is not None)
        work.count_outcomes(session, self.desk.batch_id, ended)
        return shard_ids, spent, mine

    def settle_leases(self, done: Mapping[int, int], owned: set[int]) -> None:
        """Count what was committed; let go of shards that are finished or were taken over by another process."""
        for shard_id, count in done.items():
            lease = self.held[shard_id].lease
            lease.left -= count
            if shard_id not in owned:
                before = len(self.queue)
                self.queue = [trial for trial in self.queue if trial[0].lease is not lease]
                lease.left -= before - len(self.queue)
            if lease.left == 0:
                del self.held[shard_id]

    async def beat(self) -> None:
        """Renew the leases whose answers are slow to come."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            leases = [(h.lease.shard_id, h.lease.token) for h in self.held.values()]
            await self.desk.database(partial(_renew, leases))


def _finish(lease: Lease, session: Session, _: float) -> None:
    work.finish_shard(session, lease.shard_id, lease.token, lease.counts, JUDGE_VERSION)


def _fail(lease: Lease, error: str, session: Session, _: float) -> None:
    work.fail_shard(session, lease.shard_id, lease.token, error)


def _renew(leases: list[tuple[int, str]], session: Session, now: float) -> None:
    work.renew(session, now, leases)


def _release(leases: list[tuple[int, str]], session: Session, _: float) -> None:
    work.release(session, leases)


def leave_alone(batch_id: int, model: Model, reason: str, session: Session, now: float) -> None:
    """Open the circuit of a model's endpoint; give the model's shards up where that happened too often in a row."""
    assert model.endpoint_id is not None
    if open_circuit(session, now, model.endpoint_id, reason) >= MOST_OPENED:
        work.fail_shards(session, batch_id, model.id, f"the endpoint was down {MOST_OPENED} times in a row: {reason}")


def _poisoned(posed: Posed, position: int, sample: int) -> Record:
    """Return the record of a trial whose process died each time that it was tried: unscored."""
    reason = f"each process that tried it died ({work.POISON} times)"
    return record(posed, position, sample, failed(posed, "transport_error", reason))


def build_request(posed: Posed, used: Presentation) -> Request:
    """Return the request of an instance's first sample."""
    return Request(
        messages=presentation.messages(posed, used),
        form=used.form,
        schema=posed.schema,
        answer_tokens=used.answer_tokens,
        temperature=used.temperature,
        effort=used.effort,
        seed=int(posed.instance.key[:8], 16) % SEEDS,
    )


def judge_result(posed: Posed, result: CallResult) -> Verdict:
    """Return the verdict of a call: an instrument's failure, a refusal by protocol, or what the reply's text says."""
    reply = result.reply
    if reply is None:
        return failed(posed, "transport_error", result.failure)
    if reply.refusal and not reply.answer_text:
        return failed(posed, "refusal", reply.refusal)
    return judge_reply(posed, reply.answer_text or "", reply.finish_reason)


def judged(posed: Posed, position: int, sample: int, result: CallResult) -> Record:
    """Return the record of a call's judged result.

    A reply on which the judge itself fails is a failure of the instrument: unscored, with the raw reply kept, so that
    rejudging with a mended judge puts it right.
    """
    try:
        return record(posed, position, sample, judge_result(posed, result))
    except Exception as error:  # noqa: BLE001  (stored as the trial's outcome)
        reason = f"the judge failed: {type(error).__name__}: {error}"
        return record(posed, position, sample, failed(posed, "transport_error", reason))


def call_rows(result: CallResult, before: int, worst: tuple[int, int]) -> tuple[CallRow, ...]:
    """Return the attempts of a call as rows, numbered on from those ``before``; the last one carries the reply.

    ``worst``: prompt and answer tokens that an attempt of unknown use is charged with.
    """
    rows = []
    for attempt in result.attempts:
        prompt, answer = used_by((attempt.kind, attempt.prompt_tokens, attempt.completion_tokens), *worst)
        rows.append(
            CallRow(
                number=before + attempt.number,
                kind=attempt.kind,
                started_at=attempt.started,
                seconds=attempt.seconds,
                status=attempt.status,
                error=attempt.error,
                charged_prompt_tokens=prompt,
                charged_answer_tokens=answer,
                **_reply_columns(result.reply if attempt is result.attempts[-1] else None),
            )
        )
    return tuple(rows)


def _reply_columns(reply: Reply | None) -> dict[str, Any]:
    if reply is None:
        return {}
    return {
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.prompt_tokens,
        "answer_tokens": reply.completion_tokens,
        "reasoning_tokens": reply.reasoning_tokens,
        "served_model": reply.served_model,
        "fingerprint": reply.fingerprint,
        "raw": reply.raw,
    }
