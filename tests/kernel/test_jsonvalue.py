import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.kernel.jsonvalue import NotJson, canonical, check_json, content_hash

TEXTS = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=10,
)


@given(VALUES)
def test_canonical_json_reads_back_and_is_stable(value: Any) -> None:
    encoded = canonical(check_json(value))
    assert canonical(json.loads(encoded)) == encoded


@given(st.dictionaries(TEXTS, st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param({"a": [1, math.nan]}, "a\\[1\\]", id="nan"),
        pytest.param({"a": {"b": math.inf}}, "a.b", id="infinity"),
        pytest.param({"a": "x\0"}, "a", id="nul"),
        pytest.param(["\ud800"], "\\[0\\]", id="half a surrogate pair"),
        pytest.param({1: 2}, "the key 1", id="a key that is no string"),
        pytest.param({"a": {1, 2}}, "a set", id="a set"),
        pytest.param({"a\0b": 1}, "NUL", id="nul in a key"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(NotJson, match=path):
        check_json(value)


@given(st.lists(st.binary()), st.lists(st.binary()))
def test_only_the_same_parts_have_the_same_hash(one: list[bytes], other: list[bytes]) -> None:
    assert (content_hash(*one) == content_hash(*other)) == (one == other)
