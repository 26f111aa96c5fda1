"""Other stores, and ours, behind one small set of verbs, each in a process of its own.

    python peers.py langchain FOLDER URL

(for a store that is a library, without a server, a folder to keep its files in takes the place of
the URL) reads the rows that `data.write` left in FOLDER, then does what each line of standard input asks
(a verb and its arguments, as JSON) and answers with a line. Only public interfaces are used, with
the settings of the projects' own documentation.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import numpy as np

M, EF_CONSTRUCTION, DEFAULT_EF = 16, 64, 40
"""pgvector's defaults, as everywhere."""

NEAREST = "SELECT id::text, text, metadata FROM item ORDER BY embedding <=> %s LIMIT 10"
"""What the bare limit asks."""

Found = list[tuple[str, str, dict[str, Any]]]
"""Identifier, text and metadata of each hit."""


class Peer(Protocol):
    """A store of somebody else's."""

    package: str

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        """Return the rows as this store takes them. Not timed."""

    def open(self, url: str) -> None:
        """Make what must be there before rows are added."""

    def add(self, prepared: Any) -> None:
        """Store what `prepare` returned."""

    def index(self) -> None:
        """Build the vector index, if it was not there from the start."""

    def search(self, vector: Any, tag: str | None) -> Found:
        """Return the ten nearest, of those with ``tag`` if given."""


class Bare:
    """psycopg and SQL by hand: the limit. No full text, no hashes, nothing but rows and vectors."""

    package = "psycopg"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        from pgvector import HalfVector
        from psycopg.types.json import Jsonb

        return [
            (UUID(row["id"]), row["text"], row["tag"], Jsonb(row["metadata"]), HalfVector(vector))
            for row, vector in zip(rows, vectors, strict=True)
        ]

    def open(self, url: str) -> None:
        import psycopg
        from pgvector.psycopg import register_vector

        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(self.connection)
        self.connection.execute(
            "CREATE TABLE item (id uuid PRIMARY KEY, text text, tag text, metadata jsonb, "
            "embedding halfvec(384))"
        )

    def add(self, prepared: Any) -> None:
        with (
            self.connection.transaction(),
            self.connection.cursor() as cursor,
            cursor.copy("COPY item FROM STDIN (FORMAT binary)") as copy,
        ):
            copy.set_types(("uuid", "text", "text", "jsonb", "halfvec"))
            for row in prepared:
                copy.write_row(row)

    def index(self) -> None:
        self.connection.execute(
            "CREATE INDEX item_nearest ON item USING hnsw (embedding halfvec_cosine_ops) "
            f"WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
        )
        self.connection.execute("ANALYZE item")

    def search(self, vector: Any, tag: str | None) -> Found:
        from pgvector import HalfVector

        where, arguments = ("WHERE tag = %s", [tag]) if tag else ("", [])
        return self.connection.execute(
            f"SELECT id::text, text, metadata FROM item {where} ORDER BY embedding <=> %s LIMIT 10",
            [*arguments, HalfVector(vector)],
            prepare=True,
        ).fetchall()

    def set_ef(self, ef: int) -> None:
        """Say how thoroughly to search from now on."""
        self.connection.execute(f"SET hnsw.ef_search = {ef}")


class LangChain:
    """`PGVectorStore` of langchain-postgres: the table first, the index after loading."""

    package = "langchain-postgres"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        return (
            [row["text"] for row in rows],
            vectors.tolist(),
            [{**row["metadata"], "tag": row["tag"]} for row in rows],
            [row["id"] for row in rows],
        )

    def open(self, url: str) -> None:
        from langchain_core.embeddings import DeterministicFakeEmbedding
        from langchain_postgres import Column, PGEngine, PGVectorStore

        engine = PGEngine.from_connection_string(url.replace("postgresql:", "postgresql+psycopg:"))
        engine.init_vectorstore_table(
            "item", vector_size=384, metadata_columns=[Column("tag", "TEXT")]
        )
        self.store = PGVectorStore.create_sync(
            engine=engine,
            table_name="item",
            embedding_service=DeterministicFakeEmbedding(size=384),
            metadata_columns=["tag"],
        )

    def add(self, prepared: Any) -> None:
        texts, vectors, metadatas, ids = prepared
        self.store.add_embeddings(texts, vectors, metadatas=metadatas, ids=ids)

    def index(self) -> None:
        from langchain_postgres.v2.indexes import HNSWIndex

        self.store.apply_vector_index(HNSWIndex(m=M, ef_construction=EF_CONSTRUCTION))

    def search(self, vector: Any, tag: str | None) -> Found:
        found = self.store.similarity_search_by_vector(
            vector.tolist(), k=10, filter={"tag": tag} if tag else None
        )
        return [(hit.id, hit.page_content, hit.metadata) for hit in found]


