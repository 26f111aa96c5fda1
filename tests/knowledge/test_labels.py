from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from higherself.knowledge.labels import labels

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.0, "a", "b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3)


def contains(whole: Any, part: Any) -> bool:
    """PostgreSQL's ``@>`` for JSON, as its documentation describes it."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], item) for key, item in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and all(
            any(contains(candidate, item) for candidate in whole) for item in part
        )
    return type(whole) is not dict and type(whole) is not list and _same(whole, part)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


@given(OBJECTS, OBJECTS)
def test_what_contains_the_filter_has_all_its_labels(whole: Any, part: Any) -> None:
    if contains(whole, part):
        assert set(labels([], part)) <= set(labels([], whole))


@given(OBJECTS, st.data())
def test_a_part_of_the_metadata_finds_it(whole: Any, data: st.DataObject) -> None:
    keys = data.draw(st.sets(st.sampled_from(sorted(whole)))) if whole else set()
    part = {key: whole[key] for key in keys}
    assert set(labels([], part)) <= set(labels([], whole))


def test_a_number_may_be_larger_than_any_float() -> None:
    assert len(labels([], {"n": 10**400})) == 1
    assert labels([], {"n": 10**20}) == labels([], {"n": 1e20})


def test_a_tag_is_no_metadata() -> None:
    assert not set(labels(["a"], {})) & set(labels([], {"tag": "a"}))


def test_long_values_fit_an_index_and_stay_apart() -> None:
    one, other = labels([], {"x": "a" * 5_000}), labels([], {"x": "a" * 5_000 + "b"})
    assert one != other
    assert len(one[0].encode()) < 2_000
