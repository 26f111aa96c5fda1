"""What a collection decides without a database."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.vectorstores.utils import maximal_marginal_relevance as langchains

from higherself.integrations.collection import entity_of, maximal_marginal_relevance
from higherself.kernel.ids import checked_entity

names = st.text(min_size=1, max_size=70) | st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)


@given(names, names)
@example("What clients ask", "what_clients_ask__4bb8a427274d")
@example("faq", "FAQ")
@example("a b", "a_b")
def test_every_name_gives_a_business_of_its_own(one: str, other: str) -> None:
    assert checked_entity(entity_of(one)) == entity_of(one)
    assert (entity_of(one) == entity_of(other)) == (one == other)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(1, 15),
    st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
)
def test_marginal_relevance_chooses_what_langchain_chooses(
    seed: int, count: int, k: int, relevance: float
) -> None:
    drawn = np.random.default_rng(seed)
    query, vectors = drawn.standard_normal(5), drawn.standard_normal((count, 5))
    chosen = maximal_marginal_relevance(query, vectors, k=k, relevance=relevance)
    assert chosen == langchains(query, vectors.tolist(), lambda_mult=relevance, k=k)


def test_of_nothing_nothing_is_chosen() -> None:
    chosen = maximal_marginal_relevance(np.ones(3), np.empty((0, 3)), k=4, relevance=0.5)
    assert chosen == []
