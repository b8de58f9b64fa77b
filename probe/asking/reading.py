"""Reading: from a free-form reply to the answer in it, as a JSON value that fits the schema, or to why there is none.

Too strict a reader measures obedience to a format, too lenient a one invents answers. So the reply is searched with a
parser of our own, which takes every dialect that models write (fences, comments, Python, LaTeX …) but completes
nothing, guesses nothing and never leaves linear time; what it finds must then fit the schema. Every repair is named.

Which candidate counts: the last complete object that names the schema's property and fits. Bare lists and maps count
only without such an object and where the text presents them as the answer: prose is full of lists.
"""

import re
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

from probe.asking.fitting import LONGEST_LEXEME, MisfitError, Notes, Schema, fit, label_of, property_of
from probe.asking.loose_json import DEEPEST, PLAIN, Bare, Candidate, Members, Set, containers, decoded, strict

Status = Literal["read", "malformed", "unparsed", "refusal", "empty"]

LONGEST_TEXT = 200_000
MOST_BRACKETS = 10_000
MOST_BARE = 100  # lists and maps from the end of which one may be presented as the answer


@dataclass(frozen=True)
class Reading:
    """What a reply says.

    ``value``: the JSON value, fitting the schema, None unless ``status`` is read; numbers are int, or Decimal or
    Fraction where they are no integers, exactly as written. ``repairs``: what had to be overlooked, in order of
    application. ``error``: what failed, None where nothing did.
    """

    value: object | None
    status: Status
    repairs: tuple[str, ...] = ()
    error: str | None = None


def read(text: str, schema: Schema) -> Reading:
    """Return what ``text`` answers to a question whose answers have the form of ``schema``. Never raises.

    ``schema``: an object whose properties are objects, arrays, integers, numbers or enums; ``x-partial`` marks objects
    and arrays in which missing entries are accepted.
    """
    text = text.strip(_BLANKS)
    if len(text) <= LONGEST_TEXT and (clean := _read_clean(text, schema)) is not None:
        return clean
    seen = _visible(text)
    if seen is None:
        return Reading(None, "unparsed", (), "the reply breaks off inside a thought")
    repairs = ["think"] if len(seen) != len(text) else []
    seen = _CONTROL.sub("", seen).strip(_BLANKS)
    if not seen:
        return Reading(None, "empty", tuple(repairs))
    if len(kept := _kept(seen)) < len(seen):
        seen = "… " + kept  # so that what follows the cut doesn't pass for all that the reply says
        repairs.append("cut")
    if seen[0] == '"' and isinstance(inner := strict(seen), str) and "{" in inner:
        seen = inner.strip()
        repairs.append("double_encoded")
    reading = _search(seen, seen, schema)
    if reading.status != "read" and (plain := seen.translate(PLAIN)) != seen:
        second = _search(plain, seen, schema)
        reading = second if second.status in ("read", "malformed") else reading
    return replace(reading, repairs=(*repairs, *(r for r in reading.repairs if r not in repairs)))


def _kept(text: str) -> str:
    """Return the end of a text, as much as is read (thoughts must be gone by then: their tags might be cut off)."""
    text = text[-LONGEST_TEXT:]
    surplus = text.count("[") + text.count("{") - MOST_BRACKETS
    if surplus <= 0:
        return text
    return text[next(islice(re.finditer(r"[\[{]", text), surplus, None)).start() :]


_TAG = re.compile(r"<(/?)(think|reasoning|thought)(?:ing|s)?>|\[(/?)(THINK)\]|◁(/?)(think)▷", re.IGNORECASE)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]{0,200}(?:<\|constrain\|>\s*\w*\s*)?(?:<\|message\|>)?")
_CONTROL = re.compile(r"<\|\w{1,40}\|>|</?s>")
_BLANKS = " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\u3000\u200b\ufeff"


