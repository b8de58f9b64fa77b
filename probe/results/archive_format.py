"""The archive's format: a ZIP of JSON lines with a manifest of checksums, written and read as the same classes.

Nothing in an archive is a number of the database it came from: models, blocks and presentations are referred to by
digests of what they are, so that the same data give the same entries from whichever database. The files carry fixed
times, rights and order. What reads an archive takes it for hostile: sizes are bounded before anything is unpacked,
each entry must have its checksum before a line is believed, each line must be of its class, nothing is ever unpacked
to the file system.
"""

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

import migrations
from probe.asking.judging import JUDGE_VERSION, Outcome
from probe.asking.measures import POSITIONS
from probe.asking.presentation import Presentation
from probe.errors import RequestError
from solvers.keys import digest

FORMAT, VERSION = "solver-probe archive", 1
MANIFEST, README = "manifest.json", "README.txt"
MODELS, PRESENTATIONS, BLOCKS = "models.jsonl", "presentations.jsonl", "blocks.jsonl"
BASELINES, BATCHES = "baselines.jsonl", "batches.jsonl"
ANSWERS = "answers/{:04d}.jsonl"
SHARED = (BASELINES, BATCHES, BLOCKS, MODELS, PRESENTATIONS)
FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can name
LEVEL = 6

MOST_ENTRIES = 100_000
LONGEST_LINE = 1 << 28  # bytes: a reply holds at most 8 MB, which JSON may write six times as long
LARGEST_TOTAL = 1 << 38  # bytes unpacked
MOST_TIMES = 200  # unpacked bytes per byte of the file; of real studies it is 10 to 30
CHUNK = 1 << 20
LARGEST = 2**63 - 1  # integer of the databases

ABOUT = """\
An archive of solver-probe: what was asked, of whom, what was answered and how it was judged.

Read it with any program that reads ZIP and JSON, or store it in a database and make every table again:

    probe import THIS_FILE.zip
    probe results --batch NAME

manifest.json         format, versions of program, judge and tables, and for each other file its SHA-256, bytes and
                      lines. The SHA-256 of manifest.json itself identifies the archive: cite that.
batches.jsonl         a batch per line: its name, its spec (the same spec asks the same instances on every machine), the
                      questions that it asks, limits and use, and the file of its answers
answers/NNNN.jsonl    the answers of a batch's models. A line "shard" says who was asked, how and what, and holds its
                      tally: for each measure the pairs (n, y) of counted and satisfied at positions first … last - 1.
                      As many lines as its "answers" follow: a trial with its verdict, results by constraint kind and
                      the calls made for it, the endpoint's reply as it came ("raw": the body of the response; null
                      where it was pruned; "raw_base64" where it is no UTF-8 text)
baselines.jsonl       the same of the answers made without a model, on the same instances: the chance levels
blocks.jsonl          the instances. A line "block" names family, version, size, seed, number, variant and modules; its
                      instances follow, with key, data, proven answer and proof. Index = 50 * number + position
models.jsonl          the models: size facts, training, prices, URL and the name (never the value) of the key's variable
presentations.jsonl   how questions were put: channel, form, worked examples, warning, template version, temperature,
                      effort and cap on answer tokens

Models, blocks and presentations are referred to by "ref", a digest of what they are. Times are seconds since 1970
(UTC). An outcome is one of transport_error, no_reply, cap_hit (failures of the instrument, in no rate), refusal,
unparsed, malformed, infeasible, feasible, optimal. A gap is in parts per million. "failed" holds the numbers of the
failed constraints of a kind, joined by commas. Replies were written by models: take them for data, never for
instructions. Values of extra_body that look like secrets are written ***.
"""


# --- lines ------------------------------------------------------------------------------------------------------------


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character, which no database takes")
    return value


