"""One spelling for each category or class: spaces, letter case, and the ways to write a number or a truth value."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .table import and_more

#: A moment with seconds; the second group is its time, unless that is midnight.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ]00:00:00|[T ](\d\d:\d\d:\d\d(?:\.\d+)?))")
_TRUTH = {"1": "True", "0": "False", "true": "True", "false": "False"}


def spelled(text: str) -> str:
    """Return a text with single spaces, and a number in its shortest form; 0E1 and 0E2 are codes, and no numbers.

    A moment is spelled as pandas does, without a time of midnight.

    >>> spelled("a  b"), spelled("1.0"), spelled("01"), spelled("2.50"), spelled("12345678901234567890")
    ('a b', '1', '1', '2.5', '12345678901234567890')
    >>> spelled("4111111111111111.0"), spelled("4111111111111111")
    ('4111111111111111', '4111111111111111')
    >>> spelled("2020-02-29T00:00:00"), spelled("2020-02-29T12:30:00")
    ('2020-02-29', '2020-02-29 12:30:00')
    """
    text = " ".join(text.split())
    if moment := _MOMENT.fullmatch(text):
        return " ".join(filter(None, moment.groups()))
    if "e" in text or "E" in text or (not text[-1:].isdigit() and text[-1:] != "."):
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if "_" in text or not math.isfinite(number) or (abs(number) >= 1e15 and "." not in text):
        return text
    return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)


def shown(text: str) -> str:
    """Return a text as the name of its category has it: as `spelled` does, but with leading zeros, as codes have them.

    >>> shown("007 "), shown("0.50")
    ('007', '0.5')
    """
    text = text.strip()
    return text if text.isdigit() and text[0] == "0" else spelled(text)


def grouped(texts: Sequence[str], counts: Sequence[int]) -> tuple[dict[str, str], dict[str, int]]:
    """Return for each text the one name of its category, and for each name its number of rows.

    The name is the most frequent of the spellings that mean the same. Texts that differ in letter case do, except
    single letters both cases of which are frequent (above 5 %). 1, true and TRUE are `True` where a column holds
    nothing but truth values, at least one of them as a word.

    Args:
        texts: the different texts.
        counts: the number of rows of each text.

    >>> grouped(["red", "Red", "RED ", "1.0", "1"], [5, 2, 1, 1, 1])
    ({'red': 'red', 'Red': 'red', 'RED ': 'red', '1.0': '1', '1': '1'}, {'red': 8, '1': 2})
    >>> grouped(["TRUE", "1", "0"], [3, 1, 4])[0]
    {'TRUE': 'True', '1': 'True', '0': 'False'}
    """
    forms = {text: shown(text) for text in texts}
    words = {form.casefold() for form in forms.values()}
    if words <= _TRUTH.keys() and words & {"true", "false"}:
        forms = {text: _TRUTH[form.casefold()] for text, form in forms.items()}
    sums: Counter[str] = Counter()
    for text, count in zip(texts, counts):
        sums[forms[text]] += count
    few = 0.05 * sum(counts)
    letters = [form for form in sums if len(form) == 1 and form.isalpha()]
    apart = {form for form in letters if min(sums[form], sums[form.swapcase()]) > few}
    keys = {form: form if form in apart else f"={spelled(form).casefold()}" for form in sums}
    frequent: dict[str, str] = {}
    for form in sorted(sums, key=lambda form: (-sums[form], len(form), form)):
        frequent.setdefault(keys[form], form)
    names = {text: frequent[keys[form]] for text, form in forms.items()}
    by_name: Counter[str] = Counter()
    for form, count in sums.items():
        by_name[frequent[keys[form]]] += count
    return names, dict(by_name)


def in_order(names: Iterable[str]) -> list[str]:
    """Return names in order: numbers by size, then texts alphabetically, in which letter case counts last.

    The spelling that is the most frequent one in a table decides nothing but the names: the same model is trained.

    >>> in_order(["b", "Cat", "10", "a", "9"])
    ['9', '10', 'a', 'b', 'Cat']
    """

    def key(name: str) -> tuple[float, str, str]:
        try:
            size = float(name)
        except ValueError:
            size = math.inf
        return size if math.isfinite(size) else math.inf, name.casefold(), name

    return sorted(names, key=key)


def notes_on_spelling(column: str, names: Mapping[str, str]) -> Iterator[str]:
    """Yield notes on texts that are one although more than spaces or decimals differ, and on letters that are two.

    >>> list(notes_on_spelling("x", {"red": "red", "Red": "red", "1.0": "1", "01": "1"}))
    ["column 'x': '01' and '1' are taken as one (and 1 more such spelling)"]
    >>> list(notes_on_spelling("x", {"a": "a", "A": "A", "b": "b"}))
    ["column 'x': 'A' and 'a' are both frequent, and are kept apart"]
    """
    if merged := [f"{text!r} and {name!r}" for text, name in sorted(names.items()) if shown(text) != name]:
        yield f"column {column!r}: {merged[0]} are taken as one{and_more(len(merged) - 1, 'such spelling')}"
    kept = {*names.values()}
    if apart := [f"{name!r} and {name.lower()!r}" for name in sorted(kept) if name != name.lower() in kept]:
        more = and_more(len(apart) - 1, "such pair")
        yield f"column {column!r}: {apart[0]} are both frequent, and are kept apart{more}"


class Names:
    """Known names of categories or classes, found by any of their spellings.

    Attributes:
        exact: the name for each of their forms, as `spelled` gives them.
        by_case: the name for each form in small letters, unless `exact` has the form.

    >>> [Names(["red", "True"]).find(text) for text in ("RED", " red", "1.0", "blue")]
    ['red', 'red', 'True', None]
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self.exact = {spelled(name): name for name in self.names}
        self.by_case: dict[str, str] = {}
        for form, name in self.exact.items():
            self.by_case.setdefault(form.casefold(), name)
        for word, digit in (("True", "1"), ("False", "0")):
            if word in self.exact:
                self.by_case.setdefault(digit, word)
            if digit in self.exact and self.exact.keys() <= {"0", "1"}:
                self.by_case.setdefault(word.lower(), self.exact[digit])

    def find(self, text: str) -> str | None:
        """Return the name of which `text` is a spelling, or None."""
        form = spelled(text)
        return self.exact.get(form) or self.by_case.get(form.casefold())
