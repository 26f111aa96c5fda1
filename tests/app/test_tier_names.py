from pathlib import Path

import pytest

from higherself.app.tier_names import PerTier, installed_tiers, tier_order


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brings the tier `letters`."""
    info = tmp_path / "letters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[higherself.providers]\nletters = letters:Provider\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("local", "voyge"), "'voyge'; did you mean voyage?"),
        (("lokal",), "'lokal'; did you mean local?"),
        (("magic",), r"no embedding tier 'magic' \(there are: local, openai, voyage\)"),
        (("local", "openai", "local"), "it names local twice"),
    ],
)
def test_a_name_that_makes_no_sense(names: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tier_order(names)


@pytest.mark.usefixtures("installed")
def test_packages_bring_names() -> None:
    assert tier_order(("letters", "local")) == ("letters", "local")
    assert installed_tiers()["letters"].value == "letters:Provider"
    assert PerTier.read("letters=3").of("letters") == 3
    with pytest.raises(ValueError, match=r"did you mean letters\?"):
        tier_order(("leters",))


@pytest.mark.parametrize("given", ["", "x", "0", "-1", "voyage=", "=4", "voyage=1.5", "4,,5", "٣"])
def test_what_is_no_number_of_a_tier(given: str) -> None:
    with pytest.raises(ValueError, match=r"is neither a number|no embedding tier"):
        PerTier.read(given)


def test_what_is_no_tier_has_a_limit_where_it_may_be_named() -> None:
    read = PerTier.read("5, voyage-rerank=7", also=["voyage-rerank"])
    assert [read.of(name) for name in ("voyage-rerank", "openai-rerank")] == [7, 5]
    with pytest.raises(ValueError, match="no embedding tier 'voyage-rerank'; did you mean voyage"):
        PerTier.read("voyage-rerank=7")
    with pytest.raises(ValueError, match="no embedding tier 'voyage-rerank'"):
        tier_order(("voyage-rerank",))


def test_a_number_for_all_and_one_for_some() -> None:
    both = PerTier.read("4, voyage = 8")
    assert [both.of(name) for name in ("voyage", "openai")] == [8, 4]
    assert str(both) == "4,voyage=8"
    assert PerTier.read("voyage=8").of("openai") is None
    assert PerTier.read(PerTier({}, 4)) == PerTier.read(4)