def _visible(text: str) -> str | None:
    """Return the reply without thoughts; None where it breaks off inside a thought."""
    if "<|channel|>" in text:
        # Without any other channel there is a thought only: what precedes the last channel is never the answer.
        channels = list(_CHANNEL.finditer(text))
        if not channels or channels[-1][1].lower().startswith("analysis"):
            return None
        text = text[channels[-1].end() :]
    elif text.startswith("analysis") and "assistantfinal" in text:  # the same with its control tokens stripped
        text = text.rpartition("assistantfinal")[2]
    kept: list[str] = []
    start, opened = 0, None
    for tag in _TAG.finditer(text):
        closing, name = (tag[1] or tag[3] or tag[5]), (tag[2] or tag[4] or tag[6]).lower()
        if opened is None and not closing:
            kept.append(text[start : tag.start()])
            opened = name
        elif closing and opened in (None, name):
            if opened is None:  # the template opened the thought in the prompt
                kept.clear()
            start, opened = tag.end(), None
    if opened is not None:
        return None
    return "".join(kept) + text[start:]


def _read_clean(text: str, schema: Schema) -> Reading | None:
    """Return the reading of a reply that is nothing but one JSON object, None for others. Most replies end here."""
    if text[:1] != "{" or text[-1:] != "}":
        return None
    value = strict(text)
    if not isinstance(value, Members):
        return None
    notes = Notes(schema)
    try:
        fitted = fit(value, schema, notes)
    except MisfitError:
        return None
    if "extra_keys" in notes.repairs and text.count("[") + text.count("{") > DEEPEST:
        return None
    return Reading(fitted, "read", tuple(notes.repairs))


