"""Embedding spaces: added, filled beside the old one, compared, switched to, retired, dropped."""

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
from tests.knowledge.tiers_in_use import QUICK, VOYAGE, InUse, document, in_use

from higherself.db.pool import Database
from higherself.kernel.errors import Conflict
from higherself.knowledge.errors import ProviderMisconfigured, QueryRejected
from higherself.knowledge.providers.local import LocalEmbeddings
from higherself.knowledge.providers.voyage import voyage_embeddings
from higherself.knowledge.tiers import Tier
from higherself.testing.clock import ManualClock
from higherself.testing.embeddings import EmbeddingServer, embedding_server

pytestmark = pytest.mark.postgres

SUBJECTS = ["tea", "trains", "weather", "gardens", "paintings", "retreats", "invoices", "music"]
TEXTS = [
    f"Note {n} is about {SUBJECTS[n % 8]} and what number {n * 7919} means." for n in range(40)
]


@pytest.fixture(scope="module")
def vendors() -> Iterator[EmbeddingServer]:
    with embedding_server() as server:
        yield server


def another_voyage(server: EmbeddingServer, name: str, model: str, dimensions: int | None) -> Tier:
    if name != "voyage":
        return Tier(name, None, reason="its model is fixed")
    clock = ManualClock()
    try:
        provider = voyage_embeddings(
            "key", base_url=server.voyage_url, model=model, dimensions=dimensions, clock=clock,
            question=QUICK, documents=QUICK, draw=lambda: 1.0,
        )  # fmt: skip
    except ProviderMisconfigured as error:
        return Tier(name, None, reason=str(error))
    return Tier(f"{name} ({model})", provider, clock=clock)


@pytest.fixture
async def use(
    database: Database, vendors: EmbeddingServer, local_model: LocalEmbeddings
) -> AsyncIterator[InUse]:
    vendors.voyage.recover()
    vendors.voyage.requests.clear()
    async with in_use(
        database,
        vendors,
        local_model,
        ["voyage", "local"],
        make_tier=partial(another_voyage, vendors),
    ) as use:
        await use.hub.add([document(str(n), text) for n, text in enumerate(TEXTS)])
        yield use


async def states(use: InUse) -> dict[str, tuple[object, object]]:
    return {s["name"]: (s["state"], s["coverage"]) for s in await use.hub.spaces()}


async def test_a_new_model_takes_over_without_a_gap(use: InUse) -> None:
    new = (await use.hub.add_space("voyage", "voyage-3.5", 512)).name
    assert new == "voyage/voyage-3.5/512"
    assert await states(use) == {
        VOYAGE: ("active", 1.0),
        use.local_space: ("active", 1.0),
        new: ("filling", 0.0),
    }
    answer = await use.hub.search("paintings")
    assert (answer.spaces, answer.degraded) == ((VOYAGE,), False)

    await use.hub.add([document("late", "A late note about lanterns.")])
    assert (await states(use))[new] == ("filling", round(1 / 41, 4)), "both are written"
    with pytest.raises(Conflict, match=r"covers 2.4% .* reembed --space"):
        await use.hub.activate_space(new)

    (filled,) = await use.hub.reembed(new)
    assert (filled.embedded, filled.waiting) == (40, 0)
    compared = await use.hub.activate_space(new)
    assert compared is not None
    assert (compared.old, compared.new, compared.sample) == (VOYAGE, new, 41)
    assert compared.new_recall >= 0.9
    answer = await use.hub.search("a lantern", mode="vector")
    assert (answer.spaces, answer.degraded) == ((new,), False)
    assert answer.hits[0].document.external_id == "late"

    with pytest.raises(Conflict, match="is filling; retire it first"):
        await use.hub.drop_space(VOYAGE)
    with pytest.raises(Conflict, match="answers for the tier"):
        await use.hub.retire_space(new)
    await use.hub.retire_space(VOYAGE)
    await use.hub.add([document("later", "A later note about lamps.")])
    assert (await states(use))[VOYAGE] == ("retired", round(41 / 42, 4)), "no longer written"
    await use.hub.drop_space(VOYAGE)
    assert (await use.hub.search("lamps", mode="vector")).spaces == (new,)


async def test_back_to_the_old_space(use: InUse) -> None:
    new = (await use.hub.add_space("voyage", "voyage-3.5", 256)).name
    await use.hub.reembed(new)
    await use.hub.activate_space(new)
    await use.hub.activate_space(VOYAGE)
    assert (await use.hub.search("tea", mode="vector")).spaces == (VOYAGE,)


async def test_a_space_that_finds_less_does_not_take_over(use: InUse) -> None:
    added = await use.hub.add_space("voyage", "voyage-3.5", 256)
    new = added.name
    await use.hub.reembed(new)
    async with use.database.transaction() as tx:  # as if that model were a bad one
        await tx.connection.execute(
            f"UPDATE {added.table} SET embedding = (SELECT embedding FROM {added.table} LIMIT 1)".encode()
        )
    with pytest.raises(Conflict, match=r"finds \d+% of a sample of 40 passages"):
        await use.hub.activate_space(new)
    assert (await use.hub.search("tea", mode="vector")).spaces == (VOYAGE,)
    assert await use.hub.activate_space(new, force=True) is None
    assert (await use.hub.search("tea", mode="vector")).spaces == (new,)


async def test_a_family_of_models_shares_its_space(use: InUse) -> None:
    assert (await use.hub.add_space("voyage", "voyage-4-lite", 256)).name == VOYAGE
    assert (await states(use))[VOYAGE] == ("active", 1.0)


@pytest.mark.parametrize(
    ("tier", "model", "why"),
    [("voyage", "voyage-4", "is 300"), ("local", "other", "fixed"), ("nobody", "x", "fixed")],
)
async def test_what_cannot_be_added(use: InUse, tier: str, model: str, why: str) -> None:
    with pytest.raises(ProviderMisconfigured, match=why):
        await use.hub.add_space(tier, model, 300)
    with pytest.raises(QueryRejected, match="no embedding space"):
        await use.hub.activate_space("nowhere")


async def test_the_model_of_the_settings_takes_over_by_itself(
    use: InUse, database: Database, vendors: EmbeddingServer, local_model: LocalEmbeddings
) -> None:
    """An operator changes VOYAGE_MODEL and restarts the server; nothing else."""
    tier = another_voyage(vendors, "voyage", "voyage-3.5", 512)
    renamed = Tier("voyage", tier._provider, clock=ManualClock())
    async with in_use(
        database,
        vendors,
        local_model,
        ["local"],
        make_tier=partial(another_voyage, vendors),
        first=[renamed],
    ) as restarted:
        answer = await restarted.hub.search("tea", mode="vector")
        assert (answer.spaces, answer.degraded) == ((VOYAGE,), False), "the old model answers"
        await restarted.hub.upkeep.once()
        await restarted.pass_time()
        answer = await restarted.hub.search("tea", mode="vector")
        assert (answer.spaces, answer.degraded) == ((tier.space.name,), False)
        assert (await states(restarted))[VOYAGE] == ("filling", 1.0)
    await renamed.close()


async def test_a_document_deleted_meanwhile_leaves_no_vector(use: InUse) -> None:
    new = (await use.hub.add_space("voyage", "voyage-3.5", 512)).name
    await use.hub.delete(["3"])
    await use.hub.reembed(new)
    assert TEXTS[3] not in (await use.vectors())[new]
    assert TEXTS[3] not in use.server.voyage.texts[40:]
