"""What a tier adds to its provider: when it is left alone, its limits, and what it tells."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from higherself.kernel import telemetry
from higherself.kernel.breaker import BreakerPolicy
from higherself.kernel.errors import Misconfigured, Rejected
from higherself.knowledge.errors import ProviderUnavailable, TierPaused
from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.ports import Purpose, Vectors
from higherself.knowledge.providers.voyage import voyage_embeddings
from higherself.knowledge.tier_health import TierPolicy
from higherself.knowledge.tiers import Tier
from higherself.testing.clock import NOON, ManualClock
from higherself.testing.embeddings import FAULTS, EmbeddingServer, embedding_server, meaning

SECOND = timedelta(seconds=1)
PAUSE = BreakerPolicy().pause


class Letters:
    """A provider of somebody else's. It fails as often as it has ``errors``."""

    space = EmbeddingSpace(name="letters/3", provider="letters", model="letters", dimensions=3)
    window = 100

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.closed = False
        self.answer: Any = None

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.answer is not None:
            return np.array(self.answer)
        return np.array([[3.0, 0, 4.0]] * len(texts), np.float32)

    def close(self) -> None:
        self.closed = True


class Entered(Letters):
    """Embeds only when it may; says how many are inside."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.seen: asyncio.Queue[int] = asyncio.Queue()
        self.may_go = asyncio.Event()

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        self.inside += 1
        self.seen.put_nowait(self.inside)
        try:
            await self.may_go.wait()
        finally:
            self.inside -= 1
        return await super().embed(texts, purpose=purpose)


def a_tier(provider: Any, clock: ManualClock | None = None, **options: Any) -> Tier:
    return Tier("letters", provider, clock=clock or ManualClock(), draw=lambda: 0.0, **options)


async def fails(tier: Tier, *texts: str) -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as raised:
        await tier.embed(texts or ["tea"])
    return raised.value


async def test_it_is_a_provider_itself() -> None:
    provider = Letters()
    tier = a_tier(provider)
    assert (tier.space, tier.window) == (provider.space, provider.window)
    assert tier.count_tokens(["tea"]) == [3]
    vectors = await tier.embed(["tea", "bath"])
    np.testing.assert_allclose(vectors, [[0.6, 0, 0.8]] * 2, atol=1e-6)
    await tier.close()
    assert provider.closed


async def test_a_tier_that_is_off_says_why() -> None:
    tier = a_tier(None, reason="VOYAGE_API_KEY is not set")
    assert not tier.live
    assert not tier.available()
    error = await fails(tier)
    assert isinstance(error, TierPaused)
    assert "is off: VOYAGE_API_KEY is not set" in str(error)
    assert tier.described()["state"] == "off"
    await tier.close()


async def test_after_three_failures_no_request_leaves() -> None:
    clock, provider = ManualClock(), Letters(*[ProviderUnavailable("it is broken")] * 3)
    tier = a_tier(provider, clock)
    for _ in range(3):
        assert tier.available()
        await fails(tier)
    assert not tier.available()
    paused = await fails(tier)
    assert isinstance(paused, TierPaused)
    assert "left alone until 12:00:15 UTC, after: it is broken" in str(paused)
    assert paused.retry_after == PAUSE
    assert provider.calls == 3
    clock.move(PAUSE)
    assert tier.available()
    assert len(await tier.embed(["tea"])) == 1
    assert tier.described()["circuit"] == "closed"


async def test_what_opens_the_circuit_says_when_to_come_back() -> None:
    tier = a_tier(Letters(ProviderUnavailable("the key is wrong", permanent=True)))
    error = await fails(tier)
    assert not isinstance(error, TierPaused)
    assert error.retry_after == BreakerPolicy().refused_pause
    assert (await fails(tier)).retry_after == BreakerPolicy().refused_pause


async def half_open() -> tuple[Tier, Entered]:
    """Return a tier whose provider failed some time ago, and now waits for a signal."""
    clock, provider = ManualClock(), Entered()
    tier = a_tier(provider, clock)
    provider.errors.append(ProviderUnavailable("no", timed_out=True))
    provider.may_go.set()
    await fails(tier)
    provider.may_go.clear()
    provider.seen.get_nowait()
    clock.move(PAUSE)
    return tier, provider


async def test_one_probe_at_a_time() -> None:
    tier, provider = await half_open()
    async with asyncio.TaskGroup() as group:
        probe = group.create_task(tier.embed(["tea"], purpose="query"))
        await provider.seen.get()
        assert not tier.available()
        assert isinstance(await fails(tier), TierPaused)
        provider.may_go.set()
        await probe
    assert tier.available()


async def test_a_cancelled_probe_says_nothing_and_the_next_may_go() -> None:
    tier, _ = await half_open()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await tier.embed(["tea"])
    assert tier.available()
    assert tier.described()["circuit"] == "half_open"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ConnectionResetError("gone"), id="an error of its SDK"),
        pytest.param(ZeroDivisionError("a mistake"), id="a mistake"),
    ],
)
async def test_whatever_a_provider_raises_counts_as_unavailable(error: Exception) -> None:
    raised = await fails(a_tier(Letters(error)))
    assert str(raised) == f"letters failed: {type(error).__name__}: {error}"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([[1.0, 0.0]], "vectors of 2 dimensions, and its space has 3"),
        ([[1.0, 0.0, 0.0]] * 2, "2 vectors for 1 texts"),
        ([1.0, 0.0, 0.0], "3 vectors for 1 texts"),
        ([[1.0, 0.0, np.inf]], "not all finite"),
        ([[0.0, 0.0, 0.0]], "zeros"),
    ],
)
async def test_what_is_no_vector_of_the_space_is_never_returned(answer: Any, reason: str) -> None:
    provider = Letters()
    provider.answer = answer
    tier = a_tier(provider)
    assert reason in str(await fails(tier))
    assert tier.described()["failures"] == 1


async def test_a_text_that_is_refused_says_nothing_against_the_provider() -> None:
    tier = a_tier(Letters(*[Rejected("too long")] * 5))
    for _ in range(5):
        with pytest.raises(Rejected, match="too long"):
            await tier.embed(["tea"])
    assert tier.available()


async def test_our_own_errors_come_out_as_they_are() -> None:
    with pytest.raises(Misconfigured, match="no model"):
        await a_tier(Letters(Misconfigured("no model"))).embed(["tea"])


async def test_documents_wait_for_a_slot_and_questions_do_not() -> None:
    provider = Entered()
    tier = a_tier(provider, policy=TierPolicy(concurrency=2))
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(tier.embed(["document"]))
        assert [await provider.seen.get() for _ in range(2)] == [1, 2]
        group.create_task(tier.embed(["question"], purpose="query"))
        assert await provider.seen.get() == 3
        assert provider.seen.empty()
        provider.may_go.set()
    assert provider.calls == 6


async def test_a_tier_on_this_machine_has_no_slots_and_is_not_metered() -> None:
    provider = Entered()
    tier = a_tier(provider, on_machine=True, policy=TierPolicy(concurrency=1, daily_tokens=1))
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(tier.embed(["document"]))
        assert [await provider.seen.get() for _ in range(3)] == [1, 2, 3]
        provider.may_go.set()
    assert tier.described()["tokens"] == 0
    assert tier.described()["texts"] == 3


async def test_the_tokens_of_a_day() -> None:
    clock = ManualClock()
    tier = a_tier(Letters(), clock, policy=TierPolicy(daily_tokens=10))
    await tier.embed(["12345678"])
    over = await fails(tier, "123")
    assert isinstance(over, TierPaused)
    assert "daily limit of 10 tokens reached (8 used), resets at 2026-11-23 00:00 UTC" in str(over)
    assert over.retry_after == timedelta(hours=12)
    await tier.embed(["12"])
    assert not tier.available()
    assert tier.described()["state"] == "paused"
    clock.move(timedelta(hours=12))
    assert tier.available()
    await tier.embed(["12345678"])
    assert tier.described()["tokens"] == 8


async def test_requests_under_way_count_for_the_limit() -> None:
    provider = Entered()
    tier = a_tier(provider, policy=TierPolicy(daily_tokens=10))
    async with asyncio.TaskGroup() as group:
        group.create_task(tier.embed(["12345678"]))
        await provider.seen.get()
        assert isinstance(await fails(tier, "12345678"), TierPaused)
        provider.may_go.set()


async def test_what_it_tells() -> None:
    clock = ManualClock()
    tier = a_tier(Letters(ProviderUnavailable("it is broken")), clock)
    await fails(tier)
    await tier.embed(["tea", "bath"])
    assert tier.described() == {
        "tier": "letters",
        "state": "ready",
        "reason": None,
        "space": "letters/3",
        "model": "letters",
        "dimensions": 3,
        "on_machine": False,
        "circuit": "closed",
        "paused_until": None,
        "last_error": "it is broken",
        "last_error_at": NOON,
        "latency_ms": 0.0,
        "requests": 2,
        "failures": 1,
        "texts": 2,
        "tokens": 7,
        "daily_tokens": None,
    }


async def test_the_doctor_may_ask_though_it_is_paused() -> None:
    provider = Letters(*[ProviderUnavailable("no", permanent=True)] * 2)
    tier = a_tier(provider)
    await fails(tier)
    with pytest.raises(ProviderUnavailable):
        await tier.probe()
    assert not tier.available()
    await tier.probe()
    assert tier.available()


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.counts: list[tuple[str, float, dict[str, str]]] = []
        self.gauges: list[tuple[str, float]] = []
        self.events: list[str] = []

    def event(self, level: str, name: str, facts: dict[str, Any]) -> None:
        self.events.append(name)

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        self.counts.append((name, amount, labels))

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        self.gauges.append((name, value))

    def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None:
        self.counts.append((name, 1, labels))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    heard = Heard()
    monkeypatch.setattr(telemetry, "_sink", heard)
    return heard


async def test_metrics(heard: Heard) -> None:
    clock = ManualClock()
    tier = a_tier(Letters(ProviderUnavailable("no", timed_out=True)), clock)
    await fails(tier)
    await fails(tier)
    clock.move(PAUSE)
    await tier.embed(["tea"])
    assert {labels["tier"] for _, _, labels in heard.counts} == {"letters"}
    outcomes = [
        labels["outcome"]
        for name, _, labels in heard.counts
        if name == "knowledge.embedding.requested"
    ]
    assert outcomes == ["failed", "answered"]
    assert ("knowledge.embedding.held", 1, {"tier": "letters"}) in heard.counts
    assert ("knowledge.embedding.spent", 3, {"tier": "letters"}) in heard.counts
    assert heard.gauges == [("knowledge.embedding.paused", 1), ("knowledge.embedding.paused", 0)]
    assert heard.events == ["knowledge.embedding.opened", "knowledge.embedding.closed"]


@pytest.fixture
def vendors() -> Iterator[EmbeddingServer]:
    with embedding_server() as vendors:
        yield vendors


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def voyage(vendors: EmbeddingServer, clock: ManualClock) -> Tier:
    provider = voyage_embeddings(
        "key",
        base_url=vendors.voyage_url,
        model="voyage-4",
        dimensions=256,
        clock=clock,
        draw=lambda: 0.0,
    )
    return Tier("voyage", provider, clock=clock, draw=lambda: 0.0)


async def test_every_request_of_a_call_is_guarded(
    voyage: Tier, vendors: EmbeddingServer, clock: ManualClock
) -> None:
    """Documents would be tried five times; the circuit opens at the third failure in a row."""
    vendors.voyage.failing = "server_error"
    error = await fails(voyage)
    assert not isinstance(error, TierPaused)
    assert error.retry_after == PAUSE
    assert len(vendors.voyage.requests) == 3
    assert clock.slept == [1 * SECOND, 2 * SECOND]
    assert isinstance(await fails(voyage), TierPaused)
    assert len(vendors.voyage.requests) == 3, "no request leaves"
    assert voyage.described()["failures"] == 3
    vendors.voyage.recover()
    clock.move(PAUSE)
    assert (await voyage.embed(["tea"])).shape == (1, 256)
    await voyage.close()


async def test_the_tokens_are_those_that_the_vendor_counts(
    voyage: Tier, vendors: EmbeddingServer
) -> None:
    await voyage.embed(["x" * 40, "y" * 8])
    row = voyage.described()
    assert (row["requests"], row["texts"], row["tokens"]) == (1, 2, 12)
    await voyage.close()


async def test_vectors_that_cannot_be_used_are_paid_for(
    voyage: Tier, vendors: EmbeddingServer
) -> None:
    vendors.voyage.script("nan")
    await voyage.embed(["x" * 40])
    row = voyage.described()
    assert (row["requests"], row["failures"], row["tokens"]) == (2, 1, 20)
    await voyage.close()


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_vectors_are_right_and_every_request_is_counted(
    voyage: Tier, vendors: EmbeddingServer, clock: ManualClock, seed: int
) -> None:
    faults = [fault for fault in FAULTS if fault not in ("hang", "slow")]
    vendors.voyage.fail_at_random(seed, share=0.5, faults=faults)
    embedded = 0
    for number in range(40):
        texts = [f"text {number}", f"another {number}"]
        paused, before = not voyage.available(), len(vendors.voyage.requests)
        try:
            vectors = await voyage.embed(texts, purpose="query" if number % 2 else "document")
        except ProviderUnavailable:
            assert paused or len(vendors.voyage.requests) > before
        else:
            expected = [meaning(text, "voyage-4", 256) for text in texts]
            np.testing.assert_allclose(vectors, expected, atol=1e-5)
            embedded += 1
        if paused:
            assert len(vendors.voyage.requests) == before, "no request leaves"
        clock.move(timedelta(minutes=3))
    row = voyage.described()
    assert row["requests"] == len(vendors.voyage.requests)
    assert row["texts"] == 2 * embedded > 20
    vendors.voyage.recover()
    clock.move(timedelta(hours=2))
    await voyage.embed(["tea"])
    assert voyage.described()["circuit"] == "closed"
    await voyage.close()
