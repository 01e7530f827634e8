"""What holds of every layout, however crowded, tiny or oblong the scene: over two hundred films drawn by lot."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from test_layout import from_outline, lies_on, tip_distance

from calcidetect.drawing import plane
from calcidetect.drawing.layout import lay_out
from calcidetect.drawing.strokes import LETTERS, Layout, LayoutStyle, arrow_box, style_for
from calcidetect.types import LABELS

SLACK_PX = 1e-6
NOTICE = "not for diagnosis"
ROOMY_PX = 60  # on smaller films not even a letter and an arrow fit beside each other


class Scene(NamedTuple):
    shape: tuple[int, int]
    deposits: list
    style: LayoutStyle
    layout: Layout

    @property
    def marks(self):
        return [c for c in self.deposits if c.label == "calcification"]


def blot(id_, middle, radius, *, shape, label="calcification", seed=0):
    """Return a lobulated deposit, cut off at the film's edge."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    reach = radius * (1 + 0.4 * np.random.default_rng(seed).uniform(-1, 1, 16))
    outline = np.asarray(middle) + reach[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return from_outline(id_, np.clip(outline, 0, np.array(shape) - 1), label=label)


def scene(seed, *, count, shape, largest=0.3, labels=("calcification",)):
    """Return deposits anywhere on a film, over one another too, laid out with every letter there is."""
    rng = np.random.default_rng(seed)
    deposits = [
        blot(
            k,
            rng.uniform(0, 1, 2) * (np.array(shape) - 1),
            0.5 + rng.uniform() * largest * min(shape) / 2,
            shape=shape,
            label=str(rng.choice(labels)),
            seed=seed,
        )
        for k in range(1, count + 1)
    ]
    style = style_for(shape, letters=LETTERS)
    layout = lay_out(deposits, shape=shape, style=style, notice=NOTICE, scale=(0.2 * shape[1], "50 mm"))
    return Scene(shape, deposits, style, layout)


@pytest.fixture(scope="module")
def scenes():
    """Films of 1 to 4000 pixels a side with up to 7 deposits, and crowded ones with up to 80."""
    rng = np.random.default_rng(0)
    shapes = np.round(np.exp(rng.uniform(0, np.log(4000), (200, 2)))).astype(int).tolist()
    films = [
        scene(seed, count=1 + seed % 7, shape=tuple(shape), labels=LABELS if seed % 2 else LABELS[:1])
        for seed, shape in enumerate(shapes)
    ]
    crowds = [scene(seed, count=20 + 3 * seed, shape=(300, 260), largest=0.1) for seed in range(20)]
    return films + crowds


def assert_sound(arrows, deposits, style):
    """One arrow each, no two that meet, none on what another points at."""
    assert sorted(id_ for arrow in arrows for id_ in arrow.ids) == [c.id for c in deposits]
    tips, tails = (np.array([getattr(arrow, end) for arrow in arrows]).reshape(-1, 2) for end in ("tip", "tail"))
    apart = plane.segment_distance(tips, tails, tips=tips, tails=tails)
    assert (apart[~np.eye(len(arrows), dtype=bool)] >= style.head_width_px).all()
    for c in deposits:
        strangers = np.array([c.id not in arrow.ids for arrow in arrows])
        assert not plane.meets(tips, tails, np.array(c.contour), within=0)[strangers].any()


def assert_in_film(box, shape):
    assert min(box.row0, box.col0) >= -SLACK_PX
    assert box.row1 <= shape[0] - 1 + SLACK_PX
    assert box.col1 <= shape[1] - 1 + SLACK_PX


def test_every_mark_has_its_arrow_and_no_two_arrows_meet(scenes):
    for film in scenes:
        assert_sound(film.layout.arrows, film.marks, film.style)


def test_arrows_lie_within_the_film_and_are_short(scenes):
    for film in (film for film in scenes if min(film.shape) > ROOMY_PX):
        for arrow in film.layout.arrows:
            assert_in_film(arrow_box(arrow, film.style), film.shape)
            length = np.hypot(*np.subtract(arrow.tip, arrow.tail)) / film.style.arrow_px
            assert 0.5 - SLACK_PX <= length <= 1 + SLACK_PX


def test_tips_touch_a_deposit_from_its_free_side(scenes):
    beside = [0, 0]
    for film in (film for film in scenes if min(film.shape) > ROOMY_PX):
        for arrow in film.layout.arrows:
            mine = [c for c in film.marks if c.id in arrow.ids]
            free = tip_distance(arrow, mine) <= film.style.outline_px + SLACK_PX
            beside[free and not any(lies_on(arrow, c) for c in mine)] += 1
    # Where a deposit fills the film from edge to edge, no side is free.
    assert beside[False] <= 0.02 * sum(beside)


def test_letters_are_upright_and_within_the_film_and_stand_for_each_labelled_kind(scenes):
    for film in scenes:
        letters = film.layout.letters
        assert sorted(k for text in letters for k in text.ids) == [c.id for c in film.deposits if c.label in LETTERS]
        for text in letters if min(film.shape) > ROOMY_PX else ():
            assert text.box.row1 - text.box.row0 == pytest.approx(text.size_px)
            assert text.box.col1 - text.box.col0 >= text.size_px
            assert_in_film(text.box, film.shape)


def test_notice_and_scale_lie_within_the_film(scenes):
    for film in scenes:
        assert film.layout.notice.text == NOTICE
        if min(film.shape) > ROOMY_PX:
            assert_in_film(film.layout.notice.box, film.shape)
        if film.layout.scale:
            assert_in_film(film.layout.scale.bar, film.shape)


def test_layout_depends_on_places_and_labels_alone(scenes):
    for film in scenes[::10]:
        copies = [dataclasses.replace(c, score=0.5, zone="elsewhere") for c in film.deposits]
        again = lay_out(copies, shape=film.shape, style=film.style, notice=NOTICE, scale=(0.2 * film.shape[1], "50 mm"))
        assert again == film.layout


@pytest.mark.parametrize("shape", [(200, 300), (30, 30), (4000, 3000)])
@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_deposits_in_the_corners_have_sound_arrows_within_the_film(shape, corner):
    middle = np.array(corner) * (np.array(shape) - 1)
    inwards = np.sign(np.array(shape) / 2 - middle)
    deposits = [blot(k + 1, middle + 0.04 * k * min(shape) * inwards, 3, shape=shape, seed=k) for k in range(4)]
    arrows = lay_out(deposits, shape=shape).arrows
    assert_sound(arrows, deposits, style_for(shape))
    for arrow in arrows:
        assert_in_film(arrow_box(arrow, style_for(shape)), shape)