class Haystack:
    """`PgvectorDocumentStore` of pgvector-haystack: the index is there from the start."""

    package = "pgvector-haystack"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        from haystack import Document

        return [
            Document(
                id=row["id"],
                content=row["text"],
                meta={**row["metadata"], "tag": row["tag"]},
                embedding=vector,
            )
            for row, vector in zip(rows, vectors.tolist(), strict=True)
        ]

    def open(self, url: str) -> None:
        from haystack.utils import Secret
        from haystack_integrations.components.retrievers.pgvector import PgvectorEmbeddingRetriever
        from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore

        self.store = PgvectorDocumentStore(
            connection_string=Secret.from_token(url),
            embedding_dimension=384,
            search_strategy="hnsw",
            hnsw_index_creation_kwargs={"m": M, "ef_construction": EF_CONSTRUCTION},
        )
        self.store.count_documents()  # makes table and index
        self.retriever = PgvectorEmbeddingRetriever(document_store=self.store, top_k=10)

    def add(self, prepared: Any) -> None:
        from haystack.document_stores.types import DuplicatePolicy

        self.store.write_documents(prepared, policy=DuplicatePolicy.OVERWRITE)

    def index(self) -> None:
        """It is there already."""

    def search(self, vector: Any, tag: str | None) -> Found:
        wanted = {"field": "meta.tag", "operator": "==", "value": tag} if tag else None
        found = self.retriever.run(query_embedding=vector.tolist(), filters=wanted)["documents"]
        return [(hit.id, hit.content, hit.meta) for hit in found]


class LlamaIndex:
    """`PGVectorStore` of llama-index-vector-stores-postgres: the index is there from the start."""

    package = "llama-index-vector-stores-postgres"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        from llama_index.core.schema import TextNode

        return [
            TextNode(
                id_=row["id"],
                text=row["text"],
                metadata={**row["metadata"], "tag": row["tag"]},
                embedding=vector,
            )
            for row, vector in zip(rows, vectors.tolist(), strict=True)
        ]

    def open(self, url: str) -> None:
        from llama_index.vector_stores.postgres import PGVectorStore

        self.store = PGVectorStore.from_params(
            connection_string=url.replace("postgresql:", "postgresql+psycopg2:"),
            async_connection_string=url.replace("postgresql:", "postgresql+asyncpg:"),
            table_name="item",
            embed_dim=384,
            hnsw_kwargs={
                "hnsw_m": M,
                "hnsw_ef_construction": EF_CONSTRUCTION,
                "hnsw_ef_search": DEFAULT_EF,
                "hnsw_dist_method": "vector_cosine_ops",
            },
        )

    def add(self, prepared: Any) -> None:
        self.store.add(prepared)

    def index(self) -> None:
        """It is there already."""

    def search(self, vector: Any, tag: str | None) -> Found:
        from llama_index.core.vector_stores import (
            MetadataFilter,
            MetadataFilters,
            VectorStoreQuery,
        )

        wanted = MetadataFilters(filters=[MetadataFilter(key="tag", value=tag)]) if tag else None
        answer = self.store.query(
            VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=10, filters=wanted)
        )
        return [(hit.node_id, hit.get_content(), hit.metadata) for hit in answer.nodes or []]


