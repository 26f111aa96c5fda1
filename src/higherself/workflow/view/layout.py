"""Where boxes and lines go: a layered layout. Pure, and the same every time.

In the manner of Sugiyama, Tagawa and Toda (1981): cycles are broken, every box gets a layer by the
longest path to it, long lines get a place in every layer that they pass, the order in each layer is
improved until lines cross little, then everything is moved to where lines are straight. Labels are
places of their own in the layers between, so nothing is ever written over anything. Lines to the
same box share their places where they run side by side.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """Something to be placed. ``loop`` is the room that is needed on its right, for lines to itself."""

    key: str
    width: float
    height: float
    loop: float = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A line from one box to another, with the room its label needs.

    ``weight`` says how much it matters that it is straight; lines of one ``kind`` may share places.
    """

    source: str
    target: str
    label_width: float = 0
    label_height: float = 0
    weight: float = 1
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where something is, by its middle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """Its left edge."""
        return self.x - self.width / 2

    @property
    def top(self) -> float:
        """Its upper edge."""
        return self.y - self.height / 2

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a line: straight pieces, from top to bottom or back up, joined by curves."""

    pieces: tuple[tuple[Point, Point], ...]
    label: Placed | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is, from (0, 0) to (width, height)."""

    width: float
    height: float
    boxes: Mapping[str, Placed] = field(default_factory=dict)
    routes: Mapping[tuple[str, str], Route] = field(default_factory=dict)


BOX_GAP, LABEL_GAP, LINE_GAP = 34.0, 18.0, 16.0
LAYER_GAP, PORT_GAP = 16.0, 18.0
_STUB = 8.0  # how far a line goes straight from a box
_SWEEPS, _PASSES, _ROUNDS = 24, 48, 30


