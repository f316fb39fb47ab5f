"""One spelling for each category or class: spaces, letter case, and the ways to write a number or a truth value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_TRUTH = {"1": "True", "0": "False", "true": "True", "false": "False"}


def spelled(text: str) -> str:
    """Return a text with single spaces, and a number in its shortest form; 0E1 and 0E2 are codes, and no numbers.

    >>> spelled("a  b"), spelled("1.0"), spelled("01"), spelled("2.50"), spelled("12345678901234567890")
    ('a b', '1', '1', '2.5', '12345678901234567890')
    """
    text = " ".join(text.split())
    if "e" in text or "E" in text or (not text[-1:].isdigit() and text[-1:] != "."):
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if "_" in text or not math.isfinite(number) or (abs(number) >= 1e15 and "." not in text):
        return text
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


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
    for text, count in zip(texts, counts):
        by_name[names[text]] += count
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


def merged(names: Mapping[str, str]) -> list[str]:
    """Return which texts were taken as one although more than spaces and the decimals of a number differ.

    >>> merged({"red": "red", "Red": "red", "1.0": "1", "01": "1"})
    ["'01' and '1'", "'Red' and 'red'"]
    """
    return [f"{text!r} and {name!r}" for text, name in sorted(names.items()) if shown(text) != name]


class Names:
    """Known names of categories or classes, found by any of their spellings.

    >>> [Names(["red", "True"]).find(text) for text in ("RED", " red", "1.0", "blue")]
    ['red', 'red', 'True', None]
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self._exact = {spelled(name): name for name in self.names}
        self._by_case: dict[str, str] = {}
        for form, name in self._exact.items():
            self._by_case.setdefault(form.casefold(), name)
        for name in ("True", "False"):
            if name in self._exact:
                self._by_case.setdefault({"True": "1", "False": "0"}[name], name)
        for truth, digit in (("true", "1"), ("false", "0")):
            if digit in self._exact and self._exact.keys() <= {"0", "1"}:
                self._by_case.setdefault(truth, self._exact[digit])

    def find(self, text: str) -> str | None:
        """Return the name of which `text` is a spelling, or None."""
        form = spelled(text)
        return self._exact.get(form) or self._by_case.get(form.casefold())
