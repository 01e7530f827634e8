import dataclasses

import numpy as np
import pytest

from calcidetect.drawing import plane
from calcidetect.drawing.layout import lay_out
from calcidetect.drawing.lettering import scale_length
from calcidetect.drawing.scene import group_candidates
from calcidetect.drawing.strokes import DEFAULT_LETTERS, Box, arrow_box, arrow_polygon, style_for
from calcidetect.types import Candidate

SQUARE_FILM = (400, 400)
STYLE = style_for(SQUARE_FILM)
NOTICE = "not for diagnosis"


def deposit(id_, row, col, *, radius=5.0, label="calcification", wobble=0.0, seed=0):
    """Return a candidate with a round outline about (row, col); `wobble` makes it lobulated."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    reach = radius * (1 + wobble * np.random.default_rng(seed).uniform(-1, 1, 24))
    outline = np.stack([row + reach * np.sin(angle), col + reach * np.cos(angle)], axis=-1)
    return from_outline(id_, outline, label=label)


def from_outline(id_, outline, *, label="calcification"):
    outline = np.asarray(outline, float)
    low, high = np.floor(outline.min(0) + 0.5).astype(int), np.floor(outline.max(0) + 0.5).astype(int) + 1
    return Candidate(
        id=id_,
        score=0.9,
        label=label,
        zone="",
        x0=int(low[1]),
        y0=int(low[0]),
        x1=int(high[1]),
        y1=int(high[0]),
        row=float(outline[:, 0].mean()),
        col=float(outline[:, 1].mean()),
        area_px=abs(plane.area(outline)),
        area_mm2=None,
        diameter_mm=None,
        contrast_noise=9.0,
        contrast_bone=1.0,
        bone_distance_mm=None,
        contour=tuple((float(r), float(c)) for r, c in outline),
    )


def random_scene(seed, *, count, shape=SQUARE_FILM, apart=0.0):
    """Return up to `count` lobulated deposits anywhere on the film, boxes at least `apart` from one another."""
    rng = np.random.default_rng(seed)
    row, col = rng.uniform(0, np.array(shape)[:, None] - 1, (2, 20 * count))
    radius = rng.uniform(1.5, 0.03 * min(shape), 20 * count)
    reach = 1.3 * radius + 1  # a wobble of 0.3, rounded to whole pixels
    inside = (np.minimum(row, col) > reach) & (row + reach < shape[0] - 1) & (col + reach < shape[1] - 1)
    placed = []
    for k in np.flatnonzero(inside):
        gap = np.maximum(abs(row[placed] - row[k]), abs(col[placed] - col[k])) - reach[placed] - reach[k]
        if len(placed) < count and (gap >= apart).all():
            placed.append(k)
    return [
        deposit(n, row[k], col[k], radius=radius[k], wobble=0.3, seed=int(k)) for n, k in enumerate(placed, start=1)
    ]


def edges(candidate):
    outline = np.array(candidate.contour)
    return outline, np.roll(outline, -1, axis=0)


def tip_distance(arrow, candidates):
    pairs = [edges(c) for c in candidates if c.id in arrow.ids]
    starts, stops = (np.vstack(part) for part in zip(*pairs, strict=True))
    return plane.point_distance(np.array([arrow.tip]), starts=starts, stops=stops).min()


def distance_to(arrow, starts, stops):
    return plane.segment_distance(
        np.array([arrow.tip]), np.array([arrow.tail]), tips=np.asarray(starts), tails=np.asarray(stops)
    ).min()


def arrow_gap(a, b):
    return distance_to(a, [b.tip], [b.tail])


def overlap(a, b):
    return a.row0 < b.row1 and a.row1 > b.row0 and a.col0 < b.col1 and a.col1 > b.col0


def lies_on(arrow, candidate, widen=0.0):
    outline = np.array(candidate.contour)
    inside = plane.contains(outline, np.array([arrow.tip, arrow.tail])).any()
    return bool(inside) or distance_to(arrow, *edges(candidate)) < widen


def assert_faultless(arrows, candidates, style):
    clearance = style.head_width_px
    for k, arrow in enumerate(arrows):
        assert all(arrow_gap(arrow, other) >= clearance for other in arrows[:k])
        others = [c for c in candidates if c.id not in arrow.ids]
        assert not any(lies_on(arrow, other, widen=style.head_width_px / 2) for other in others)


def assert_within(box, shape):
    assert box.row0 >= 0
    assert box.col0 >= 0
    assert box.row1 <= shape[0] - 1
    assert box.col1 <= shape[1] - 1


@pytest.mark.parametrize("count", [1, 4, 12])
def test_tips_touch_their_deposit_and_come_from_outside(count):
    for seed in range(30):
        scene = random_scene(seed, count=count)
        for arrow in lay_out(scene, shape=SQUARE_FILM).arrows:
            assert tip_distance(arrow, scene) <= STYLE.outline_px + 1e-6
            for member in (c for c in scene if c.id in arrow.ids):
                assert distance_to(arrow, *edges(member)) > 0


@pytest.mark.parametrize("count", [1, 4, 12, 60])
def test_each_deposit_has_one_arrow_and_every_arrow_lies_within_the_film(count):
    for seed in range(12):
        scene = random_scene(seed, count=count)
        arrows = lay_out(scene, shape=SQUARE_FILM).arrows
        assert sorted(id_ for arrow in arrows for id_ in arrow.ids) == [c.id for c in scene]
        for arrow in arrows:
            assert_within(arrow_box(arrow, STYLE), SQUARE_FILM)


def test_no_arrow_meets_another_arrow_or_deposit_in_crowded_scenes():
    # Forty deposits, a third of an arrow apart or more: crowded, but each of these scenes has a faultless layout.
    for seed in range(12):
        scene = random_scene(seed, count=40, apart=STYLE.arrow_px / 3)
        assert_faultless(lay_out(scene, shape=SQUARE_FILM).arrows, scene, STYLE)


def test_two_arrows_do_not_share_the_one_free_place():
    pair = [deposit(1, 200, 180), deposit(2, 200, 222)]  # 32 px between them, an arrow takes 23
    bone = np.ones(SQUARE_FILM, bool)
    bone[192:209, 184:219] = False
    arrows = lay_out(pair, shape=SQUARE_FILM, obstacles=bone).arrows
    assert_faultless(arrows, pair, STYLE)
    alone = lay_out(pair[:1], shape=SQUARE_FILM, obstacles=bone).arrows
    assert alone[0].tail[1] > 185


def test_arrows_fit_into_a_tight_lattice_where_parallel_ones_would():
    pitch = 10 + 1.25 * STYLE.arrow_px
    rows, cols = np.meshgrid(*[np.arange(60, 330, pitch)] * 2)
    scene = [deposit(k + 1, r, c) for k, (r, c) in enumerate(zip(rows.flat, cols.flat, strict=True))]
    assert_faultless(lay_out(scene, shape=SQUARE_FILM).arrows, scene, STYLE)


def test_arrow_takes_the_only_gap_in_a_wall_of_deposits():
    bearings = [b for b in range(0, 360, 15) if not 90 <= b <= 180]
    around = [(200 + 22 * np.sin(np.radians(b)), 200 + 22 * np.cos(np.radians(b))) for b in bearings]
    wall = [deposit(k, row, col) for k, (row, col) in enumerate(around, start=2)]
    style = dataclasses.replace(STYLE, group_gap_px=0)
    layout = lay_out([deposit(1, 200, 200), *wall], shape=SQUARE_FILM, style=style)
    arrow = next(arrow for arrow in layout.arrows if 1 in arrow.ids)
    assert 90 < np.degrees(np.arctan2(arrow.tail[0] - 200, arrow.tail[1] - 200)) < 180


@pytest.mark.parametrize(("free", "side"), [(np.s_[21:, 18:23], 1), (np.s_[:20, 18:23], -1)])
def test_arrow_comes_from_the_side_free_of_bone(free, side):
    bone = np.ones((40, 40), bool)  # on a coarser grid than the film's
    bone[free] = False
    arrow = lay_out([deposit(1, 200, 200)], shape=SQUARE_FILM, obstacles=bone).arrows[0]
    assert side * (arrow.tail[0] - arrow.tip[0]) > 0
    assert side * (arrow.tip[0] - 200) > 0
    assert 180 < arrow.tail[1] < 230


def test_arrow_comes_from_outside_where_nothing_stands_in_its_way():
    for row, col in ((80, 60), (90, 320), (300, 70), (310, 330)):
        arrow = lay_out([deposit(1, row, col)], shape=SQUARE_FILM).arrows[0]
        middle = np.array([199.5, 199.5])
        assert np.linalg.norm(arrow.tail - middle) > np.linalg.norm(arrow.tip - middle)


def test_arrows_have_full_length_where_there_is_room():
    arrow = lay_out([deposit(1, 200, 200)], shape=SQUARE_FILM).arrows[0]
    assert np.hypot(*np.subtract(arrow.tip, arrow.tail)) == pytest.approx(STYLE.arrow_px)


def test_tip_of_a_crescent_touches_the_crescent_and_not_its_hollow():
    angle = np.linspace(0.3, 2 * np.pi - 0.3, 40)
    circle = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    crescent = from_outline(1, 200 + np.vstack([20 * circle, 17 * circle[::-1]]))
    arrow = lay_out([crescent], shape=SQUARE_FILM).arrows[0]
    assert np.hypot(*np.subtract(arrow.tip, 200)) == pytest.approx(20 + STYLE.outline_px, abs=1.5)


@pytest.mark.parametrize(
    "outline", [[(200, 200)], [(200, 200), (200, 206)], [(200, 200), (200, 206), (200, 203)], []], ids=str
)
def test_outline_without_area_is_replaced_by_the_box(outline):
    flat = dataclasses.replace(deposit(1, 200, 203, radius=3), contour=tuple(outline))
    arrow = lay_out([flat], shape=SQUARE_FILM).arrows[0]
    box = np.array([(flat.y0, flat.x0, flat.y1 - 1, flat.x1 - 1)], float)
    near = plane.crosses_box(np.array([arrow.tip]), np.array([arrow.tip]), box + np.array([-1.5, -1.5, 1.5, 1.5]))
    assert near.all()


def test_outline_that_crosses_itself_still_gets_its_arrow():
    bow = from_outline(1, [(190, 190), (210, 230), (190, 210), (216, 190)])
    arrow = lay_out([bow], shape=SQUARE_FILM).arrows[0]
    assert tip_distance(arrow, [bow]) <= STYLE.outline_px + 1e-6


def test_neighbouring_granules_share_an_arrow_that_touches_one_of_them():
    granules = [deposit(k + 1, 200 + 3 * k, 200 + 13 * k) for k in range(3)]
    (arrow,) = lay_out(granules, shape=SQUARE_FILM).arrows
    assert arrow.ids == (1, 2, 3)
    assert tip_distance(arrow, granules) <= STYLE.outline_px + 1e-6


def test_groups_join_nearest_first_and_stay_below_the_longest_extent():
    chain = [deposit(k + 1, 200, 40 + 20 * k) for k in range(10)]
    assert len(group_candidates(chain, gap_px=9)) == 10
    assert len(group_candidates(chain, gap_px=11)) == 1
    groups = group_candidates(chain, gap_px=11, extent_px=60)
    assert all(max(c.x1 for c in group) - min(c.x0 for c in group) <= 60 for group in groups)
    assert sorted(c.id for group in groups for c in group) == list(range(1, 11))


def test_four_millimetres_of_gap_part_two_arrows():
    pair = [deposit(1, 200, 200), deposit(2, 200, 230)]  # boxes 19 px apart
    assert len(lay_out(pair, shape=SQUARE_FILM, style=style_for(SQUARE_FILM, spacing_mm=0.2)).arrows) == 1
    assert len(lay_out(pair, shape=SQUARE_FILM, style=style_for(SQUARE_FILM, spacing_mm=0.25)).arrows) == 2


def test_same_scene_gives_the_same_layout():
    scene = random_scene(3, count=30)
    assert lay_out(scene, shape=SQUARE_FILM) == lay_out(list(scene), shape=SQUARE_FILM)


@pytest.mark.parametrize("turn", ["left-right", "up-down", "transposed"])
def test_layout_turns_with_the_film(turn):
    def turned(point):
        row, col = point
        return {"left-right": (row, 399 - col), "up-down": (399 - row, col), "transposed": (col, row)}[turn]

    for seed in range(20):
        # Away from the lower edge, where the notice stands and does not turn.
        scene = [c for c in random_scene(seed, count=10, apart=2.0) if 60 < c.row < 340 and 60 < c.col < 340]
        twin = [from_outline(c.id, [turned(point) for point in c.contour]) for c in scene]
        arrows, twins = (lay_out(s, shape=SQUARE_FILM).arrows for s in (scene, twin))
        for arrow, other in zip(arrows, twins, strict=True):
            assert np.allclose(turned(arrow.tip), other.tip)
            assert np.allclose(turned(arrow.tail), other.tail)


def test_tracheal_gets_a_letter_beside_it_and_no_arrow():
    rings = [deposit(k + 1, 100 + 12 * k, 200, radius=4, label="tracheal") for k in range(5)]
    layout = lay_out(rings, shape=SQUARE_FILM)
    assert layout.arrows == ()
    (letter,) = layout.letters
    assert (letter.text, letter.ids) == ("T", (1, 2, 3, 4, 5))
    assert letter.box.col1 < min(c.x0 for c in rings) or letter.box.col0 > max(c.x1 for c in rings)
    assert letter.box.row0 > 90
    assert letter.box.row1 < 160


def test_letters_keep_clear_of_deposits_arrows_and_one_another():
    for seed in range(15):
        scene = random_scene(seed, count=10, apart=30.0)
        kinds = ["tracheal", "calcification", "sesamoid", "calcification", "vascular"] * 2
        scene = [dataclasses.replace(c, label=k) for c, k in zip(scene, kinds, strict=False)]
        style = style_for(SQUARE_FILM, letters=("tracheal", "sesamoid", "vascular"))
        layout = lay_out(scene, shape=SQUARE_FILM, style=style)
        boxes = [t.box for t in layout.letters]
        assert {t.text for t in layout.letters} <= {"T", "S", "V"}
        for box in boxes:
            assert_within(box, SQUARE_FILM)
        solid = [Box(c.y0, c.x0, c.y1, c.x1) for c in scene] + [arrow_box(a, style) for a in layout.arrows] + boxes
        for box in boxes:
            assert not any(overlap(box, other) for other in solid if other is not box)


def test_only_the_trachea_is_lettered_unless_asked():
    scene = [deposit(1, 200, 100, label="sesamoid"), deposit(2, 200, 300, label="metal")]
    assert sorted(DEFAULT_LETTERS) == ["tracheal"]
    assert lay_out(scene, shape=SQUARE_FILM).letters == ()
    asked = lay_out(scene, shape=SQUARE_FILM, style=style_for(SQUARE_FILM, letters=("sesamoid",))).letters
    assert [(t.text, t.ids) for t in asked] == [("S", (1,))]


def test_label_without_letter_is_refused_by_name():
    with pytest.raises(ValueError, match="'calcification' has no letter; choose from tracheal"):
        style_for(SQUARE_FILM, letters=("calcification",))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (20, 20), (40, 700)])
def test_small_and_narrow_films_hold_all_that_is_drawn(shape):
    whole = from_outline(1, [(0, 0), (0, shape[1] - 1), (shape[0] - 1, shape[1] - 1), (shape[0] - 1, 0)])
    layout = lay_out([whole], shape=shape, notice=NOTICE, scale=(5.0, "1 mm"))
    for arrow in layout.arrows:
        points = np.array([arrow.tip, arrow.tail])
        assert (points >= 0).all()
        assert (points <= np.array(shape) - 1).all()
    assert layout.notice.box.col1 - layout.notice.box.col0 <= shape[1]


@pytest.mark.parametrize(("row", "col"), [(2, 2), (2, 397), (397, 2), (397, 397), (200, 1), (1, 200)])
def test_deposit_at_the_edge_is_pointed_at_from_within(row, col):
    edge = deposit(1, row, col, radius=4)
    (arrow,) = lay_out([edge], shape=SQUARE_FILM).arrows
    assert_within(arrow_box(arrow, STYLE), SQUARE_FILM)
    assert tip_distance(arrow, [edge]) <= STYLE.outline_px + 1e-6


def test_deposit_over_the_whole_film_is_pointed_at_from_inside_it():
    whole = from_outline(1, [(0, 0), (0, 399), (399, 399), (399, 0)])
    (arrow,) = lay_out([whole], shape=SQUARE_FILM).arrows
    assert np.hypot(*np.subtract(arrow.tip, arrow.tail)) > 0.4 * STYLE.arrow_px
    assert min(arrow.tail) >= 0
    assert max(arrow.tail) <= 399


def test_each_of_two_hundred_deposits_is_pointed_at():
    scene = random_scene(1, count=200, shape=(1200, 1000))
    assert len(scene) == 200
    pointed_at = [number for arrow in lay_out(scene, shape=(1200, 1000)).arrows for number in arrow.ids]
    assert sorted(pointed_at) == sorted(deposit.id for deposit in scene)


def test_notice_gives_way_to_a_deposit_in_its_corner():
    empty = lay_out((), shape=SQUARE_FILM, notice=NOTICE).notice.box
    corner = deposit(1, (empty.row0 + empty.row1) / 2, (empty.col0 + empty.col1) / 2)
    moved = lay_out([corner], shape=SQUARE_FILM, notice=NOTICE).notice.box
    assert empty.col0 < 60
    assert moved.col0 > corner.x1
    assert moved.row1 > 380


def test_scale_bar_stands_in_a_free_corner_with_its_text_above():
    corner = deposit(1, 380, 360)
    scale = lay_out([corner], shape=SQUARE_FILM, scale=(80.0, "20 mm")).scale
    assert scale.bar.col1 - scale.bar.col0 == 80
    assert scale.text.text == "20 mm"
    assert scale.text.box.row1 <= scale.bar.row0
    assert not (scale.bar.row1 > 350 and scale.bar.col1 > 340)
    assert_within(scale.bar, SQUARE_FILM)


def test_scale_length_is_round_and_at_most_a_fifth_or_so_of_the_short_side():
    assert scale_length((3000, 2500), 0.143) == 50
    assert scale_length((500, 400), 0.3) == 20
    assert scale_length((20, 20), 0.1) is None


def test_arrow_polygon_starts_at_the_tip_and_is_as_long_as_the_arrow():
    arrow = lay_out([deposit(1, 200, 200)], shape=SQUARE_FILM).arrows[0]
    polygon = arrow_polygon(arrow, STYLE)
    assert tuple(polygon[0]) == pytest.approx(arrow.tip)
    assert polygon[3:5].mean(0) == pytest.approx(arrow.tail)
    width = np.linalg.norm(polygon[1] - polygon[-1])
    assert width == pytest.approx(STYLE.head_width_px)


def test_sizes_grow_with_the_film():
    small, large = style_for((500, 600)), style_for((4000, 4800))
    assert large.arrow_px / 4000 == pytest.approx(small.arrow_px / 500)
    assert 0.04 <= large.arrow_px / 4000 <= 0.06