def layout(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    """Return the layout of ``boxes``, from the first one down.

    Links between the same two boxes in the same direction are expected once; those of a box to
    itself are not routed.
    """
    return _Layering(boxes, links).layout()


@dataclass(slots=True)
class _Vertex:
    """A box, or the place of a line or a label in a layer."""

    width: float
    height: float
    layer: int
    gap: float
    box: str | None = None
    x: float = 0
    y: float = 0
    shift: float = 0  # of the box from the middle of its room
    above: dict[int, float] = field(default_factory=dict)
    below: dict[int, float] = field(default_factory=dict)


class _Layering:
    def __init__(self, boxes: Sequence[Box], links: Sequence[Link]) -> None:
        self.boxes = {box.key: box for box in boxes}
        self.links = [link for link in links if link.source != link.target]
        self.back = _back_links([box.key for box in boxes], self.links)
        self.layers_of = self._ranked()
        self.vertices: list[_Vertex] = []
        self.of_box: dict[str, int] = {}
        self.shared: dict[tuple[str, str, bool, int], int] = {}
        self.chains: dict[tuple[str, str], list[int]] = {}
        self.labels: dict[tuple[str, str], int] = {}
        self._put()
        self.order = self._ordered()
        self.reach = [self._reach(each) for each in range(len(self.vertices))]

    # --- Layers.

    def _ranked(self) -> dict[str, int]:
        """Return the layer of each box: even numbers; labels go between."""
        ways = [
            (link.target, link.source) if place in self.back else (link.source, link.target)
            for place, link in enumerate(self.links)
        ]
        layers = dict.fromkeys(self.boxes, 0)
        for _ in self.boxes:
            for upper, lower in ways:
                layers[lower] = max(layers[lower], layers[upper] + 2)
        first = next(iter(self.boxes), None)
        lowers = {lower for _, lower in ways}
        for key in self.boxes:  # what nothing leads to stands right above where it leads
            if key != first and key not in lowers:
                below = [layers[lower] for upper, lower in ways if upper == key]
                layers[key] = max(0, min(below, default=2) - 2)
        return layers

    def _put(self) -> None:
        for key, box in self.boxes.items():
            self.of_box[key] = len(self.vertices)
            width = box.width + box.loop
            vertex = _Vertex(
                width, box.height, self.layers_of[key], BOX_GAP, key, shift=-box.loop / 2
            )
            self.vertices.append(vertex)
        for place, link in enumerate(self.links):
            self._chain(link, up=place in self.back)

    def _chain(self, link: Link, *, up: bool) -> None:
        start, end = self.layers_of[link.source], self.layers_of[link.target]
        step = -1 if up else 1
        chain = [self.of_box[link.source]]
        for layer in range(start + step, end, step):
            if layer == start + step and (link.label_width or abs(end - start) == 2):
                chain.append(len(self.vertices))
                self.labels[link.source, link.target] = chain[-1]
                gap = LABEL_GAP if link.label_width else LINE_GAP
                self.vertices.append(_Vertex(link.label_width, link.label_height, layer, gap))
                continue
            key = (link.target, link.kind, up, layer)
            if key not in self.shared:
                self.shared[key] = len(self.vertices)
                self.vertices.append(_Vertex(0, 0, layer, LINE_GAP))
            chain.append(self.shared[key])
        chain.append(self.of_box[link.target])
        self.chains[link.source, link.target] = chain
        for here, there in pairwise(chain):
            upper, lower = (there, here) if up else (here, there)
            weight = link.weight * self._stiffness(here, there)
            below, above = self.vertices[upper].below, self.vertices[lower].above
            below[lower] = above[upper] = max(below.get(lower, 0), weight)

    def _stiffness(self, here: int, there: int) -> float:
        lines = sum(self.vertices[each].box is None for each in (here, there))
        return (1.0, 2.0, 6.0)[lines]

    # --- Order.

    def _ordered(self) -> list[list[int]]:
        count = max((vertex.layer for vertex in self.vertices), default=0) + 1
        layers: list[list[int]] = [[] for _ in range(count)]
        seen: set[int] = set()
        for first in self._first_order():
            if first not in seen:
                seen.add(first)
                layers[self.vertices[first].layer].append(first)
        best, least = [list(layer) for layer in layers], self._crossings(layers)
        for sweep in range(_SWEEPS):
            if least == 0:
                break
            down = sweep % 2 == 0
            for at in range(count) if down else range(count - 1, -1, -1):
                self._by_neighbours(layers, at, down=down)
            self._swap(layers)
            crossings = self._crossings(layers)
            if crossings < least:
                best, least = [list(layer) for layer in layers], crossings
        return best

    def _first_order(self) -> Iterable[int]:
        """Yield vertices depth first from the first box; the lines back up come last."""
        for key in self._depth_first():
            yield self.of_box[key]
            for place, link in enumerate(self.links):
                if link.source == key and place not in self.back:
                    yield from self.chains[link.source, link.target][1:-1]
        for place, link in enumerate(self.links):
            if place in self.back:
                yield from self.chains[link.source, link.target][1:-1]

    def _depth_first(self) -> list[str]:
        found: dict[str, None] = {}
        left = list(reversed(list(self.boxes)))
        while left:
            key = left.pop()
            if key not in found:
                found[key] = None
                left += [link.target for link in reversed(self.links) if link.source == key]
        return list(found)

    def _by_neighbours(self, layers: list[list[int]], at: int, *, down: bool) -> None:
        beside = at - 1 if down else at + 1
        places = (
            {each: place for place, each in enumerate(layers[beside])}
            if 0 <= beside < len(layers)
            else {}
        )
        wanted: dict[int, float] = {}
        for place, each in enumerate(layers[at]):
            vertex = self.vertices[each]
            around = vertex.above if down else vertex.below
            total = sum(around.values())
            mean = sum(places[other] * weight for other, weight in around.items())
            wanted[each] = mean / total if total else place
        layers[at].sort(key=wanted.__getitem__)

    def _swap(self, layers: list[list[int]]) -> None:
        """Swap neighbours where that has lines cross less."""
        places = {each: place for layer in layers for place, each in enumerate(layer)}
        for _ in range(4):
            better = False
            for layer in layers:
                for at in range(len(layer) - 1):
                    left, right = layer[at], layer[at + 1]
                    if self._between(left, right, places) > self._between(right, left, places):
                        layer[at], layer[at + 1] = right, left
                        places[left], places[right] = at + 1, at
                        better = True
            if not better:
                break

    def _between(self, left: int, right: int, places: dict[int, int]) -> float:
        """Return how much the lines of two neighbours cross if ``left`` is on the left."""
        one, other = self.vertices[left], self.vertices[right]
        return sum(
            min(weight, weight_there)
            for here, there in ((one.above, other.above), (one.below, other.below))
            for end, weight in here.items()
            for end_there, weight_there in there.items()
            if places[end] > places[end_there]
        )

    def _crossings(self, layers: list[list[int]]) -> float:
        places = {each: place for layer in layers for place, each in enumerate(layer)}
        total = 0.0
        for layer in layers:
            lines = [
                (places[a], places[b], w) for a in layer for b, w in self.vertices[a].below.items()
            ]
            for at, (top, bottom, weight) in enumerate(lines):
                for top_there, bottom_there, weight_there in lines[at + 1 :]:
                    if (top - top_there) * (bottom - bottom_there) < 0:
                        total += min(weight, weight_there)
        return total

    # --- Places.

    def _across(self) -> None:
        for layer in self.order:
            x = 0.0
            for each, after in zip(layer, [*layer[1:], None], strict=True):
                self.vertices[each].x = x
                if after is not None:
                    x += self._apart(each, after)
        for turn in range(_PASSES):
            straight = turn >= _PASSES // 3
            for layer in self.order if turn % 2 == 0 else reversed(self.order):
                self._settle(layer, straight=straight)
        self._straighten()

    def _straighten(self) -> None:
        """Move what is in line with one another as one, wherever that has fewer lines bend."""
        places = {
            each: (at, place)
            for at, layer in enumerate(self.order)
            for place, each in enumerate(layer)
        }
        xs = [vertex.x for vertex in self.vertices]
        for _ in range(_ROUNDS):
            better = False
            for block in self._blocks(xs):
                for offset in sorted(self._offsets(block, xs)):
                    moved = self._pushed(block, offset, xs, places)
                    if self._gain(xs, moved) > 0.01:
                        for each, x in moved.items():
                            xs[each] = x
                        better = True
                        break
            if not better:
                break
        for vertex, x in zip(self.vertices, xs, strict=True):
            vertex.x = x

    def _blocks(self, xs: list[float]) -> list[list[int]]:
        """Return what is in line, as connected by lines, and every line, and every vertex alone."""
        found: list[list[int]] = [chain[1:-1] for chain in self.chains.values() if len(chain) > 3]
        left = set(range(len(self.vertices)))
        for first in range(len(self.vertices)):
            if first not in left:
                continue
            block, at = [first], 0
            left.discard(first)
            while at < len(block):
                here = self.vertices[block[at]]
                for other in (*here.above, *here.below):
                    if other in left and abs(self._off(xs, block[at], other)) < 0.05:
                        left.discard(other)
                        block.append(other)
                at += 1
            found.append(block)
            if len(block) > 1:
                found += [[each] for each in block]
        return found

    def _off(self, xs: list[float], one: int, other: int) -> float:
        return xs[other] + self.vertices[other].shift - xs[one] - self.vertices[one].shift

    def _offsets(self, block: list[int], xs: list[float]) -> set[float]:
        """Return how far ``block`` would have to move to be in line with what it is joined to."""
        inside = set(block)
        return {
            round(self._off(xs, each, other), 3)
            for each in block
            for other in (*self.vertices[each].above, *self.vertices[each].below)
            if other not in inside or len(block) > 1
        } - {0.0}

    def _pushed(
        self, block: list[int], offset: float, xs: list[float], places: dict[int, tuple[int, int]]
    ) -> dict[int, float]:
        """Return where everything goes if ``block`` moves and what is in its way gives way."""
        moved = {each: xs[each] + offset for each in block}
        for each in block:
            at, place = places[each]
            layer = self.order[at]
            for step in (-1, 1):
                here, there = place, place + step
                while 0 <= there < len(layer):
                    one, other = layer[here], layer[there]
                    apart = self._apart(one, other)
                    limit = moved.get(one, xs[one]) + step * apart
                    x = moved.get(other, xs[other])
                    if (limit - x) * step <= 0:
                        break
                    moved[other] = limit
                    here, there = there, there + step
        return moved

    def _gain(self, xs: list[float], moved: dict[int, float]) -> float:
        """Return how much better it is with ``moved``."""
        gain = 0.0
        for each, x in moved.items():
            vertex = self.vertices[each]
            for around in (vertex.above, vertex.below):
                for other, weight in around.items():
                    share = 0.5 if other in moved else 1.0
                    there = moved.get(other, xs[other]) + self.vertices[other].shift
                    gain += share * self._cost(each, other, weight, self._off(xs, each, other))
                    gain -= share * self._cost(each, other, weight, there - x - vertex.shift)
        return gain

    def _cost(self, one: int, other: int, weight: float, off: float) -> float:
        far = abs(off)
        cost = far
        if far > 0.05:
            cost += 8
        if far > max(self.reach[one], self.reach[other]):
            cost += 60
        return cost * weight

    def _reach(self, each: int) -> float:
        """Return how far from its middle a line can meet a vertex and be straight."""
        box = self.vertices[each].box
        return 0.05 if box is None else max(0.05, self.boxes[box].width / 2 - 22)

    def _apart(self, left: int, right: int) -> float:
        one, other = self.vertices[left], self.vertices[right]
        return (one.width + other.width) / 2 + max(one.gap, other.gap)

    def _settle(self, layer: list[int], *, straight: bool) -> None:
        """Move a layer to where its lines are short; with ``straight``, rather few of them bend."""
        wanted, weights = [], []
        for each in layer:
            vertex = self.vertices[each]
            total = pulled = 0.0
            for around in (vertex.above, vertex.below):
                for other, weight in around.items():
                    there = self.vertices[other]
                    target = there.x + there.shift - vertex.shift
                    pull = weight / max(abs(target - vertex.x), 1.0) if straight else weight
                    total, pulled = total + pull, pulled + pull * target
            wanted.append(pulled / total if total else vertex.x)
            weights.append(max(total, 1e-6))
        apart = [self._apart(one, other) for one, other in pairwise(layer)]
        for each, x in zip(layer, spread(wanted, apart, weights), strict=True):
            self.vertices[each].x = x

    def _down(self) -> tuple[list[float], list[float]]:
        tops, bottoms, y = [], [], 0.0
        for at, layer in enumerate(self.order):
            height = max((self.vertices[each].height for each in layer), default=0)
            if any(self.vertices[each].box is not None for each in layer):
                height += 2 * _STUB
            tops.append(y)
            bottoms.append(y + height)
            for each in layer:
                self.vertices[each].y = y + height / 2
            y += height + self._gap_below(at)
        return tops, bottoms

    def _gap_below(self, at: int) -> float:
        """Return the room that the curves below a layer need: more, the further they go aside."""
        far = [
            abs(self.vertices[each].x - self.vertices[other].x)
            for each in self.order[at]
            for other in self.vertices[each].below
        ]
        return LAYER_GAP + min(34.0, max(far, default=0) * 0.05)

    def layout(self) -> Layout:
        """Place everything."""
        self._across()
        tops, bottoms = self._down()
        ports = self._ports()
        left = min((vertex.x - vertex.width / 2 for vertex in self.vertices), default=0)
        right = max((vertex.x + vertex.width / 2 for vertex in self.vertices), default=0)
        placed = {}
        for key, box in self.boxes.items():
            vertex = self.vertices[self.of_box[key]]
            placed[key] = Placed(vertex.x + vertex.shift - left, vertex.y, box.width, box.height)
        routes: dict[tuple[str, str], Route] = {}
        for ends, chain in self.chains.items():
            points = self._pieces(chain, ports, tops, bottoms)
            pieces = tuple(((a - left, b), (c - left, d)) for (a, b), (c, d) in points)
            routes[ends] = Route(pieces, self._label(ends, left))
        return Layout(right - left, max(bottoms, default=0), placed, routes)

    def _label(self, key: tuple[str, str], left: float) -> Placed | None:
        place = self.labels.get(key)
        if place is None or not self.vertices[place].width:
            return None
        vertex = self.vertices[place]
        return Placed(vertex.x - left, vertex.y, vertex.width, vertex.height)

    def _pieces(
        self,
        chain: list[int],
        ports: Mapping[tuple[int, int], float],
        tops: list[float],
        bottoms: list[float],
    ) -> list[tuple[Point, Point]]:
        up = self.vertices[chain[0]].layer > self.vertices[chain[-1]].layer
        found: list[tuple[Point, Point]] = []
        for at, each in enumerate(chain):
            vertex = self.vertices[each]
            top, bottom = tops[vertex.layer], bottoms[vertex.layer]
            enter, leave = (bottom, top) if up else (top, bottom)
            if at == 0:
                edge = vertex.y + (-vertex.height if up else vertex.height) / 2
                x = ports[each, chain[1]]
                found.append(((x, edge), (x, leave)))
            elif at == len(chain) - 1:
                edge = vertex.y + (vertex.height if up else -vertex.height) / 2
                x = ports[each, chain[-2]]
                found.append(((x, enter), (x, edge)))
            else:
                found.append(((vertex.x, enter), (vertex.x, leave)))
        return found

    def _ports(self) -> dict[tuple[int, int], float]:
        """Return where lines meet a box: below what they come from, if there is room."""
        found: dict[tuple[int, int], float] = {}
        for key, at in self.of_box.items():
            vertex, width = self.vertices[at], self.boxes[key].width
            middle = vertex.x + vertex.shift
            for around in (vertex.above, vertex.below):
                others = sorted(around, key=lambda each: (self.vertices[each].x, each))
                half = max(0.0, width / 2 - 18)
                apart = min(PORT_GAP, 2 * half / max(1, len(others) - 1))
                wanted = [
                    min(max(self.vertices[each].x, middle - half), middle + half) for each in others
                ]
                xs = spread(wanted, [apart] * (len(others) - 1), [1.0] * len(others))
                if xs:
                    off = min(0.0, middle + half - xs[-1]) or max(0.0, middle - half - xs[0])
                    found.update({(at, each): x + off for each, x in zip(others, xs, strict=True)})
        return found


def _back_links(keys: Sequence[str], links: Sequence[Link]) -> set[int]:
    """Return the places of the links that close a cycle when everything is walked depth first."""
    ways: dict[str, list[tuple[int, str]]] = {key: [] for key in keys}
    for place, link in enumerate(links):
        ways[link.source].append((place, link.target))
    found: set[int] = set()
    done: set[str] = set()
    for first in keys:
        walking: dict[str, int] = {first: 0} if first not in done else {}
        while walking:
            key = next(reversed(walking))
            at = walking[key]
            if at == len(ways[key]):
                del walking[key]
                done.add(key)
                continue
            walking[key] += 1
            place, target = ways[key][at]
            if target in walking:
                found.add(place)
            elif target not in done:
                walking[target] = 0
    return found


def spread(
    wanted: Sequence[float], apart: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """Return places in order, each at least ``apart`` from the one before, near those ``wanted``.

    The sum of weighted squares of how far they are off is the least there is (pool adjacent
    violators).

    >>> spread([0, 0, 10], [4, 4], [1, 1, 1])
    [-2.0, 2.0, 10.0]
    """
    offsets = [0.0]
    for each in apart:
        offsets.append(offsets[-1] + each)
    pools: list[tuple[float, float, int]] = []
    for want, offset, weight in zip(wanted, offsets, weights, strict=False):
        mean, mass, count = want - offset, weight, 1
        while pools and pools[-1][0] > mean:
            mean_before, mass_before, count_before = pools.pop()
            mean = (mean * mass + mean_before * mass_before) / (mass + mass_before)
            mass, count = mass + mass_before, count + count_before
        pools.append((mean, mass, count))
    flat = [mean for mean, _, count in pools for _ in range(count)]
    return [value + offset for value, offset in zip(flat, offsets, strict=False)]