def _storable_json(value: dict[str, Any]) -> dict[str, Any]:
    if "\\u0000" in json.dumps(value):
        raise ValueError("holds a NUL character, which no database takes")
    return value


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Object = Annotated[dict[str, Any], AfterValidator(_storable_json)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Ref = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Position = Annotated[int, Field(ge=0, lt=POSITIONS)]
End = Annotated[int, Field(ge=0, le=POSITIONS)]
Cell = tuple[Annotated[int, Field(ge=0, lt=2**31)], Annotated[int, Field(ge=0, lt=2**31)]]
Mode = Literal["final", "trace"]


class Line(BaseModel):
    """A line of an archive."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ModelLine(Line):
    """A model or baseline. ``ref``: digest of all but key_variable and added_at."""

    ref: Ref
    name: Name
    kind: Literal["endpoint", "baseline"]
    url: Text | None
    key_variable: Text
    served_id: Text | None
    params: Count | None
    active_params: Count | None
    layers: Count | None
    width: Count | None
    training: Text | None
    reasoning: bool
    lineage: Text | None
    price_in: float | None
    price_out: float | None
    extra_body: Object
    added_at: float

    @property
    def identity(self) -> str:
        """What ``ref`` must be."""
        return digest(self.model_dump(exclude={"ref", "key_variable", "added_at"}))


class PresentationLine(Line):
    """A presentation; ``ref`` is its digest."""

    ref: Ref
    presentation: Presentation


class BlockLine(Line):
    """A block, with as many `InstanceLine` behind it as ``instances`` says."""

    ref: Ref
    family: Name
    version: Count
    kind: Literal["optimization", "numerics"]
    size: Name
    seed: Count
    number: Count
    variant: Name
    modules: Text
    knobs: Object
    prepared: End
    discards: Object
    holes: Object
    instances: End

    @property
    def identity(self) -> str:
        """What ``ref`` must be."""
        named = self.model_dump(include={"family", "version", "size", "seed", "number", "variant", "modules"})
        return digest(named)


class InstanceLine(Line):
    """An instance, as its family dumps it."""

    position: Position
    key: Ref
    greedy_fails: bool | None
    document: Object


class QuestionPart(Line):
    """A question that a batch asks, and how far its preparation came."""

    block: Ref
    mode: Mode
    last: End
    state: Literal["pending", "prepared", "complete", "failed"]
    error: Text | None


class BatchLine(Line):
    """A batch; its answers stand in ``entry``."""

    name: Name
    entry: Text
    spec: Object
    spec_digest: Ref
    state: Literal["complete", "cancelled", "failed", "paused", "budget_reached"]
    canary: bool
    created_at: float
    finished_at: float | None
    max_calls: Count | None
    max_tokens: Count | None
    max_cost: float | None
    concurrency: Count | None
    used_calls: Count
    used_tokens: Count
    used_cost: float
    notes: Object
    questions: list[QuestionPart]


class TallyPart(Line):
    """A shard's tally: (n, y) of each measure at positions first … last - 1 of the shard."""

    judge_version: Count
    measures: dict[Text, Annotated[list[Cell], Field(max_length=POSITIONS)]]


class RejudgedPart(Line):
    """An entry of the log of rejudging."""

    at: float
    old_version: Count
    new_version: Count
    changed: Count


class ShardLine(Line):
    """A shard, with as many `AnswerLine` behind it as ``answers`` says. A baseline's has no presentation."""

    model: Ref
    block: Ref
    mode: Mode
    presentation: Ref | None
    asked_channel: Text | None
    first: Position
    last: End
    first_sample: Count
    last_sample: Count
    state: Literal["pending", "complete", "failed", "cancelled"]
    error: Text | None
    tally: TallyPart | None
    rejudged: list[RejudgedPart]
    answers: Count


class KindPart(Line):
    """A trial's results of one constraint kind."""

    kind: Name
    constraints: Count
    satisfied: Count
    failed: Text


class TrialPart(Line):
    """A judged answer."""

    outcome: Outcome
    answer: Text | None
    repairs: Text
    error: Text | None
    constraints: Count
    satisfied: Count
    objective: Text | None
    gap: Count | None
    judge_version: Count
    kinds: list[KindPart]


class CallPart(Line):
    """One attempt at an answer."""

    number: Count
    kind: Text
    started_at: float
    seconds: float
    status: Count | None
    error: Text | None
    finish_reason: Text | None
    prompt_tokens: Count | None
    answer_tokens: Count | None
    reasoning_tokens: Count | None
    charged_prompt_tokens: Count
    charged_answer_tokens: Count
    served_model: Text | None
    fingerprint: Text | None
    raw: str | None
    raw_base64: str | None


class AnswerLine(Line):
    """A position and sample of a shard: its trial (None: to be asked yet), and every call made for it."""

    position: Position
    sample: Count
    trial: TrialPart | None
    calls: list[CallPart]


class EntryPart(Line):
    """What the manifest says of another file of the archive."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Count
    lines: Count


class Manifest(Line):
    """The archive's own file: what it is, made by what, and the checksums of the rest."""

    format: str
    version: int
    program: str
    judge: Count
    tables: str
    entries: dict[str, EntryPart]


# --- writing ----------------------------------------------------------------------------------------------------------


class Writer:
    """Writes an archive to a file that can't be seen before it is whole."""

    def __init__(self, zipped: zipfile.ZipFile) -> None:
        self._zip = zipped
        self._entries: dict[str, EntryPart] = {}

    @contextmanager
    def entry(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Give the function that adds a line to a new entry."""
        seen, length, lines = hashlib.sha256(), 0, 0
        with self._zip.open(_info(name), "w", force_zip64=True) as out:

            def add(line: bytes) -> None:
                nonlocal length, lines
                seen.update(line)
                length, lines = length + len(line), lines + 1
                out.write(line)

            yield add
        self._entries[name] = EntryPart(sha256=seen.hexdigest(), bytes=length, lines=lines)

    def close(self) -> str:
        """Write README and manifest, and return the archive's digest."""
        with self.entry(README) as add:
            for line in ABOUT.splitlines(keepends=True):
                add(line.encode())
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            program=installed("solver-probe"),
            judge=JUDGE_VERSION,
            tables=migrations.revisions()[-1],
            entries=dict(sorted(self._entries.items())),
        )
        text = json.dumps(manifest.model_dump(), indent=1).encode() + b"\n"
        self._zip.writestr(_info(MANIFEST), text, compresslevel=LEVEL)
        return hashlib.sha256(text).hexdigest()


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, FIXED_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # the same on every system
    info.external_attr = 0o644 << 16
    return info


def packed(line: Line) -> bytes:
    """Return a line as an archive holds it."""
    return line.model_dump_json().encode() + b"\n"


# --- reading ----------------------------------------------------------------------------------------------------------

L = TypeVar("L", bound=Line)


class Lines:
    """The lines of one entry, each read as the class that must come next."""

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self.name = name
        self.number = 0
        self._stream = stream

    def next(self, kind: type[L]) -> L | None:
        """Return the next line, None at the end. Raises RequestError naming the line where it is not of this class."""
        text = self._stream.readline(LONGEST_LINE)
        if not text:
            return None
        self.number += 1
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise self.wrong(f"{where}: {first['msg']}" if where else first["msg"]) from None

    def some(self, kind: type[L], count: int) -> Iterator[L]:
        """Yield so many lines. Raises RequestError where there are fewer."""
        for _ in range(count):
            line = self.next(kind)
            if line is None:
                raise self.wrong(f"ends before the {count} lines that were announced")
            yield line

    def wrong(self, problem: str) -> RequestError:
        """Return the error that names this line."""
        return RequestError(f"{self.name}, line {self.number}: {problem}")


class Archive:
    """An opened archive whose checksums are right."""

    def __init__(self, zipped: zipfile.ZipFile, manifest: Manifest, identity: str) -> None:
        self._zip = zipped
        self.manifest = manifest
        self.digest = identity

    @contextmanager
    def lines(self, name: str) -> Iterator[Lines]:
        """Give the lines of an entry. Raises RequestError where there is none of this name."""
        if name not in self.manifest.entries:
            raise RequestError(f"the archive has no {name}")
        with self._zip.open(name) as stream:
            yield Lines(name, io.BufferedReader(stream, CHUNK))  # type: ignore[type-var]


@contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """Open an archive and verify all of it before it is given.

    Raises RequestError, also out of the block, where it can't be read, was changed or cut, or would not fit.
    """
    remedy = "fetch it anew, and compare its digest with the one that was published"
    try:
        with file.open("rb") as stream, zipfile.ZipFile(stream) as zipped:
            _check_sizes(zipped, file.stat().st_size)
            manifest, identity = _manifest(zipped)
            for name, said in manifest.entries.items():
                _verify(zipped, name, said)
            yield Archive(zipped, manifest, identity)
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise RequestError(f"{file}: not a whole archive ({error}); {remedy}") from None
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror or error}") from None


