"""Tiers that fall back, on write and on read: nothing lost, nothing mixed, everything told."""

import os
import random
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from tests.knowledge.tiers_in_use import OPENAI, VOYAGE, InUse, document, in_use

from higherself.db.pool import Database
from higherself.kernel.errors import Unavailable
from higherself.knowledge.providers.local import LocalEmbeddings
from higherself.testing.embeddings import (
    FAULTS,
    VOYAGE_MODELS,
    EmbeddingServer,
    embedding_server,
)

pytestmark = pytest.mark.postgres

TEA, TRAIN, BATH = "Two cups of tea, please.", "The train is late again.", "A sound bath at seven."


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddingServer]:
    with embedding_server() as server:
        yield server


@pytest.fixture
def vendors(running: EmbeddingServer) -> EmbeddingServer:
    for vendor in (running.openai, running.voyage):
        vendor.recover()
        vendor.requests.clear()
        vendor.poison = None
    return running


@pytest.fixture
async def use(
    database: Database, vendors: EmbeddingServer, local_model: LocalEmbeddings
) -> AsyncIterator[InUse]:
    async with in_use(database, vendors, local_model) as use:
        yield use


async def spaces(use: InUse) -> dict[str, dict[str, object]]:
    return {space["name"]: space for space in await use.hub.spaces()}


async def test_every_tier_fills_its_own_space_and_the_first_answers(use: InUse) -> None:
    report = await use.hub.add([document("tea", TEA), document("train", TRAIN)])
    assert (report.created, report.embedded, report.waiting) == (2, 2, {})
    await use.check([TEA, TRAIN])
    assert {name: len(found) for name, found in (await use.vectors()).items()} == {
        VOYAGE: 2,
        OPENAI: 2,
        use.local_space: 2,
    }
    answer = await use.hub.search("a cup of tea", mode="vector")
    assert (answer.spaces, answer.degraded, answer.reason) == ((VOYAGE,), False, None)
    assert answer.hits[0].document.external_id == "tea"
    assert use.server.voyage.requests[-1].input_type == "query"
    sent = len(use.server.voyage.requests)
    again = await use.hub.add([document("tea", TEA), document("train", TRAIN)])
    assert (again.unchanged, len(use.server.voyage.requests)) == (2, sent)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("slow", "shuffled")])
async def test_a_write_while_the_first_tier_fails_loses_nothing(use: InUse, fault: str) -> None:
    use.server.voyage.failing = fault  # type: ignore[assignment]
    report = await use.hub.add([document("tea", TEA), document("train", TRAIN)])
    assert (report.created, report.embedded, report.failed) == (2, 2, [])
    assert report.waiting == {VOYAGE: 2}
    assert "voyage" in report.reasons[VOYAGE]
    await use.check([TEA, TRAIN])
    assert not (await use.vectors())[VOYAGE], "nothing is written in the name of who failed"
    answer = await use.hub.search("a cup of tea", mode="vector")
    assert answer.spaces == (OPENAI,)
    assert answer.degraded
    assert answer.reason is not None
    assert "voyage" in answer.reason
    assert answer.hits[0].document.external_id == "tea"

    use.server.voyage.recover()
    await use.pass_time()
    (filled,) = await use.hub.reembed()
    assert (filled.space, filled.embedded, filled.waiting) == (VOYAGE, 2, 0)
    await use.check([TEA, TRAIN])
    answer = await use.hub.search("a cup of tea", mode="vector")
    assert (answer.spaces, answer.degraded, answer.reason) == ((VOYAGE,), False, None)
    assert await use.hub.reembed() == []


async def test_a_question_goes_from_tier_to_tier(use: InUse) -> None:
    await use.hub.add([document("tea", TEA), document("train", TRAIN)])
    use.server.voyage.failing = use.server.openai.failing = "server_error"
    answer = await use.hub.search("a cup of tea")
    assert answer.spaces == (use.local_space,)
    assert answer.degraded
    assert answer.reason is not None
    assert answer.reason.count("voyage") >= 1 <= answer.reason.count("openai")
    assert answer.hits[0].document.external_id == "tea"


async def test_a_tier_whose_circuit_is_open_is_not_asked(use: InUse) -> None:
    await use.hub.add([document("tea", TEA)])
    use.server.voyage.failing = "unauthorized"
    await use.hub.search("tea")
    asked = len(use.server.voyage.requests)
    for _ in range(5):
        answer = await use.hub.search("tea")
        assert answer.degraded
        assert answer.spaces == (OPENAI,)
    await use.hub.add([document("train", TRAIN)])
    assert len(use.server.voyage.requests) == asked


