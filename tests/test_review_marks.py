"""Marks of a film are derived from its candidates and all decisions, in their order."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_runs import CANDIDATES

from calcidetect.review.marks import Decision, film_state
from calcidetect.review.requests import Film, Refused, understood

FILM = Film(96, 64, 0.5)
LEAST = 0.65
SQUARE = ((10.0, 20.0), (10.0, 27.0), (15.0, 27.0), (15.0, 20.0), (10.0, 20.0))


class Reader:
    """Decides on the film, as the server would keep it."""

    def __init__(self, candidates=CANDIDATES):
        self.candidates, self.trail = candidates, []

    @property
    def state(self):
        return film_state(self.candidates, self.trail, least=LEAST, shape=(FILM.rows, FILM.cols))

    def decide(self, action, **asked):
        kept, content = understood({"action": action, **asked}, self.state, film=FILM)
        number = len(self.trail) + 1
        time = f"2026-01-01T00:00:{number:02d}+00:00"
        self.trail.append(Decision(sequence=number, film="0", reader="Dr A", time=time, action=kept, content=content))
        return self.state


def _without_counts(state):
    """As text: contrasts of drawn marks are not a number, which equals nothing."""
    return repr(_uncounted(state))


def _uncounted(state):
    return dataclasses.replace(state, last=0, undoable=0, redoable=0)


def test_marks_are_the_candidates_that_reach_the_operating_point():
    assert [(mark.id, mark.state) for mark in Reader().state.marks] == [(1, "undecided"), (2, "undecided")]


def test_of_candidates_in_one_place_the_numbered_one_is_decided_on():
    twin = dataclasses.replace(CANDIDATES[0], id=2)
    state = Reader((CANDIDATES[0], twin)).decide("reject", mark=1)
    assert [(mark.id, mark.state) for mark in state.marks] == [(1, "rejected"), (2, "undecided")]


def test_a_weak_candidate_becomes_a_mark_by_a_decision():
    state = Reader().decide("accept", mark=3)
    assert state.mark(3).state == "accepted"
    assert (state.mark(3).reader, state.mark(3).time) == ("Dr A", "2026-01-01T00:00:01+00:00")


def test_another_label_or_place_takes_the_mark_to_be_there():
    reader = Reader()
    named = reader.decide("relabel", mark=1, label="vascular").mark(1)
    assert (named.state, named.candidate.label, named.original.label) == ("accepted", "vascular", "calcification")
    moved = reader.decide("move", mark=2, row=60.5, col=14.5).mark(2)
    found = moved.candidate
    assert (moved.state, found.row, found.col) == ("accepted", 60.5, 14.5)
    assert (found.x0, found.y0, found.x1, found.y1) == (12, 56, 18, 66)
    back = reader.decide("reopen", mark=2).mark(2)
    assert (back.state, back.candidate) == ("undecided", back.original)


@pytest.mark.parametrize(("row", "col"), [(0, 0), (95.4, 63.4), (-0.5, 63.4)])
def test_a_moved_mark_stays_on_the_film(row, col):
    found = (
        Reader((dataclasses.replace(CANDIDATES[0], contour=SQUARE),))
        .decide("move", mark=1, row=row, col=col)
        .mark(1)
        .candidate
    )
    assert (found.row, found.col) == (row, col)
    assert 0 <= found.x0 < found.x1 <= FILM.cols
    assert 0 <= found.y0 < found.y1 <= FILM.rows
    assert all(-0.5 <= r <= FILM.rows - 0.5 and -0.5 <= c <= FILM.cols - 0.5 for r, c in found.contour)


def test_a_mark_that_was_moved_to_the_edge_and_back_is_whole_again():
    reader = Reader((dataclasses.replace(CANDIDATES[0], contour=SQUARE),))
    reader.decide("relabel", mark=1, label="vascular")
    reader.decide("move", mark=1, row=95, col=0)
    back = reader.decide("move", mark=1, row=CANDIDATES[0].row, col=CANDIDATES[0].col).mark(1)
    assert dataclasses.replace(back.candidate, label=back.original.label) == back.original
    assert back.candidate.label == "vascular"


def test_an_outline_has_the_area_and_centre_of_its_polygon():
    state = Reader().decide("draw_outline", contour=[[10, 20], [20, 20], [20, 24], [10, 24]])
    drawn = state.marks[-1]
    assert (drawn.id, drawn.origin, drawn.state) == (-1, "reader", "accepted")
    assert (drawn.candidate.row, drawn.candidate.col, drawn.candidate.area_px) == (22.0, 15.0, 40.0)
    assert drawn.candidate.area_mm2 == 10.0
    assert (drawn.candidate.x0, drawn.candidate.y0, drawn.candidate.x1, drawn.candidate.y1) == (10, 20, 21, 25)


def test_a_drawn_arrow_can_be_removed_and_a_candidate_only_rejected():
    reader = Reader()
    reader.decide("draw_arrow", row=0, col=63)
    assert reader.state.mark(-1).candidate.x1 == 64  # the box ends with the film
    assert reader.decide("remove", mark=-1).mark(-1) is None
    with pytest.raises(Refused, match="reject this one instead"):
        reader.decide("remove", mark=1)


def test_decisions_stay_with_their_place_when_another_scan_numbers_candidates_anew():
    reader = Reader()
    reader.decide("reject", mark=1)
    reader.decide("accept", mark=2)
    first, second, third = CANDIDATES
    reader.candidates = (dataclasses.replace(second, id=1), third)  # the first is not found any more
    state = reader.state
    assert (state.mark(1).state, state.mark(1).candidate.row) == ("accepted", second.row)
    gone = state.mark(-1)
    assert (gone.state, gone.origin, gone.candidate.row) == ("rejected", "earlier", first.row)
    assert reader.decide("accept", mark=-1).mark(-1).state == "accepted"
    assert len(reader.state.marks) == 2


_STEP = st.one_of(
    st.tuples(st.sampled_from(["accept", "reject", "reopen"]), st.integers(0, 4)),
    st.tuples(st.sampled_from(["relabel", "move", "comment", "remove"]), st.integers(0, 4)),
    st.tuples(st.sampled_from(["draw_arrow", "draw_outline", "reviewed", "undo", "redo"]), st.just(0)),
)
_TOLD = {
    "relabel": {"label": "sesamoid"},
    "move": {"row": 30, "col": 30},
    "comment": {"text": "why"},
    "draw_arrow": {"row": 5, "col": 6},
    "draw_outline": {"contour": [[1, 1], [9, 1], [9, 9]]},
}


def _follow(reader, steps):
    """Take the steps that make sense; the state after each."""
    states = [reader.state]
    for action, which in steps:
        marks = reader.state.marks
        about = {"mark": marks[which % len(marks)].id} if marks and action in _ON_MARKS else {}
        try:
            states.append(reader.decide(action, **about, **_TOLD.get(action, {})))
        except Refused:
            continue
    return states


_ON_MARKS = {"accept", "reject", "reopen", "relabel", "move", "comment", "remove"}


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, max_size=20))
def test_undoing_everything_gives_the_start_and_redoing_the_end(steps):
    reader = Reader()
    states = _follow(reader, steps)
    start, end, taken = states[0], reader.state, 0
    while reader.state.undoable:
        reader.decide("undo")
        taken += 1
    assert _without_counts(reader.state) == _without_counts(start)
    for _ in range(taken):
        reader.decide("redo")
    assert _without_counts(reader.state) == _without_counts(end)


@settings(max_examples=40, deadline=None)
@given(st.lists(_STEP, min_size=1, max_size=12))
def test_a_state_is_the_same_however_often_it_is_derived_and_a_new_decision_ends_what_can_be_redone(steps):
    reader = Reader()
    _follow(reader, steps)
    assert repr(reader.state) == repr(reader.state)
    assert reader.decide("comment", text="new").redoable == 0


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("accept", "JSON object"),
        ({"action": "diagnose"}, "JSON object with an action"),
        ({"action": "accept", "mark": 99}, "has no mark 99"),
        ({"action": "accept", "mark": "1; drop"}, "has no mark"),
        ({"action": "accept", "mark": True}, "has no mark"),
        ({"action": "accept"}, "has no mark None"),
        ({"action": "relabel", "mark": 1, "label": "cancer"}, "no label 'cancer'"),
        ({"action": "relabel", "mark": 1, "label": []}, "no label"),
        ({"action": "draw_arrow", "row": 96, "col": 3}, "outside the film of 96 x 64"),
        ({"action": "draw_arrow", "row": float("nan"), "col": 3}, "two numbers"),
        ({"action": "draw_arrow", "row": 10**400, "col": 3}, "two numbers"),
        ({"action": "move", "mark": 1, "row": None, "col": 3}, "two numbers"),
        ({"action": "draw_outline", "contour": [[0, 0], [5, 5]]}, "3 to 2000 corners"),
        ({"action": "draw_outline", "contour": [[0, 0]] * 2001}, "3 to 2000 corners"),
        ({"action": "draw_outline", "contour": "abcd"}, "list of 3"),
        ({"action": "draw_outline", "contour": [[0, 0], [5, 5], [9]]}, "pair"),
        ({"action": "draw_outline", "contour": [[0, 0], [5, 5], [9, 9]]}, "less than half a pixel"),
        ({"action": "comment", "text": "x" * 2001}, "at most 2000 characters"),
        ({"action": "comment", "text": None}, "a text"),
        ({"action": "reviewed", "reviewed": "yes"}, "true or false"),
        ({"action": "undo"}, "nothing to undo"),
        ({"action": "redo"}, "nothing to do again"),
    ],
)
def test_nonsense_is_refused_in_plain_words(asked, reason):
    with pytest.raises(Refused, match=reason):
        understood(asked, Reader().state, film=FILM)
