"""Regular expressions for the spellings of a category, in the syntax of RE2, which ONNX's RegexFullMatch takes.

They match the texts that `microgrud.tables.spelling.Names` finds, which a graph has to find without Python: `red`,
` Red` and `RED` are one category, and so are `1`, `01` and `1.0`. No text of another category is matched. What only
Python's `float` or `str.casefold` reads as the same, such as numbers in Arabic digits, is left to `onnx_inputs`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from ..tables.spelling import Names, spelled
from ..tables.table import MISSING

#: What `str.split` and `str.strip` take as white space.
_SPACE = r"[\p{Z}\t-\r\x1c-\x1f\x{85}]"
#: The ranges with all letters whose casefold has several characters: Latin, Greek and Armenian ones, and ligatures.
_FOLDED_TO_SEVERAL = range(0xDF, 0x588), range(0x1E96, 0x1FFD), range(0xFB00, 0xFB18)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_LOWERED = re.compile(r"\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d(?:\.\d+)?")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)")


def missing_pattern() -> str:
    r"""Return the expression for the cells that count as missing, such as `NA`.

    >>> re.fullmatch(missing_pattern().replace(_SPACE, r"\s"), " NA ") is not None
    True
    """
    return _whole("|".join(re.escape(word).replace(r"\ ", " ") for word in sorted(MISSING)))


def category_patterns(categories: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return for each category the expression of its spellings, and those of others that match some of them, too.

    A text is of a category if the former matches, and none of the latter: `a` and `A` may be two categories, one of
    which is also meant by texts that differ from both in letter case.
    """
    names = Names(categories)
    exact, folded = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for form, name in names.exact.items():
        exact[name].append(form)
    for form, name in names.by_case.items():
        folded[name].append(form)
    result = []
    for name in categories:
        others = [form for form, other in names.exact.items() if other != name and form.casefold() in folded[name]]
        apart = [form for form in exact[name] if form.casefold() not in folded[name]]
        own = [_pattern(form, True) for form in folded[name]] + [_pattern(form, False) for form in apart]
        result.append((_whole("|".join(own)), [_whole(_pattern(form, False)) for form in others]))
    return result


def _whole(pattern: str) -> str:
    return f"{_SPACE}*(?:{pattern}){_SPACE}*"


def _pattern(form: str, folds: bool) -> str:
    """Return the expression of the texts whose spelling is `form`, in any letter case if `folds`."""
    folds = folds and not _LOWERED.fullmatch(form)  # a capital T makes a moment of it, which is spelled without
    words = form.split(" ")
    literal = f"{_SPACE}+".join(map(_folding if folds else re.escape, words))
    parts = [f"(?i:{literal})" if folds else literal]
    if _DAY.fullmatch(form):
        parts.append(f"{form}(?:T|{_SPACE}+)00:00:00")
    elif moment := _MOMENT.fullmatch(form):
        parts.append(f"{moment[1]}T{re.escape(moment[2])}")
    else:
        parts += _numbers(form)
    return "|".join(parts)


def _folding(word: str) -> str:
    """Return the expression of a word in any letter case; RE2 itself knows all pairs of single letters."""
    text, letters = next(((text, letters) for text, letters in _FOLDED if text in word), ("", ""))
    if not text:
        return re.escape(word)
    before, after = word.split(text, 1)
    return f"{_folding(before)}(?:{re.escape(text)}|[{letters}]){_folding(after)}"


def _letters_folded_to_several() -> list[tuple[str, str]]:
    """Return for each text of several characters the letters whose casefold it is: `ss` of `ß`; the longest first."""
    letters = defaultdict[str, str](str)
    for letter in map(chr, itertools.chain(*_FOLDED_TO_SEVERAL)):
        if len(text := letter.casefold()) > 1:
            letters[text] += letter
    return sorted(letters.items(), key=lambda pair: (-len(pair[0]), pair[0]))


_FOLDED = tuple(_letters_folded_to_several())


def _numbers(form: str) -> Iterator[str]:
    """Yield the expression of the other ways to write a number, such as `01.50` for `1.5`."""
    try:
        number = float(form)
    except ValueError:
        return
    if "_" in form or not math.isfinite(number) or not form.isascii():
        return
    whole, _, decimals = f"{abs(Decimal(form)):f}".partition(".")
    whole, decimals = whole.lstrip("0"), decimals.rstrip("0")
    if spelled(f"{'-' * (number < 0)}{whole or '0'}.{decimals}") != form:
        return  # a code such as 0E1, which no number is spelled as
    sign = "-" if number < 0 else r"\+?" if number else "[+-]?"
    if decimals:
        yield rf"{sign}0*{whole}\.{decimals}0*"
    elif not whole:
        yield rf"{sign}(?:0+(?:\.0*)?|\.0+)"
    else:  # without a point, a large number is a code, whose zeros count
        yield rf"{sign}0*{whole}" + (r"\.0*" if abs(number) >= 1e15 else r"(?:\.0*)?")
