"""Sums over shards: the bits do not depend on which worker holds which shard."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

np = pytest.importorskip("numpy")

from microgrud.distributed.sums import add_up  # noqa: E402


@given(st.data(), st.integers(1, 40))
def test_sums_have_the_same_bits_for_any_division_and_nesting(data: st.DataObject, count: int) -> None:
    numbers = st.one_of(st.none(), st.floats(-1e9, 1e9).map(lambda x: np.array([x, x / 3.0])))
    shards = {(0, k): data.draw(numbers) for k in range(count)}
    owners = data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    parts = [{key: x for key, x in shards.items() if owners[key[1]] == owner} for owner in range(6)]
    parts = [add_up(part, count) for part in parts]
    while len(parts) > 1:  # merge any two
        k = data.draw(st.integers(1, len(parts) - 1))
        other = parts.pop(k)
        j = data.draw(st.integers(0, len(parts) - 1))
        parts[j] = add_up({**parts[j], **other}, count)
    (expected,), (found,) = add_up(shards, count).values(), parts[0].values()
    assert list(parts[0]) == list(add_up(shards, count))
    assert (found is None) == (expected is None)
    assert found is None or found.tobytes() == expected.tobytes()