class Vecs:
    """Supabase's vecs: vectors with metadata, which hold the text here; the index after loading."""

    package = "vecs"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        return [
            (row["id"], vector, {**row["metadata"], "tag": row["tag"], "text": row["text"]})
            for row, vector in zip(rows, vectors, strict=True)
        ]

    def open(self, url: str) -> None:
        import vecs

        self.collection = vecs.create_client(url).get_or_create_collection("item", dimension=384)

    def add(self, prepared: Any) -> None:
        self.collection.upsert(records=prepared)

    def index(self) -> None:
        from vecs import IndexArgsHNSW, IndexMeasure, IndexMethod

        self.collection.create_index(
            measure=IndexMeasure.cosine_distance,
            method=IndexMethod.hnsw,
            index_arguments=IndexArgsHNSW(m=M, ef_construction=EF_CONSTRUCTION),
        )

    def search(self, vector: Any, tag: str | None) -> Found:
        found = self.collection.query(
            data=vector,
            limit=10,
            filters={"tag": {"$eq": tag}} if tag else None,
            include_metadata=True,
        )
        return [(name, metadata["text"], metadata) for name, metadata in found]


class Ours:
    """This program, through its Python interface; it indexes as it stores, text and metadata too."""

    package = "higherself-network-server"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        from data import Row
        from own import as_document

        return [as_document(Row(**row), vector) for row, vector in zip(rows, vectors, strict=True)]

    def open(self, url: str) -> None:
        from own import SPACE

        from higherself import HigherSelf
        from higherself.app.settings import Settings
        from higherself.db.migrate import migrate
        from higherself.kernel.clock import SYSTEM_CLOCK

        self.space = SPACE
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(migrate(url, clock=SYSTEM_CLOCK))
        self.opened = HigherSelf.open(Settings.model_validate({"DATABASE_URL": url}))
        self.knowledge = self.loop.run_until_complete(self.opened.__aenter__()).knowledge

    def add(self, prepared: Any) -> None:
        adding = self.knowledge.add_embedded(prepared, space=self.space)
        report = self.loop.run_until_complete(adding)
        assert report.created == len(prepared), report

    def index(self) -> None:
        """It is there already."""

    def search(self, vector: Any, tag: str | None) -> Found:
        searching = self.knowledge.search(
            "",
            mode="vector",
            vector=vector,
            space=self.space.name,
            limit=10,
            tags=[tag] if tag else [],
        )
        return [
            (hit.document.external_id, hit.chunk.text, dict(hit.document.metadata))
            for hit in self.loop.run_until_complete(searching).hits
        ]


class Chroma:
    """A persistent Chroma in this process: the index is there from the start."""

    package = "chromadb"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        return {
            "ids": [row["id"] for row in rows],
            "documents": [row["text"] for row in rows],
            "metadatas": [{**row["metadata"], "tag": row["tag"]} for row in rows],
            "embeddings": vectors,
        }

    def open(self, url: str) -> None:
        import chromadb

        self.client = chromadb.PersistentClient(
            path=url, settings=chromadb.Settings(anonymized_telemetry=False)
        )
        self.collection = self.client.create_collection(
            "item",
            embedding_function=None,
            configuration={
                "hnsw": {"space": "cosine", "max_neighbors": M, "ef_construction": EF_CONSTRUCTION}
            },
        )

    def add(self, prepared: Any) -> None:
        at_once = self.client.get_max_batch_size()
        for start in range(0, len(prepared["ids"]), at_once):
            part = slice(start, start + at_once)
            self.collection.add(**{name: given[part] for name, given in prepared.items()})

    def index(self) -> None:
        """It is there already."""

    def search(self, vector: Any, tag: str | None) -> Found:
        found = self.collection.query(
            query_embeddings=[vector],
            n_results=10,
            where={"tag": tag} if tag else None,
            include=["documents", "metadatas"],
        )
        return list(zip(found["ids"][0], found["documents"][0], found["metadatas"][0], strict=True))


class LanceDB:
    """LanceDB in this process: columns in files, the index after loading."""

    package = "lancedb"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        import pyarrow as pa

        vectors = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        columns = {name: [row[name] for row in rows] for name in ("id", "text", "tag", "metadata")}
        return pa.table({**columns, "vector": vectors})

    def open(self, url: str) -> None:
        import lancedb

        self.database = lancedb.connect(url)

    def add(self, prepared: Any) -> None:
        self.table = self.database.create_table("item", prepared)

    def index(self) -> None:
        self.table.create_index(
            metric="cosine", index_type="IVF_HNSW_SQ", m=M, ef_construction=EF_CONSTRUCTION
        )

    def search(self, vector: Any, tag: str | None) -> Found:
        asked = self.table.search(vector).distance_type("cosine").limit(10)
        if tag:
            asked = asked.where(f"tag = '{tag}'")
        found = asked.select(["id", "text", "metadata"]).to_list()
        return [(hit["id"], hit["text"], hit["metadata"]) for hit in found]