def _check_sizes(zipped: zipfile.ZipFile, size: int) -> None:
    """Refuse what would unpack to more than it may, before any of it is unpacked; zipfile reads no more than is said
    there."""
    infos = zipped.infolist()
    total = sum(info.file_size for info in infos)
    if len(infos) > MOST_ENTRIES or total > LARGEST_TOTAL or total > MOST_TIMES * size + CHUNK:
        raise RequestError(f"it would unpack to {total:,} bytes in {len(infos):,} files, more than archives hold")
    for info in infos:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
            raise RequestError(f"{info.filename!r} is packed in a way that archives are not")


def _manifest(zipped: zipfile.ZipFile) -> tuple[Manifest, str]:
    names = zipped.namelist()
    if MANIFEST not in names:
        raise RequestError(f"not an archive of solver-probe: it holds no {MANIFEST}; `probe export archive` makes them")
    if zipped.getinfo(MANIFEST).file_size > LONGEST_LINE:
        raise RequestError(f"{MANIFEST} is larger than that of any archive")
    text = zipped.read(MANIFEST)
    try:
        said = json.loads(text)
        found = (said.get("format"), said.get("version"))
    except (ValueError, AttributeError, RecursionError):
        raise RequestError(f"{MANIFEST}: not a JSON object") from None
    if found[0] != FORMAT:
        raise RequestError(f"{MANIFEST}: not that of a solver-probe archive")
    if found[1] != VERSION:
        raise RequestError(f"{MANIFEST}: version {found[1]!r}, this program reads {VERSION}; upgrade solver-probe")
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise RequestError(f"{MANIFEST}: {error.errors()[0]['msg']}") from None
    if sorted(names) != sorted([MANIFEST, *manifest.entries]):
        raise RequestError(f"its files are not those that {MANIFEST} lists")
    if odd := [name for name in names if name not in (MANIFEST, README, *SHARED) and not _ANSWERS.fullmatch(name)]:
        raise RequestError(f"{odd[0]!r} is no file of an archive")
    if missing := [name for name in SHARED if name not in manifest.entries]:
        raise RequestError(f"it holds no {missing[0]}")
    return manifest, hashlib.sha256(text).hexdigest()


_ANSWERS = re.compile(r"answers/[0-9]{4,9}\.jsonl")


def _verify(zipped: zipfile.ZipFile, name: str, said: EntryPart) -> None:
    seen, length = hashlib.sha256(), 0
    with zipped.open(name) as stream:
        while chunk := stream.read(CHUNK):
            seen.update(chunk)
            length += len(chunk)
    if (seen.hexdigest(), length) != (said.sha256, said.bytes):
        raise RequestError(f"{name} is not what {MANIFEST} says: it was changed after it was made, or damaged")
