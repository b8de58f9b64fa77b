"""Fitting: a parsed value as the JSON schema of an answer wants it, by harmless coercions only, each of them named.

Never coerced: booleans, null, NaN, fractions of an integer, unknown labels, repeated or surplus entries.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

from probe.asking.loose_json import PLAIN, Bare, Members, decoded

Schema: TypeAlias = Mapping[str, Any]

LARGEST = 10**15
MOST_DIGITS = 40
LONGEST_LEXEME = 80


class MisfitError(Exception):
    """Why a value doesn't fit; ``template``: it is a pattern to be filled in, not an answer."""

    def __init__(self, what: str, template: bool = False) -> None:
        self.what, self.path, self.template = what, "", template

    def __str__(self) -> str:
        return f"${self.path}: {self.what}"


class Notes:
    """The repairs of one candidate in order, and the words that may stand before a label."""

    def __init__(self, schema: Schema) -> None:
        self.repairs: dict[str, None] = {}
        keys = [str(key).casefold() for key in schema["properties"]]
        self.nouns = {*keys, *(key.removesuffix("s") for key in keys), *_NOUNS}

    def add(self, repair: str) -> None:
        self.repairs[repair] = None


_NOUNS = ("item", "bin", "job", "task", "node", "machine", "vehicle", "facility", "customer", "option", "label", "id")
_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{0,20}[1-9]")  # in range, not an integer
_NUMBER = re.compile(r"([-+−]?)(\d*)(?:\.(\d*))?(?:[eE]([-+−]?\d{1,9}))?")
_FRACTION = re.compile(r"([-+−]?)\s?(\d+)\s?/\s?(\d+)")
_LATEX_FRACTION = re.compile(r"([-+−]?)\s?(?:(?:\\[dt]?|\t)f|\f)rac\s?\{\s?([-+−]?\d+)\s?\}\s?\{\s?(\d+)\s?\}")
_THOUSANDS = re.compile(r"[-+−]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_WORD = re.compile(r"([^\W\d]{1,30}) ?(?=.)")
_MARK = re.compile(r"(?:number |no\. ?|nr\. ?|# ?)")
_NEGATION = re.compile(
    r"not?|non|never|except|without|minus|neg\w*|skip|drop|remove|exclud\w+|omit|unselected|about|approximately|above|"
    r"below|over|under|before|after|than|until|half|twice"
)
_CONSTANTS = frozenset(("true", "false", "null", "none", "nan", "infinity", "-infinity", "inf", "-inf"))
_KEY_PREFIX = re.compile(r"(?:selected|chosen|picked|optimal|final|best)_")


def _shown(value: Any) -> str:
    """Return a value in at most 40 characters."""
    if isinstance(value, Members):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str) and not isinstance(value, Bare):
        value = json.dumps(value[:40])
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST:
        return "a huge number"
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def fit(value: Any, schema: Schema, notes: Notes) -> Any:
    """Return the value as the schema's type. Raises MisfitError."""
    if "enum" in schema:
        return _fit_enum(value, schema["enum"], notes)
    kind = schema["type"]
    if kind in ("object", "array") and isinstance(value, str) and not isinstance(value, Bare):
        inner = decoded(value)
        if inner is not None:
            notes.add("double_encoded")
            value = inner
    if kind == "object":
        return _fit_object(value, schema, notes)
    if kind == "array":
        return _fit_array(value, schema, notes)
    number = _number(value, notes, integer=kind == "integer")
    if number is None and kind == "integer" and isinstance(value, str) and "-" not in value:
        number = next((int(rest) for _, rest in _unprefixed(_normal(value)) if _is_id(rest)), None)
        if number is not None:
            notes.add("label")
    if number is None:
        raise _misfit(value, f"is not {'an integer' if kind == 'integer' else 'a number'}")
    if not schema.get("minimum", number) <= number <= schema.get("maximum", number):
        raise MisfitError(f"{_shown(value)} is out of range")
    return number