_WRAPPER = re.compile(
    r"answer|solution|result|response|output|final|arg|param|function|tool|call|submit|json|respuesta|antwort"
)
_NO_WRAPPER = re.compile(r"wrong|incorrect|previous|draft|example|sample|old|initial|expected|schema|format|baseline")
_CUES = re.compile(
    r"\b(?:final|answer|solution|result|output|choose|chose|chosen|select|selected|pick|picked|take|respuesta|solución|"
    r"antwort|lösung|réponse|risposta|resposta)\b|答案|答え|решение|ответ",
    re.IGNORECASE,
)
# What a list is that stands after such words is something else, or not meant.
_DOUBTS = re.compile(
    r"\b(?:not|cannot|never|if|instead|would|could|weights?|values?|costs?|profits?|sizes?|durations?|capacit\w+|reject\w*|"
    r"exclud\w*|without|wrong|incorrect|example|format|e\.g|start\w*|first|previous|initial|guess|draft|trying|"
    r"consider\w*|rather|old)\b|n['’]t\b",
    re.IGNORECASE,
)
_REJECTION = re.compile(
    r"\b(?:not|cannot|exceed\w*|infeasible|violat\w+|wrong|incorrect|would|but|too)\b|n['’]t\b|^[\s,;]*[\[{]",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)|\n\s*(?=[^\s\[{])")
_DECORATION = " \t\r*_`~>$-•|()\\"
_FENCE = re.compile(r"(?:```|~~~)[ \t]*[\w+.#-]*")
_BOX = re.compile(r"\\boxed\s*\{?\s*(?:\\text\w*\s*\{)?(?:\\left)?\s*\\?$")
_REFUSAL = re.compile(
    r"\bI(?:['’]m| am) (?:sorry|afraid)\b.{0,40}\b(?:can(?:no|['’])t|unable|not able|won['’]t)\b"
    r"|\bI (?:can(?:no|['’])t|won['’]t|will not|am (?:unable|not able) to|"
    r"must (?:refuse|decline)|"
    r"refuse|decline|do not feel comfortable)\b(?! (?:find|determine|see|improve|fit|place|put|choose|be\b))"
    r"|\bI['’]m (?:unable|not able) to\b(?! find| determine)|\bas an AI(?: language)? (?:model|assistant)?\b"
    r"|\bunable to (?:assist|help|comply|fulfil)",
    re.IGNORECASE,
)
_REFUSAL_WITHIN = 400  # characters from either end in which a refusal is looked for


@dataclass
class _Found:
    """What the candidates of a reply come to."""

    named: list[tuple[Candidate, Any, list[str]]] = field(default_factory=list)  # objects with the wanted key that fit
    unnamed: list[tuple[Candidate, Any, list[str]]] = field(default_factory=list)  # bare values, not fitted yet
    misfit: tuple[int, str] | None = None  # where the last object with the wanted key that doesn't fit stands, and why
    weak: str | None = None  # patterns, garbled objects and objects of another kind
    truncated: int | None = None


def _payload(value: Any, schema: Schema, wrapped: bool = False, depth: int = 0) -> tuple[Any, list[str], bool] | None:
    """Return (what may be the answer, repairs, named) inside a candidate's wrappers, None where nothing may.

    ``named``: it names a property of the schema. Otherwise it is the bare value of the single property.
    """
    properties = schema["properties"]
    if wrapped and isinstance(value, str) and not isinstance(value, Bare):
        inner = _payload(decoded(value), schema, wrapped, depth + 1)
        return (inner[0], ["double_encoded", *inner[1]], inner[2]) if inner else None
    if depth > 4 or not isinstance(value, list):
        return None
    if isinstance(value, Members):
        if any(property_of(key, properties) is not None for key, _ in value):
            return value, [], True
        for key, inside in reversed(value):
            plain = key[:LONGEST_LEXEME].casefold()
            if _WRAPPER.search(plain) and not _NO_WRAPPER.search(plain):
                inner = _payload(inside, schema, True, depth + 1)
                if inner is not None:
                    return inner[0], ["wrapper", *inner[1]], inner[2]
    elif len(value) == 1 and isinstance(value[0], Members):
        inner = _payload(value[0], schema, wrapped, depth + 1)
        if inner is not None and inner[2]:
            return inner[0], ["wrapper", *inner[1]], True
    return _bare(value, schema)


def _bare(value: list[Any], schema: Schema) -> tuple[Any, list[str], bool] | None:
    """Return the same for the value of the schema's single property, given without the property."""
    if len(schema["properties"]) != 1:
        return None
    ((key, one),) = schema["properties"].items()
    if one.get("type") == "array" and not isinstance(value, Members):
        return Members([(key, value)]), ["bare_list"], False
    if one.get("type") == "object" and isinstance(value, Members):
        notes = Notes(schema)
        if any(name in one["properties"] or label_of(name, one["properties"], notes) for name, _ in value[:3]):
            return Members([(key, value)]), ["bare_object"], False
    return None


def _search(text: str, original: str, schema: Schema) -> Reading:
    """Return the reading of a reply without thoughts; ``original``: the text before characters were made plain."""
    found = _Found()
    properties = schema["properties"]
    for one in containers(text):
        if isinstance(one, Candidate):
            _weigh(one, text, schema, found)
        elif one.truncated:
            found.truncated = one.start
        elif any(key in properties or property_of(key, properties) for key in one.keys):
            found.weak = "$: not readable as JSON"
    if found.named:
        return _chosen(found, found.named, text, original)
    if found.misfit is not None:
        return Reading(None, "malformed", (), found.misfit[1])
    if found.truncated is not None:
        return Reading(None, "unparsed", (), "the reply breaks off inside a JSON value")
    bare, error = _bare_fits(found, text, schema)
    if bare:
        return _chosen(found, bare, text, original)
    if (error := error or found.weak) is not None:
        return Reading(None, "malformed", (), error)
    if _REFUSAL.search(text[:_REFUSAL_WITHIN]) or _REFUSAL.search(text[-_REFUSAL_WITHIN:]):
        return Reading(None, "refusal")
    return Reading(None, "unparsed", (), "no JSON value that may be the answer")


def _weigh(candidate: Candidate, text: str, schema: Schema, found: _Found) -> None:
    """Add what a candidate comes to."""
    value = candidate.value
    payload = _payload(value, schema)
    if payload is None:
        if isinstance(value, Members) and value and not candidate.part:
            echo = {"type", "properties"} <= {key for key, _ in value}
            wanted = next(iter(schema["properties"]))
            found.weak = "$: the schema itself" if echo else f'$: "{wanted}" is missing'
        return
    inside, repairs, named = payload
    if not named:
        if not candidate.part:
            found.unnamed.append((candidate, inside, repairs))
        return
    notes = Notes(schema)
    try:
        found.named.append((candidate, fit(inside, schema, notes), [*repairs, *notes.repairs]))
    except MisfitError as misfit:
        if misfit.template:
            found.weak = str(misfit)
        else:
            found.misfit = candidate.start, str(misfit)


def _bare_fits(found: _Found, text: str, schema: Schema) -> tuple[list[tuple[Candidate, Any, list[str]]], str | None]:
    """Return the bare values that are presented as the answer and fit, and why the last of the others does not."""
    (key, prop), *_ = schema["properties"].items()
    fits: list[tuple[Candidate, Any, list[str]]] = []
    error = None
    for candidate, inside, repairs in found.unnamed[-MOST_BARE:]:
        if not _presented(candidate, text, key, prop, "wrapper" in repairs):
            continue
        notes = Notes(schema)
        try:
            fits.append((candidate, fit(inside, schema, notes), [*repairs, *notes.repairs]))
        except MisfitError as misfit:
            error = str(misfit)
    return fits, error


def _presented(candidate: Candidate, text: str, key: str, prop: Schema, wrapped: bool) -> bool:
    """Whether a bare value is presented as the answer: on its own, in a box, under the property's name or after words
    like "the answer is", and without a doubt in its line."""
    start, end = candidate.start, candidate.end
    boxed = _BOX.search(text[max(0, start - 40) : start]) is not None
    if isinstance(candidate.value, Set):
        escaped = text[start - 1 : start] == "\\"
        single = len(candidate.value) == 1
        if not (boxed or escaped) and (
            text[start - 1 : start] in ("^", "_") or text[max(0, start - 1) : start].isalpha()
        ):
            return False
        if single and not escaped and not (boxed and prop.get("maxItems") == 1):
            return False
    if boxed or wrapped:
        return True
    lines = _FENCE.sub("", text[max(0, start - 400) : start]).split("\n")
    after = _SENTENCE_END.split(text[end : end + 200], maxsplit=1)[0]
    before = next((line for line in reversed(lines[-4:]) if line.strip(_DECORATION)), "")
    if _DOUBTS.search(before[-120:]) or _REJECTION.search(after):
        return False
    if not before:  # the reply starts with it
        return start <= 400 and not "".join(lines).strip(_DECORATION)
    named = re.search(rf"(?<!\w){re.escape(key)}[\"'*_`$\s]*(?:=|:|≈|is\b|are\b)?[*_`$\s\\]*$", before, re.IGNORECASE)
    return named is not None or _CUES.search(before[-120:]) is not None


def _chosen(found: _Found, fits: list[tuple[Candidate, Any, list[str]]], text: str, original: str) -> Reading:
    """Return the reading of the last candidate that fits."""
    candidate, value, repairs = fits[-1]
    start, end = candidate.start, candidate.end
    context = _context(text, start, end)
    if original[start:end] != text[start:end]:
        context.append("smart_quotes" if re.search("[“”„‟«»‘’‚‛]", original[start:end]) else "fullwidth")
    if any(other != value for _, other, _ in fits):
        context.append("several_candidates")
    if found.misfit is not None and found.misfit[0] > start:
        context.append("malformed_candidate")
    if found.truncated is not None:
        context.append("truncated_candidate")
    return Reading(value, "read", tuple(dict.fromkeys([*context, *candidate.repairs, *repairs])))


def _context(text: str, start: int, end: int) -> list[str]:
    """Return the repairs that what surrounds a candidate makes: fence, box, prose."""
    repairs = []
    before, after = text[:start], text[end:]
    if (before.count("```") + before.count("~~~")) % 2:
        repairs.append("fence")
    before, after = _FENCE.sub("", before), _FENCE.sub("", after)
    if box := _BOX.search(before, max(0, len(before) - 60)):
        repairs.append("box")
        before, after = before[: box.start()], after.lstrip("}$\\]) ")
    if before.strip(_DECORATION + "[{\n") or after.strip(_DECORATION + "]}.;\n"):
        repairs.append("prose")
    return repairs
