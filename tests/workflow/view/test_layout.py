"""The layered layout: nothing lies on anything, and it is the same every time."""

from itertools import combinations, pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from higherself.workflow.view.layout import Box, Layout, Link, Placed, layout, spread


@st.composite
def graphs(draw: Any) -> tuple[list[Box], list[Link]]:
    sizes = st.integers(20, 240)
    names = [f"n{number}" for number in range(draw(st.integers(1, 10)))]
    boxes = [
        Box(name, draw(sizes), draw(st.integers(16, 80)), draw(st.sampled_from([0, 0, 60])))
        for name in names
    ]
    ends = st.tuples(st.sampled_from(names), st.sampled_from(names))
    links = []
    for source, target in draw(st.lists(ends, max_size=18, unique=True)):
        width, height = draw(labels)
        links.append(Link(source, target, width, height, draw(weights), draw(kinds)))
    return boxes, links


weights = st.sampled_from([1.0, 4.0])
labels = st.sampled_from([(0, 0), (80, 21), (160, 51)])
kinds = st.sampled_from(["", "", "error"])


def rooms(drawn: Layout, boxes: list[Box]) -> list[Placed]:
    """Return what is taken: boxes with their loops, and labels."""
    loops = {box.key: box.loop for box in boxes}
    labels = [route.label for route in drawn.routes.values() if route.label is not None]
    return labels + [
        Placed(at.x + loops[key] / 2, at.y, at.width + loops[key], at.height)
        for key, at in drawn.boxes.items()
    ]


@given(graph=graphs())
def test_nothing_lies_on_anything(graph: tuple[list[Box], list[Link]]) -> None:
    drawn = layout(*graph)
    taken = rooms(drawn, graph[0])
    for one, other in combinations(taken, 2):
        beside = one.right <= other.left + 1e-6 or other.right <= one.left + 1e-6
        above = one.bottom <= other.top + 1e-6 or other.bottom <= one.top + 1e-6
        assert beside or above
    for each in taken:
        assert each.left >= -1e-6
        assert each.right <= drawn.width + 1e-6
        assert each.top >= -1e-6
        assert each.bottom <= drawn.height + 1e-6


@given(graph=graphs())
def test_no_line_goes_through_a_box(graph: tuple[list[Box], list[Link]]) -> None:
    drawn = layout(*graph)
    for route in drawn.routes.values():
        for (x, y), (_, end) in route.pieces[1:-1]:
            low, high = sorted((y, end))
            for at in drawn.boxes.values():
                assert not (at.left < x < at.right and low < at.bottom and high > at.top)
        bends = [(a[1], b[0]) for a, b in pairwise(route.pieces)]
        for (_, y), (_, end) in bends:  # curves are where no boxes are
            low, high = sorted((y, end))
            for at in drawn.boxes.values():
                assert low >= at.bottom - 1e-6 or high <= at.top + 1e-6


@given(graph=graphs())
def test_lines_begin_and_end_at_their_boxes(graph: tuple[list[Box], list[Link]]) -> None:
    drawn = layout(*graph)
    for (source, target), route in drawn.routes.items():
        for (x, y), key in ((route.pieces[0][0], source), (route.pieces[-1][1], target)):
            at = drawn.boxes[key]
            assert at.left - 1e-6 <= x <= at.right + 1e-6
            assert min(abs(y - at.top), abs(y - at.bottom)) < 1e-6


@given(graph=graphs())
def test_it_is_the_same_every_time(graph: tuple[list[Box], list[Link]]) -> None:
    assert layout(*graph) == layout(*graph)


def test_a_chain_is_straight() -> None:
    boxes = [Box(name, width, 40) for name, width in (("a", 50), ("b", 200), ("c", 90))]
    drawn = layout(boxes, [Link("a", "b", 60, 20), Link("b", "c")])
    assert len({round(at.x, 3) for at in drawn.boxes.values()}) == 1
    assert drawn.boxes["a"].bottom < drawn.boxes["b"].top < drawn.boxes["c"].top


@given(
    wanted=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12),
    apart=st.floats(0, 50),
)
def test_places_are_apart(wanted: list[float], apart: float) -> None:
    places = spread(wanted, [apart] * (len(wanted) - 1), [1.0] * len(wanted))
    for one, other in pairwise(places):
        assert other - one >= apart - 1e-6
    assert abs(sum(places) - sum(wanted)) < 1e-6 * max(1, len(wanted)) * 1e3