def _fit_object(value: Any, schema: Schema, notes: Notes) -> dict[str, Any]:
    if not isinstance(value, Members):
        raise _misfit(value, "is not an object")
    properties, partial = schema["properties"], schema.get("x-partial", False)
    exact = {key for key, _ in value if key in properties}
    fitted: dict[str, Any] = {}
    for key, inner in value:
        name: Any = key
        if key not in properties:
            name = label_of(key, properties, notes) if partial else property_of(key, properties)
            if partial and name is None:
                raise MisfitError(f"{_shown(key)} is not one of its keys", template=_is_placeholder(inner))
            if name is None or (not partial and name in exact):
                notes.add("extra_keys")
                continue
            notes.add("label" if partial else "key_case")
        try:
            one = fit(inner, properties[name], notes)
        except MisfitError as misfit:
            misfit.path = f".{name}{misfit.path}"
            raise
        if name in fitted:
            if fitted[name] != one:
                raise MisfitError(f"{_shown(name)} is given twice, with different values")
            notes.add("duplicate_key")
        fitted[name] = one
    missing = [name for name in schema.get("required", ()) if name not in fitted]
    if missing and not partial:
        raise MisfitError(f"{_shown(missing[0])} is missing")
    if missing:
        notes.add("missing_entries")
    return fitted


def _fit_array(value: Any, schema: Schema, notes: Notes) -> list[Any]:
    if not isinstance(value, list) or isinstance(value, Members):
        raise _misfit(value, "is not a list")
    if len(value) > schema.get("maxItems", len(value)):
        raise MisfitError(f"{len(value)} entries instead of at most {schema['maxItems']}")
    if len(value) < schema.get("minItems", 0) and not schema.get("x-partial"):
        raise MisfitError(f"{len(value)} entries instead of at least {schema['minItems']}")
    fitted = []
    for i, entry in enumerate(value):
        try:
            fitted.append(fit(entry, schema["items"], notes))
        except MisfitError as misfit:
            misfit.path = f"[{i}]{misfit.path}"
            raise
    if schema.get("uniqueItems") and len(set(fitted)) < len(fitted):
        twice = next(entry for i, entry in enumerate(fitted) if entry in fitted[:i])
        raise MisfitError(f"{_shown(twice)} is given twice")
    if len(value) < schema.get("minItems", 0):
        notes.add("missing_entries")
    return fitted


def _fit_enum(value: Any, labels: Collection[int | str], notes: Notes) -> Any:
    if value.__class__ in (int, str) and value in labels:
        return value
    if isinstance(value, Bare) and str(value) in labels:
        notes.add("unquoted")
        return str(value)
    number = _number(value, notes, integer=True)
    for known in (number, str(number)) if isinstance(number, int) else ():
        if known in labels:
            return known
    label = label_of(value, labels, notes) if isinstance(value, str) else None
    if label is None:
        what = f"1..{len(labels)}" if list(labels) == list(range(1, len(labels) + 1)) else "the stated labels"
        raise _misfit(value, f"is not one of {what}")
    notes.add("label")
    return label


def _is_placeholder(value: Any) -> bool:
    """Whether a value is an unquoted word that means nothing: the pattern {"items": [item, …]} has such."""
    if not isinstance(value, Bare) or value.casefold() in _CONSTANTS:
        return False
    return value[:1].isalpha() or value.startswith(("...", "…"))


def _misfit(value: Any, what: str) -> MisfitError:
    return MisfitError(f"{_shown(value)} {what}", template=_is_placeholder(value))


def _number(value: Any, notes: Notes, integer: bool) -> int | Decimal | Fraction | None:
    """Return the number that a value is, exactly, None where it is none that the schema's type takes."""
    if not integer and value.__class__ is Bare and _DECIMAL.fullmatch(value):  # nearly all of a clean reply's
        return Decimal(value)
    if value.__class__ is int:
        number: int | Decimal | Fraction = value
    elif isinstance(value, str):
        found: list[str] = []
        parsed = _parsed(value, found, integer)
        if parsed is None:
            return None
        number = parsed
        if not isinstance(value, Bare):
            found.insert(0, "number_as_string")
        for repair in found:
            notes.add(repair)
    else:
        return None
    if not -LARGEST <= number <= LARGEST:
        raise MisfitError("the number is beyond 10^15")
    if integer and not isinstance(number, int):
        raise MisfitError(f"{_shown(value)} is not an integer")
    return number


