"""LangChain's own suite for vector stores, and what it does not ask."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.integrations.collection import CollectionMismatch
from higherself.integrations.langchain import HigherSelfVectorStore, model_of
from higherself.kernel.errors import Misconfigured, Rejected
from higherself.knowledge.errors import BadVector, DocumentRejected, QueryRejected
from higherself.knowledge.model import EmbeddingSpace, NewDocument

pytestmark = pytest.mark.postgres

Open = Callable[..., HigherSelfVectorStore]


class Compass(Embeddings):
    """Embeds the name of a direction as that direction, and remembers what it embedded."""

    model = "compass"
    directions: ClassVar = {
        "east": (2.0, 0.0),
        "north-east": (1.0, 1.0),
        "north": (0.0, 3.0),
        "west": (-1.0, 0.0),
    }

    def __init__(self, dimensions: int = 2) -> None:
        self._rest = [0.0] * (dimensions - 2)
        self.embedded: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        return [*self.directions[text], *self._rest]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.embedded += texts
        return [self.embed_query(text) for text in texts]


class Handed(Compass):
    """Hands out whatever vectors it was given."""

    def __init__(self, vectors: Any) -> None:
        super().__init__()
        self._vectors = vectors

    def embed_documents(self, texts: list[str]) -> Any:
        return self._vectors


@pytest.fixture
def server_settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "HIGHERSELF_HOME": tmp_path,
            "HIGHERSELF_EMBEDDING_TIERS": ("local",),
        }
    )


@pytest.fixture
def opened(server_settings: Settings) -> Iterator[Open]:
    """Make a store on the database of this test; all are closed afterwards."""
    stores = []

    def make(
        embedding: Embeddings | None = None, collection: str = "faq", **arguments: Any
    ) -> HigherSelfVectorStore:
        embedding = embedding or Compass()
        arguments.setdefault("settings", server_settings)
        stores.append(HigherSelfVectorStore(embedding, collection, **arguments))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Open) -> HigherSelfVectorStore:
    """A store that knows all directions but west."""
    store = opened()
    store.add_texts(
        ["east", "north-east", "north"],
        [{"cold": False, "sun": {"rises": True}}, {"cold": True}, {"cold": True, "of": ["a", "b"]}],
        ids=["e", "ne", "n"],
    )
    return store


@pytest.fixture
async def hs(server_settings: Settings, anyio_backend: str) -> AsyncIterator[HigherSelf]:
    async with HigherSelf.open(server_settings) as hs:
        yield hs


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


class TestOnItsOwnLoop(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, opened: Open) -> HigherSelfVectorStore:
        return opened(self.get_embeddings())


class TestOnALoopOfSomebodyElse(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, server_settings: Settings) -> Iterator[HigherSelfVectorStore]:
        with (
            start_blocking_portal("asyncio") as there,
            there.wrap_async_context_manager(HigherSelf.open(server_settings)) as hs,
        ):
            yield there.call(lambda: HigherSelfVectorStore(self.get_embeddings(), hs=hs))


class TestCollections:
    def test_two_in_one_database_see_nothing_of_each_other(self, opened: Open) -> None:
        mine, yours = opened(collection="mine"), opened(collection="yours")
        mine.add_texts(["east", "north"], ids=["1", "2"])
        yours.add_texts(["east"], [{"yours": True}], ids=["1"])
        assert ids(mine.similarity_search("east", k=9)) == ["1", "2"]
        assert ids(yours.similarity_search("east", k=9)) == ["1"]
        assert mine.get_by_ids(["1"])[0].metadata == {}
        assert yours.get_by_ids(["1", "2"])[0].metadata == {"yours": True}
        yours.delete()
        assert yours.similarity_search("east") == []
        assert ids(mine.similarity_search("east", k=9)) == ["1", "2"]

    @pytest.mark.parametrize("name", ["What clients ask", "Ärzte", "x" * 200, "a/b", "日本"])
    def test_any_name_will_do(self, opened: Open, name: str) -> None:
        store, other = opened(collection=name), opened(collection=name.upper() + "!")
        store.add_texts(["east"], ids=["1"])
        assert store.entity != other.entity
        assert ids(store.similarity_search("east")) == ["1"]
        assert other.get_by_ids(["1"]) == []

    def test_a_name_is_needed(self) -> None:
        with pytest.raises(ValueError, match="name"):
            HigherSelfVectorStore(Compass(), "")

    async def test_documents_of_other_sources_in_the_same_business_do_not_come_up(
        self, opened: Open, hs: HigherSelf
    ) -> None:
        store = opened()
        await store.aadd_texts(["east", "north"], ids=["1", "2"])
        await hs.knowledge.add(
            [NewDocument(external_id=str(n), text="east", entity="faq") for n in range(5)]
        )
        assert ids(await store.asimilarity_search("east", k=2)) == ["1", "2"]
        assert ids(await store.aget_by_ids(["1", "3"])) == ["1"]
        await store.adelete()
        assert len(await hs.knowledge.page(entity="faq")) == 5

    async def test_the_hub_finds_the_texts_by_their_words(
        self, opened: Open, hs: HigherSelf
    ) -> None:
        await opened().aadd_texts(["north-east"], [{"cold": True}], ids=["ne"])
        (hit,) = (await hs.knowledge.search("north", mode="lexical", entity="faq")).hits
        assert hit.document.external_id == "ne"
        assert hit.document.source == "langchain/Compass/compass/2"
        assert hit.document.metadata == {"cold": True}

    def test_what_was_stored_is_there_after_reopening(self, opened: Open) -> None:
        with opened() as store:
            store.add_texts(["east", "north"], [{"n": 1}, {"n": 2}], ids=["1", "2"])
        with opened() as store:
            assert store.get_by_ids(["2", "1"]) == [
                Document(id="2", page_content="north", metadata={"n": 2}),
                Document(id="1", page_content="east", metadata={"n": 1}),
            ]
            store.delete(["1"])
        with opened() as store:
            assert ids(store.similarity_search("east")) == ["2"]


class TestEmbeddings:
    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(Compass(3), id="more dimensions"),
            pytest.param(DeterministicFakeEmbedding(size=2), id="another class"),
        ],
    )
    def test_of_another_kind_are_refused(
        self, opened: Open, store: HigherSelfVectorStore, other: Embeddings
    ) -> None:
        stranger = opened(other)
        with pytest.raises(CollectionMismatch, match="langchain/Compass/compass/2"):
            stranger.add_texts(["east"], ids=["e"])
        with pytest.raises(CollectionMismatch):
            stranger.similarity_search("east")
        assert len(store.similarity_search("east", k=9)) == 3
        assert store.get_by_ids(["e"])[0].metadata == {"cold": False, "sun": {"rises": True}}

    def test_of_another_model_are_refused(self, opened: Open, store: HigherSelfVectorStore) -> None:
        other = Compass()
        other.model = "sextant"
        for refused in (
            lambda: opened(other).add_texts(["east"]),
            lambda: opened(other).similarity_search("east"),
            lambda: opened(other).get_by_ids(["e"]),
            lambda: opened(other).delete(["e"]),
        ):
            with pytest.raises(CollectionMismatch, match="sextant"):
                refused()

    def test_may_change_once_the_collection_is_empty(
        self, opened: Open, store: HigherSelfVectorStore
    ) -> None:
        store.delete()
        other = opened(Compass(3))
        other.add_texts(["north"], ids=["n"])
        assert ids(other.similarity_search("north")) == ["n"]

    def test_live_apart_even_if_two_came_first(self, opened: Open) -> None:
        """Both saw an empty collection; neither sees vectors, or documents, of the other."""
        one, other = opened(Compass(2)), opened(Compass(3))
        one.add_texts(["east", "north"], ids=["1", "2"])
        one.delete()
        other.add_texts(["east"], ids=["1"])
        one.add_texts(["north"], ids=["1"])
        assert [d.page_content for d in one.similarity_search("east")] == ["north"]
        assert [d.page_content for d in other.similarity_search("north")] == ["east"]
        with pytest.raises(CollectionMismatch, match="compass/2 and langchain/Compass/compass/3"):
            opened(Compass(4)).similarity_search("east")

    @pytest.mark.parametrize(
        "vectors",
        [
            pytest.param([[1.0, 0.0], [1.0, 0.0, 0.0]], id="of two lengths"),
            pytest.param([[1.0, 0.0]], id="too few"),
            pytest.param([[], []], id="empty"),
            pytest.param([[1.0, 0.0], [0.0, 0.0]], id="zero"),
            pytest.param([[1.0, 0.0], [1.0, float("nan")]], id="not a number"),
            pytest.param([[1.0] * 4001, [1.0] * 4001], id="too long"),
        ],
    )
    def test_that_cannot_be_stored_store_nothing(self, opened: Open, vectors: Any) -> None:
        store = opened(Handed(vectors))
        with pytest.raises(BadVector):
            store.add_texts(["east", "north"], ids=["1", "2"])
        assert opened().get_by_ids(["1", "2"]) == []

    @pytest.mark.parametrize("vector", [[1.0], [1.0, 0.0, 0.0], [0.0, 0.0], []])
    def test_that_cannot_be_searched_for(
        self, store: HigherSelfVectorStore, vector: list[float]
    ) -> None:
        with pytest.raises(Rejected):
            store.similarity_search_by_vector(vector)

    def test_are_asked_for_once(self, opened: Open) -> None:
        compass = Compass()
        opened(compass).add_texts(["east", "north"])
        assert compass.embedded == ["east", "north"]

    def test_without_texts_are_not_asked_for(self, opened: Open) -> None:
        store = opened(Handed(None))
        assert store.add_texts([]) == store.add_documents([]) == store.add_embeddings([], []) == []

    def test_of_your_own_making(self, store: HigherSelfVectorStore) -> None:
        store.add_embeddings(["up"], [[1.0, 0.01]], [{"n": 1}], ids=["up"])
        assert ids(store.similarity_search("east", k=2)) == ["e", "up"]

    def test_may_be_named(self, opened: Open, store: HigherSelfVectorStore) -> None:
        with pytest.raises(CollectionMismatch, match="langchain/mine/2"):
            opened(space="mine").similarity_search("east")
        named = opened(DeterministicFakeEmbedding(size=2), space="Compass/compass")
        assert len(named.similarity_search("east")) == 3


def test_an_embedding_is_known_by_its_class_and_model() -> None:
    class Plain(DeterministicFakeEmbedding):
        pass

    class Cached(Plain):
        underlying_embeddings: Any

    class Azure(Plain):
        azure_endpoint: str = "https://example.org"
        model: str = "text-embedding-ada-002"
        deployment: str = "large"

    class Loaded(Plain):
        model: Any = object()
        model_name: str = "BAAI/bge-small-en"

    assert model_of(Plain(size=2)) == "Plain"
    assert model_of(Compass()) == "Compass/compass"
    assert model_of(Cached(size=2, underlying_embeddings=Compass())) == "Compass/compass"
    assert model_of(Azure(size=2)) == "Azure/large"
    assert model_of(Loaded(size=2)) == "Loaded/BAAI/bge-small-en"


class TestAdding:
    def test_ids_are_kept_made_up_and_overruled(self, opened: Open) -> None:
        store = opened()
        documents = [Document(page_content="east", id="mine"), Document(page_content="north")]
        first, second = store.add_documents(documents)
        assert first == "mine"
        assert second not in (None, "", "mine")
        assert store.add_documents(documents, ids=["1", "2"]) == ["1", "2"]
        assert len(store.similarity_search("east", k=9)) == 4

    def test_the_last_of_two_with_one_id_stays(self, opened: Open) -> None:
        store = opened()
        assert store.add_texts(["east", "north"], ids=["1", "1"]) == ["1", "1"]
        (document,) = store.similarity_search("east")
        assert document.page_content == "north"

    def test_the_same_text_under_two_ids_survives_the_loss_of_one(self, opened: Open) -> None:
        store = opened()
        store.add_texts(["east", "east", "north"], [{"n": 1}, {"n": 2}, {}], ids=["1", "2", "3"])
        assert sorted(store.similarity_search("east", k=2), key=lambda d: d.id or "") == [
            Document(id="1", page_content="east", metadata={"n": 1}),
            Document(id="2", page_content="east", metadata={"n": 2}),
        ]
        store.delete(["1"])
        assert ids(store.similarity_search("east", k=9)) == ["2", "3"]
        assert ids(store.max_marginal_relevance_search("east", k=9)) == ["2", "3"]

    def test_metadata_alone_may_change(self, store: HigherSelfVectorStore) -> None:
        store.add_texts(["east"], [{"cold": True}], ids=["e"])
        assert store.get_by_ids(["e"])[0].metadata == {"cold": True}
        assert ids(store.similarity_search("east", k=1, filter={"cold": True})) == ["e"]

    @pytest.mark.parametrize(
        ("texts", "metadatas"),
        [
            pytest.param(["east", " "], None, id="an empty text"),
            pytest.param(["east", "no\0rth"], None, id="a NUL"),
            pytest.param(["east", "north"], [{}, {"at": object()}], id="metadata that are no JSON"),
            pytest.param(["east", "north"], [{}, {1: 2}], id="a key that is no string"),
            pytest.param(["east", "north"], [{}, {"n": float("nan")}], id="no number"),
        ],
    )
    def test_what_cannot_be_stored_is_refused_before_anything_is_embedded(
        self, opened: Open, texts: list[str], metadatas: Any
    ) -> None:
        compass = Compass()
        store = opened(compass)
        with pytest.raises(DocumentRejected, match="bad"):
            store.add_texts(texts, metadatas, ids=["good", "bad"])
        assert compass.embedded == []
        assert store.get_by_ids(["good"]) == []

    @pytest.mark.parametrize("given", [{"ids": ["1"]}, {"ids": []}, {"metadatas": [{}] * 3}])
    def test_numbers_must_agree(self, opened: Open, given: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="there are 2 texts and"):
            opened().add_texts(["east", "north"], **given)

    def test_deleting_nothing_deletes_nothing(self, store: HigherSelfVectorStore) -> None:
        assert store.delete([])
        assert len(store.similarity_search("east", k=9)) == 3

    async def test_from_texts_and_documents(self, server_settings: Settings) -> None:
        where: dict[str, Any] = {"settings": server_settings, "collection": "made"}
        with HigherSelfVectorStore.from_texts(["east"], Compass(), [{"n": 1}], ids=["1"], **where):
            pass
        document = Document(id="2", page_content="north", metadata={"n": 2})
        with HigherSelfVectorStore.from_documents([document], Compass(), **where):
            pass
        async with await HigherSelfVectorStore.afrom_texts(["west"], Compass(), **where):
            pass
        async with await HigherSelfVectorStore.afrom_documents(
            [document], Compass(), **where
        ) as store:
            found = await store.asimilarity_search("east", k=9)
        assert [document.metadata for document in found] == [{"n": 1}, {"n": 2}, {}]

    async def test_a_store_whose_texts_are_refused_leaves_no_thread(
        self, server_settings: Settings
    ) -> None:
        for refused in ([[0.0, 0.0]], [[1.0], [2.0]]):
            with pytest.raises(BadVector):
                HigherSelfVectorStore.from_texts(["a"], Handed(refused), settings=server_settings)
            with pytest.raises(BadVector):
                await HigherSelfVectorStore.afrom_texts(
                    ["a"], Handed(refused), settings=server_settings
                )
        for thread in threading.enumerate():
            if thread.name == "higherself":
                thread.join(10)
                assert not thread.is_alive()

    def test_langchain_indexes_incrementally(self, opened: Open) -> None:
        compass = Compass()
        store = opened(compass)
        records = InMemoryRecordManager("faq")
        records.create_schema()
        kept = Document(page_content="east", metadata={"source": "a"})
        gone = Document(page_content="north", metadata={"source": "b"})
        how: Any = {"cleanup": "full", "source_id_key": "source", "key_encoder": "sha256"}
        assert index([kept, gone], records, store, **how)["num_added"] == 2
        assert index([kept], records, store, **how) == {
            "num_added": 0,
            "num_updated": 0,
            "num_skipped": 1,
            "num_deleted": 1,
        }
        assert [d.page_content for d in store.similarity_search("east")] == ["east"]
        assert compass.embedded == ["east", "north"]

    async def test_langchain_indexes_asynchronously(self, opened: Open) -> None:
        records = InMemoryRecordManager("faq")
        how: Any = {"key_encoder": "sha256"}
        documents = [Document(page_content=text) for text in ("east", "north", "west")]
        done = await aindex(documents, records, opened(), batch_size=2, **how)
        assert done["num_added"] == 3


class TestSearching:
    def test_scores_are_cosine_similarities(self, store: HigherSelfVectorStore) -> None:
        found = store.similarity_search_with_score("east", k=3)
        assert [document.id for document, _ in found] == ["e", "ne", "n"]
        assert [score for _, score in found] == pytest.approx([1, 0.5**0.5, 0], abs=1e-3)

    def test_relevance_is_a_share(self, store: HigherSelfVectorStore) -> None:
        """What points away scores -1, and LangChain warns of a relevance below 0."""
        store.add_texts(["west"], ids=["w"])
        found = store.similarity_search_with_relevance_scores("east", k=4)
        shares = [share for _, share in found]
        assert shares == pytest.approx([1, 0.5**0.5, 0, 0], abs=1e-3)
        assert all(0 <= share <= 1 for share in shares)

    @pytest.mark.parametrize(
        ("filter", "expected"),
        [
            pytest.param({}, ["e", "ne", "n"], id="empty"),
            pytest.param({"cold": True}, ["ne", "n"], id="one value"),
            pytest.param({"sun": {"rises": True}}, ["e"], id="nested"),
            pytest.param({"of": ["b"]}, ["n"], id="among items"),
            pytest.param({"cold": True, "of": ["a"]}, ["n"], id="both"),
            pytest.param({"cold": "True"}, [], id="another type"),
            pytest.param({"warm": False}, [], id="a key that nobody has"),
        ],
    )
    def test_a_filter_is_what_metadata_must_contain(
        self, store: HigherSelfVectorStore, filter: dict[str, Any], expected: list[str]
    ) -> None:
        assert ids(store.similarity_search("east", k=9, filter=filter)) == expected
        vector = store.embedding.embed_query("east")
        assert ids(store.similarity_search_by_vector(vector, k=9, filter=filter)) == expected
        chosen = store.max_marginal_relevance_search("east", k=9, filter=filter)
        assert sorted(map(str, ids(chosen))) == sorted(expected)

    @pytest.mark.parametrize(
        "filter",
        [{"cold": {"$eq": True}}, {"$and": [{"cold": True}]}, lambda document: True, "cold", ["n"]],
    )
    def test_a_filter_of_another_store_is_refused(
        self, store: HigherSelfVectorStore, filter: Any
    ) -> None:
        with pytest.raises(QueryRejected, match="filter"):
            store.similarity_search("east", filter=filter)

    async def test_an_unknown_argument_is_refused(self, store: HigherSelfVectorStore) -> None:
        wrong: Any = {"where": {"cold": True}}
        with pytest.raises(TypeError, match="where"):
            store.similarity_search("east", **wrong)
        with pytest.raises(TypeError, match="where"):
            await store.amax_marginal_relevance_search("east", **wrong)

    @pytest.mark.parametrize("k", [0, -1, 1001])
    def test_k_is_from_1_to_1000(self, store: HigherSelfVectorStore, k: int) -> None:
        with pytest.raises(QueryRejected, match="limit"):
            store.similarity_search("east", k=k)

    def test_quotes_in_a_question_are_no_filter(self, opened: Open) -> None:
        store = opened(DeterministicFakeEmbedding(size=4))
        store.add_texts(["east"], ids=["e"])
        assert ids(store.similarity_search('where is "the west"?')) == ["e"]

    @pytest.mark.parametrize(
        ("relevance", "expected"), [(1.0, ["e", "ne"]), (0.5, ["e", "ne"]), (0.2, ["e", "w"])]
    )
    async def test_marginal_relevance(
        self, store: HigherSelfVectorStore, relevance: float, expected: list[str]
    ) -> None:
        store.add_texts(["west"], ids=["w"])
        arguments: Any = {"k": 2, "lambda_mult": relevance}
        assert ids(store.max_marginal_relevance_search("east", **arguments)) == expected
        assert ids(await store.amax_marginal_relevance_search("east", **arguments)) == expected
        vector = store.embedding.embed_query("east")
        found = await store.amax_marginal_relevance_search_by_vector(vector, **arguments)
        assert ids(found) == expected

    def test_marginal_relevance_looks_no_further_than_told(
        self, store: HigherSelfVectorStore
    ) -> None:
        store.add_texts(["west"], ids=["w"])
        found = store.max_marginal_relevance_search("east", k=2, fetch_k=2, lambda_mult=0)
        assert ids(found) == ["e", "ne"]

    async def test_retrievers(self, store: HigherSelfVectorStore) -> None:
        near = store.as_retriever(search_kwargs={"k": 1, "filter": {"cold": True}})
        assert ids(near.invoke("east")) == ids(await near.ainvoke("east")) == ["ne"]
        mixed = store.as_retriever(search_type="mmr", search_kwargs={"k": 2, "lambda_mult": 0.0})
        assert ids(mixed.invoke("east")) == ids(await mixed.ainvoke("east")) == ["e", "n"]
        sure = store.as_retriever(
            search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.6}
        )
        assert ids(sure.invoke("east")) == ids(await sure.ainvoke("east")) == ["e", "ne"]
        assert store.embeddings is store.embedding


class TestLoopsAndThreads:
    async def test_plain_methods_work_inside_a_running_loop(self, opened: Open) -> None:
        store = opened()
        store.add_texts(["east"], ids=["e"])
        assert ids(store.similarity_search("east")) == ["e"]
        assert ids(await store.asimilarity_search("east")) == ["e"]

    def test_loops_may_come_and_go(self, store: HigherSelfVectorStore) -> None:
        for _ in range(2):
            assert ids(asyncio.run(store.aget_by_ids(["n"]))) == ["n"]

    def test_many_threads_may_share_a_store(self, store: HigherSelfVectorStore) -> None:
        def one(number: int) -> list[str | None]:
            store.add_texts(["west"], ids=[f"w{number}"])
            return ids(store.get_by_ids([f"w{number}"]))

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(one, range(12))) == [[f"w{n}"] for n in range(12)]
        assert len(store.similarity_search("west", k=12)) == 12

    async def test_many_tasks_may_share_a_store(self, opened: Open) -> None:
        store = opened()
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(store.aadd_texts(["west"], ids=[str(number)]))
        assert len(await store.asimilarity_search("west", k=99)) == 12

    async def test_an_open_higherself_is_used_and_left_open(self, hs: HigherSelf) -> None:
        async with HigherSelfVectorStore(Compass(), "faq", hs=hs) as store:
            await store.aadd_texts(["east"], ids=["e"])
            with pytest.raises(RuntimeError, match="begins with `a`"):
                store.similarity_search("east")
            found = await asyncio.to_thread(store.similarity_search, "east")
            assert ids(found) == ["e"]
            elsewhere = await asyncio.to_thread(lambda: asyncio.run(store.aget_by_ids(["e"])))
            assert elsewhere == found
        assert len(await hs.knowledge.page(entity="faq")) == 1

    def test_an_open_higherself_must_come_with_its_loop(self) -> None:
        somewhere: Any = object()
        with pytest.raises(RuntimeError, match="event loop it was opened in"):
            HigherSelfVectorStore(Compass(), hs=somewhere)

    def test_settings_and_an_open_higherself_are_one_too_many(
        self, server_settings: Settings
    ) -> None:
        somewhere: Any = object()
        with pytest.raises(ValueError, match="either"):
            HigherSelfVectorStore(Compass(), settings=server_settings, hs=somewhere)

    async def test_a_cancelled_call_is_cancelled_there_too(self, opened: Open) -> None:
        store = opened()
        asked, cancelled = threading.Event(), threading.Event()

        async def forever(hs: HigherSelf) -> None:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        task = asyncio.create_task(store._bridge.arun(forever))
        await asyncio.to_thread(asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(cancelled.wait, 10)

    async def test_calls_under_way_are_finished_before_it_closes(self, opened: Open) -> None:
        store = opened()
        begun, go_on = threading.Event(), threading.Event()

        async def slow(hs: HigherSelf) -> int:
            begun.set()
            await asyncio.to_thread(go_on.wait, 10)
            return len(await hs.knowledge.sources("faq"))

        call = asyncio.create_task(store._bridge.arun(slow))
        await asyncio.to_thread(begun.wait, 10)
        closing = asyncio.create_task(store.aclose())
        await asyncio.sleep(0)
        go_on.set()
        assert await call == 0
        await closing

    def test_a_closed_store_says_so(self, opened: Open) -> None:
        store = opened()
        store.similarity_search("east")
        store.close()
        store.close()
        with pytest.raises(RuntimeError, match="closed"):
            store.similarity_search("east")

    def test_a_store_that_is_forgotten_ends_its_thread(self, server_settings: Settings) -> None:
        store = HigherSelfVectorStore(Compass(), settings=server_settings)
        store.similarity_search("east")
        (thread,) = [each for each in threading.enumerate() if each.name == "higherself"]
        del store
        gc.collect()
        thread.join(10)
        assert not thread.is_alive()

    def test_what_is_wrong_with_the_settings_is_said_and_may_be_mended(
        self, opened: Open, server_settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = opened(settings=None)
        monkeypatch.setenv("DATABASE_URL", "mysql://somewhere")
        for _ in range(2):
            with pytest.raises(Misconfigured, match="DATABASE_URL"):
                store.similarity_search("east")
        assert server_settings.database_url is not None
        monkeypatch.setenv("DATABASE_URL", server_settings.database_url.get_secret_value())
        assert store.similarity_search("east") == []

    def test_a_program_that_never_closes_ends_in_silence(self, database_url: str) -> None:
        program = (
            "from langchain_core.embeddings import DeterministicFakeEmbedding\n"
            "from higherself.integrations.langchain import HigherSelfVectorStore\n"
            "store = HigherSelfVectorStore(DeterministicFakeEmbedding(size=3))\n"
            "print(store.add_texts(['a'], ids=['1']))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"DATABASE_URL": database_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "['1']\n", "")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats(-1e15, 1e15, allow_nan=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def lasting(opened: Open) -> HigherSelfVectorStore:
    return opened(DeterministicFakeEmbedding(size=3), "lasting")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=texts.filter(str.strip),
    name=texts.filter(str.strip),
    metadata=st.dictionaries(texts, values, max_size=5),
)
def test_what_goes_in_comes_out(
    lasting: HigherSelfVectorStore, text: str, name: str, metadata: dict[str, Any]
) -> None:
    """Text, id and metadata, by id and by searching, with the metadata as the filter, too."""
    document = Document(id=name, page_content=text, metadata=metadata)
    assert lasting.add_documents([document]) == [name]
    try:
        assert lasting.get_by_ids([name]) == [document]
        assert lasting.similarity_search(text) == [document]
        if not any(key.startswith("$") for key in _keys(metadata)):
            assert lasting.similarity_search(text, filter=metadata) == [document]
    finally:
        lasting.delete([name])
    assert lasting.get_by_ids([name]) == []


def _keys(value: Any) -> list[str]:
    match value:
        case dict():
            return [*value, *(key for item in value.values() for key in _keys(item))]
        case list():
            return [key for item in value for key in _keys(item)]
        case _:
            return []


async def test_vectors_are_handed_out_as_they_are_stored(hs: HigherSelf) -> None:
    space = EmbeddingSpace(name="test/2", provider="test", model="test", dimensions=2)
    document = NewDocument(external_id="1", text="east")
    await hs.knowledge.add_embedded([(document, [3.0, 4.0])], space=space)
    (hit,) = (await hs.knowledge.search("", vector=[1, 0], space="test/2", mode="vector")).hits
    vectors = await hs.knowledge.vectors([hit.chunk.id], space="test/2")
    assert vectors[hit.chunk.id].tolist() == pytest.approx([0.6, 0.8], abs=1e-3)
