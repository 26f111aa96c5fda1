import pytest

from higherself.kernel.jsonvalue import JsonObject
from higherself.kernel.schema import JsonSchema, Misfit

ORDER: JsonObject = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
        "paid": {"type": "boolean"},
    },
    "required": ["items"],
    "$defs": {"item": {"type": "object", "properties": {"price": {"type": "number"}}}},
}


def test_everything_that_does_not_fit_is_named_the_nearest_to_the_top_first() -> None:
    order: JsonObject = {"items": [{"price": 1}, {"price": "two"}], "paid": "yes"}
    first, second = JsonSchema.of(ORDER).misfits(order)
    assert first == Misfit(("paid",), '"yes" is not of type "boolean"')
    assert (second.place, second.message) == ("items.1.price", '"two" is not of type "number"')


def test_what_fits_has_no_misfits() -> None:
    assert JsonSchema.of(ORDER).misfits({"items": []}) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"type": "strin"}, "this is no JSON Schema at type: .strin. is not valid"),
        ({"$ref": "#/$defs/nobody"}, "this is no JSON Schema"),
        ({"$ref": "http://127.0.0.1:1/x.json"}, "leads elsewhere; a schema stands by itself"),
        ({"items": [{"$dynamicRef": "other.json#a"}]}, "leads elsewhere"),
    ],
)
def test_what_is_no_schema_is_refused_and_nothing_is_fetched(source: JsonObject, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        JsonSchema.of(source)