def _parsed(text: str, found: list[str], integer: bool) -> int | Decimal | Fraction | None:
    """Return the number that a text is, None where it is none; ``found`` gets the repairs.

    Raises MisfitError where it is one with more digits than anybody needs: 1e999999999 must cost no time.
    """
    text = text.strip(" \n")  # no other blanks: in a JSON string \frac starts with a form feed
    # "1,250" of a quantity may be 1.25 where the comma is the decimal sign.
    if _THOUSANDS.fullmatch(text) and (integer or text.count(",") > 1 or "." in text):
        found.append("thousands")
        text = text.replace(",", "")
    if len(text) > LONGEST_LEXEME:
        if text.strip("+-−.0123456789eE"):
            return None
        raise MisfitError("the number has too many digits")
    if "−" in text:
        found.append("unicode_minus")
        text = text.replace("−", "-")
    if text.isdecimal() and text.isascii() and len(text) <= MOST_DIGITS:
        return int(text)
    if not integer and (over := _FRACTION.fullmatch(text) or _LATEX_FRACTION.fullmatch(text)):
        if int(over[3]) == 0:
            return None
        found.append("fraction")
        return _whole(Fraction(int(over[2]), int(over[3])) * (-1 if over[1] == "-" else 1))
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]) or not text.isascii():
        return None
    digits, exponent = match[2] + (match[3] or ""), int(match[4] or 0)
    if len(digits) > MOST_DIGITS or abs(exponent) > MOST_DIGITS:
        raise MisfitError("the number has too many digits")
    number = Decimal(f"{match[1]}{digits}e{exponent - len(match[3] or '')}")
    if number.is_zero():
        number = Decimal(0)
    if integer and (match[3] is not None or match[4]) and _whole(number).__class__ is int:
        found.append("integral_float")
    return _whole(number)


def _whole(number: Decimal | Fraction) -> int | Decimal | Fraction:
    """Return the number as int where it is one."""
    if number == (whole := int(number)):
        return whole
    return number


def _normal(text: str) -> str:
    """Return a label without case, quotes and ways of joining words."""
    joined = re.sub(r"(?<=\w)-(?=\w)", " ", text[:LONGEST_LEXEME].translate(PLAIN))
    return re.sub(r"[\s_]+", " ", joined).strip(" \"'`").casefold()


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS


def _unprefixed(plain: str) -> Iterator[tuple[str, str]]:
    """Yield (word before it, label) for what "item 3", "item #3", "#3" and "no. 3" may name."""
    for word, rest in (("", plain), *(((m[1], plain[m.end() :]),) if (m := _WORD.match(plain)) else ())):
        if _NEGATION.fullmatch(word):
            continue
        mark = _MARK.match(rest)
        if mark:
            yield word, rest[mark.end() :]
        elif word:
            yield word, rest


@lru_cache(maxsize=64)
def _table(labels: tuple[int | str, ...]) -> dict[str, int | str]:
    """Return the labels by their normal form."""
    return {_normal(str(label)): label for label in labels}


def label_of(text: str, labels: Collection[Any], notes: Notes) -> Any:
    """Return the only label that a text can mean, None where there is none."""
    table = _table(tuple(labels))
    if len(table) < len(labels) or len(text) > LONGEST_LEXEME:
        return None
    plain = _normal(text)
    if plain in table:
        return table[plain]
    for word, rest in _unprefixed(plain):
        # Any noun may stand before a number; before a name only a known one: "north dock" isn't "dock".
        if rest in table and (_is_id(rest) or word in notes.nouns or not word):
            return table[rest]
    return None


def property_of(key: str, properties: Schema) -> str | None:
    """Return the property that a key means apart from case, number and words like "selected"."""
    if len(key) > LONGEST_LEXEME:
        return None
    plain = _KEY_PREFIX.sub("", _plain_key(key))
    return next((name for name in properties if _plain_key(name) == plain), None)


def _plain_key(key: str) -> str:
    """Return a key without case, number and kinds of blanks."""
    return re.sub(r"[\s_\-]+", "_", key.strip().casefold()).removesuffix("s")