class Qdrant:
    """Qdrant's local mode in this process: no index, every vector is compared, with NumPy."""

    package = "qdrant-client"

    def prepare(self, rows: Sequence[dict[str, Any]], vectors: Any) -> Any:
        payload = [{**row["metadata"], "tag": row["tag"], "text": row["text"]} for row in rows]
        return {"ids": [row["id"] for row in rows], "payload": payload, "vectors": vectors}

    def open(self, url: str) -> None:
        from qdrant_client import QdrantClient, models

        self.models = models
        self.client = QdrantClient(path=url)
        self.client.create_collection(
            "item",
            vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE),
        )

    def add(self, prepared: Any) -> None:
        self.client.upload_collection("item", **prepared)

    def index(self) -> None:
        """There is none."""

    def search(self, vector: Any, tag: str | None) -> Found:
        wanted = None
        if tag:
            match = self.models.MatchValue(value=tag)
            wanted = self.models.Filter(must=[self.models.FieldCondition(key="tag", match=match)])
        found = self.client.query_points("item", query=vector, limit=10, query_filter=wanted)
        return [(hit.id, hit.payload["text"], hit.payload) for hit in found.points]


PEERS: dict[str, type[Peer]] = {
    "ours": Ours,
    "bare": Bare,
    "langchain": LangChain,
    "haystack": Haystack,
    "llama-index": LlamaIndex,
    "vecs": Vecs,
    "chroma": Chroma,
    "lancedb": LanceDB,
    "qdrant": Qdrant,
}
IN_PROCESS = {"chroma", "lancedb", "qdrant"}
"""Libraries that keep files: no server, no other process that sees the same rows."""
OUR_PYTHON = {"ours", "bare"}
"""Those that run with the packages of the program; the others need their own environment."""


class Session:
    """The verbs that the benchmark asks for, and how long each took here."""

    def __init__(self, peer: Peer, folder: Path, url: str) -> None:
        self.peer = peer
        self.queries = np.load(folder / "queries.npy")
        rows = [json.loads(line) for line in (folder / "rows.jsonl").open()]
        self._prepared = peer.prepare(rows, np.load(folder / "vectors.npy"))
        self._url = url
        self._before = 0.0

    def open(self) -> dict[str, Any]:
        """Connect and make the table."""
        self.peer.open(self._url)
        self._before = _peak()
        return {"package": f"{self.peer.package} {version(self.peer.package)}"}

    def add(self) -> dict[str, Any]:
        """Store all rows."""
        return _timed(lambda: self.peer.add(self._prepared))

    def index(self) -> dict[str, Any]:
        """Build the index."""
        return _timed(self.peer.index)

    def search(
        self, start: int, stop: int, tag: str | None = None, ef: int | None = None
    ) -> dict[str, Any]:
        """Ask some of the queries, one after the other."""
        if ef is not None and isinstance(self.peer, Bare):
            self.peer.set_ef(ef)
        milliseconds, ids = [], []
        started = time.process_time()
        for query in self.queries[start:stop]:
            began = time.perf_counter()
            found = self.peer.search(query, tag)
            milliseconds.append((time.perf_counter() - began) * 1000)
            ids.append([name for name, text, metadata in found if text and metadata])
        client = time.process_time() - started
        return {"milliseconds": milliseconds, "ids": ids, "client": client}

    def memory(self) -> dict[str, Any]:
        """Return this process's peak in MB, and what it was before the first row was stored."""
        return {"peak": _peak(), "before": self._before}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(work: Callable[[], None]) -> dict[str, Any]:
    began = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - began[0], "client": time.process_time() - began[1]}


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    name, folder, url = sys.argv[1:]
    try:
        session = Session(PEERS[name](), Path(folder), url)
        print(json.dumps(session.open()), file=answers, flush=True)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        return
    for line in sys.stdin:
        verb, arguments = json.loads(line)
        print(json.dumps(getattr(session, verb)(**arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
