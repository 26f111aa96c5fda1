"""What packages bring is found, also by a package that comes later on the search path."""

from pathlib import Path

import pytest

from higherself.kernel.packages import brought


def test_a_package_is_found_once_it_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "letters-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[letters.group]\nletters = letters:Provider\n")
    assert brought("letters.group") == []
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [each.value for each in brought("letters.group")] == ["letters:Provider"]
    assert brought("of.nobody") == []