async def test_a_model_that_the_vendor_does_not_know_opens_the_circuit(use: InUse) -> None:
    del use.server.voyage.models["voyage-4"]
    try:
        await use.hub.add([document("tea", TEA)])
        asked = len(use.server.voyage.requests)
        assert not use.tiers["voyage"].available()
        report = await use.hub.add([document("train", TRAIN)])
        assert report.waiting == {VOYAGE: 1}
        assert len(use.server.voyage.requests) == asked
    finally:
        use.server.voyage.models["voyage-4"] = VOYAGE_MODELS["voyage-4"]


async def test_only_words_are_left(
    database: Database, vendors: EmbeddingServer, local_model: LocalEmbeddings
) -> None:
    async with in_use(database, vendors, local_model, ["voyage"]) as use:
        await use.hub.add([document("tea", TEA)])
        vendors.voyage.failing = "overloaded"
        report = await use.hub.add([document("train", TRAIN)])
        assert report.waiting == {VOYAGE: 1}
        answer = await use.hub.search("the train")
        assert (answer.degraded, answer.spaces) == (True, ())
        assert [hit.document.external_id for hit in answer.hits] == ["train"]
        with pytest.raises(Unavailable, match="voyage"):
            await use.hub.search("the train", mode="vector")
        await use.check([TEA, TRAIN])


async def test_a_few_that_wait_are_found_in_the_second_space(use: InUse) -> None:
    many = [document(f"n{n}", f"Note {n} about the weather on day {n}.") for n in range(20)]
    await use.hub.add(many)
    use.server.voyage.failing = "server_error"
    await use.hub.add([document("tea", TEA)])
    use.server.voyage.recover()
    await use.pass_time()
    answer = await use.hub.search("a cup of tea", mode="vector")
    assert answer.spaces == (VOYAGE, use.local_space)
    assert answer.degraded
    assert answer.reason is not None
    assert "1 wait" in answer.reason
    assert answer.hits[0].document.external_id == "tea"
    other = await use.hub.search("weather on day 7")
    assert other.hits[0].document.external_id == "n7"


async def test_a_space_that_covers_too_little_does_not_answer(use: InUse) -> None:
    use.server.voyage.failing = "server_error"
    await use.hub.add([document("tea", TEA), document("bath", BATH)])
    use.server.voyage.recover()
    await use.pass_time()
    await use.hub.add([document("train", TRAIN)])
    answer = await use.hub.search("a cup of tea", mode="vector")
    assert answer.spaces == (OPENAI,)
    assert answer.reason is not None
    assert "covers 33%" in answer.reason


class TestPrivate:
    async def test_it_never_leaves_and_is_found_all_the_same(self, use: InUse) -> None:
        await use.hub.add([document("tea", TEA), document("bath", BATH, local_only=True)])
        await use.hub.add([document("bath", BATH + " Bring a mat.", local_only=True)])
        for name in ("sound bath", "a cup of tea"):
            answer = await use.hub.search(name, mode="vector")
            assert (answer.degraded, answer.reason) == (False, None)
            assert answer.spaces == (VOYAGE, use.local_space)
        hits = (await use.hub.search("sound bath at seven")).hits
        assert hits[0].document.local_only
        assert await use.hub.reembed() == []
        sent = use.server.voyage.texts + use.server.openai.texts
        assert not [text for text in sent if "Bring a mat" in text or BATH in text]

    async def test_what_becomes_private_is_deleted_elsewhere(self, use: InUse) -> None:
        await use.hub.add([document("bath", BATH)])
        await use.hub.add([document("bath", BATH, local_only=True)])
        assert {name: len(found) for name, found in (await use.vectors()).items()} == {
            VOYAGE: 0,
            OPENAI: 0,
            use.local_space: 1,
        }
        await use.hub.add([document("bath", BATH)])
        assert {filled.embedded for filled in await use.hub.reembed()} == {1}
        await use.check([BATH])

    async def test_a_text_that_somebody_else_shows_is_not_private(self, use: InUse) -> None:
        await use.hub.add([document("a", BATH, local_only=True), document("b", BATH)])
        assert len((await use.vectors())[VOYAGE]) == 1


async def test_a_refused_text_is_not_asked_for_again(use: InUse) -> None:
    use.server.voyage.poison = "gong"
    gong = "The gong is struck twice."
    report = await use.hub.add([document("tea", TEA), document("gong", gong)])
    assert (report.failed, report.waiting) == ([], {})
    asked = len(use.server.voyage.requests)
    assert await use.hub.reembed() == []
    assert len(use.server.voyage.requests) == asked
    assert (await spaces(use))[VOYAGE]["refused"] == 1
    answer = await use.hub.search("who strikes the gong", mode="vector")
    assert answer.spaces == (OPENAI,)
    assert answer.reason == "voyage refuses the question"
    use.server.voyage.poison = None
    answer = await use.hub.search("who strikes the gong", mode="vector")
    assert answer.hits[0].document.external_id == "gong"
    assert answer.spaces == (VOYAGE, use.local_space)


