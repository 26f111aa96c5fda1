import pytest

from higherself.business.data.phones import NumberUnclear, read_phone


@pytest.mark.parametrize(
    "text", ["(917) 555-0142", "917.555.0142", "+1 917 555 0142", "001 1 917 555 0142"[5:]]
)
def test_ways_of_writing_one_number(text: str) -> None:
    assert read_phone(text, country="us") == "+19175550142"


def test_a_number_of_another_country_keeps_its_code() -> None:
    assert read_phone("+351 912 345 678", country="US") == "+351912345678"


@pytest.mark.parametrize("text", ["", "call me", "12", "917 555 0142", "9" * 300])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NumberUnclear):
        read_phone(text)