async def test_deleting_leaves_nothing_queued(use: InUse) -> None:
    use.server.voyage.failing = "server_error"
    await use.hub.add([document("tea", TEA), document("bath", BATH)])
    await use.hub.delete(["tea"])
    use.server.voyage.recover()
    await use.pass_time()
    await use.hub.reembed()
    assert use.server.voyage.texts == [BATH]
    await use.check([BATH])


async def test_the_backlog_goes_on_where_it_was_stopped(use: InUse) -> None:
    texts = [f"Note {n} about the weather on day {n}." for n in range(250)]
    use.server.voyage.failing = "server_error"
    await use.hub.add([document(str(n), text) for n, text in enumerate(texts)])
    use.server.voyage.recover()
    await use.pass_time()
    use.server.voyage.script(None, "unauthorized")
    (filled,) = await use.hub.reembed()
    assert 0 < filled.embedded < 250
    assert filled.waiting == 250 - filled.embedded
    assert filled.reason is not None
    await use.pass_time()
    (rest,) = await use.hub.reembed()
    assert (rest.embedded, rest.waiting) == (250 - filled.embedded, 0)
    assert len(set(use.server.voyage.texts)) == len(use.server.voyage.texts) == 250
    await use.check(texts)


SCENARIOS = int(os.environ.get("SCENARIOS", "12"))
"""200 and more for the figure in `docs/benchmarks.md`."""


@pytest.mark.parametrize("seed", range(SCENARIOS))
async def test_a_random_sequence_of_faults(use: InUse, seed: int) -> None:
    """Documents come, change and go while two of three tiers fail at random; then they recover."""
    rng = random.Random(seed)
    stored: dict[str, str] = {}
    for step in range(12):
        for vendor in (use.server.voyage, use.server.openai):
            share = rng.choice([0.0, 0.3, 0.7, 1.0])
            faults = [fault for fault in FAULTS if fault not in ("hang", "slow") or share < 0.5]
            vendor.fail_at_random(rng.randrange(10**6), share=share, faults=faults)
        await rng.choice(STEPS)(use, rng, stored, step)
        await use.check(stored.values())
    for vendor in (use.server.voyage, use.server.openai):
        vendor.recover()
    await use.pass_time()
    await use.hub.reembed()
    await use.check(stored.values())
    for name, vectors in (await use.vectors()).items():
        assert vectors.keys() == set(stored.values()), name
    answer = await use.hub.search("a cup of tea", mode="vector")
    assert (answer.spaces, answer.degraded) == ((VOYAGE,), False)
    assert np.isfinite([hit.score for hit in answer.hits]).all()


Stored = dict[str, str]


async def adds(use: InUse, rng: random.Random, stored: Stored, step: int) -> None:
    new = {f"{step}-{n}": f"{TEA} Table {step}-{n}." for n in range(rng.randrange(1, 6))}
    report = await use.hub.add([document(*each) for each in new.items()])
    assert (report.created, report.failed) == (len(new), [])
    stored |= new


async def changes(use: InUse, rng: random.Random, stored: Stored, step: int) -> None:
    if stored:
        name = rng.choice(sorted(stored))
        stored[name] = f"{TRAIN} Platform {step}."
        await use.hub.add([document(name, stored[name])])


async def deletes(use: InUse, rng: random.Random, stored: Stored, step: int) -> None:
    if stored:
        name = rng.choice(sorted(stored))
        await use.hub.delete([name])
        del stored[name]


async def waits(use: InUse, rng: random.Random, stored: Stored, step: int) -> None:
    await use.pass_time()


async def fills(use: InUse, rng: random.Random, stored: Stored, step: int) -> None:
    await use.hub.reembed()


async def asks(use: InUse, rng: random.Random, stored: Stored, step: int) -> None:
    """Every answer that is not the whole of the first tier's says so, and from which spaces it is."""
    answer = await use.hub.search("a cup of tea", mode="vector")
    assert answer.degraded is (answer.reason is not None)
    assert answer.degraded or answer.spaces == (VOYAGE,)
    assert len(answer.hits) == min(10, len(stored))
    if len(answer.spaces) == 1:
        vectors = (await use.vectors())[answer.spaces[0]]
        assert all(hit.chunk.text in vectors for hit in answer.hits)


STEPS = [adds, adds, changes, deletes, asks, asks, asks, waits, fills]
