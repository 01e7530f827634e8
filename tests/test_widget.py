"""A scan in a notebook: what is handed to the browser, and that the browser draws it."""

import base64
import json

import numpy as np
import pytest
from small_scans import COLS, ROWS, small_scan

from calcidetect.review import widget


def test_view_hands_over_pixels_and_marks_without_the_path():
    shown = widget.view(small_scan("films/doe_jane.dcm"))
    (level,) = shown.levels
    pixels = np.frombuffer(level["pixels"], "<u2").reshape(level["rows"], level["cols"])
    assert pixels.shape == (ROWS, COLS)
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 65535)
    assert [(mark["id"], mark["label"]) for mark in shown.marks] == [(1, "calcification"), (2, "tracheal")]
    assert shown.marks[0]["title"].startswith("mark 1 · candidate calcification · left, lateral · 3.9 mm")
    words = json.dumps([shown.film, shown.marks])
    assert "doe" not in words
    assert repr(shown) == "<ScanView: 2 marks>"


def test_film_without_spacing_states_no_millimetres():
    assert widget.view(small_scan(spacing_mm=None)).film["spacing"]["mm"] is None


def test_viewer_is_one_module():
    text = widget.module()
    assert "\nimport " not in text
    assert text.count("export ") == 1


DRAW = """
const [text, state, done] = arguments;
const bytes = (coded) => new DataView(Uint8Array.from(atob(coded), (c) => c.charCodeAt(0)).buffer);
for (const level of state.levels) level.pixels = bytes(level.pixels);
state.bone = bytes(state.bone);
const nothing = () => {};
const set = (name, value) => { state[name] = value; };
const model = { get: (name) => state[name], set, save_changes: nothing, on: nothing, off: nothing };
const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
import(address).then(({ default: { render } }) => {
  document.body.replaceChildren();
  render({ model, el: document.body });
  const count = () => document.querySelectorAll("[data-mark]").length;
  const shown = () => (count() ? done(count()) : setTimeout(shown, 20));
  shown();
}, (error) => done(String(error)));
"""


def test_browser_draws_a_cell_and_tells_which_mark_was_clicked(chromium):
    scan = widget.view(small_scan())

    def coded(data):
        return base64.b64encode(data).decode()

    state = {name: getattr(scan, name) for name in ("film", "marks", "chosen", "height")}
    state["levels"] = [level | {"pixels": coded(level["pixels"])} for level in scan.levels]
    state["bone"] = coded(scan.bone)
    chromium.get("about:blank")
    chromium.set_script_timeout(20)
    assert chromium.execute_async_script(DRAW, widget.module(), state) == 2
    chromium.find_element("css selector", "[data-mark='1'] polygon").click()
    assert "mark 1" in chromium.find_element("css selector", "small").text
    assert "not for diagnosis" in chromium.find_element("css selector", "small").text


@pytest.mark.parametrize("height", [300, 700])
def test_height_of_the_cell_is_the_users(height):
    assert widget.view(small_scan(), height=height).height == height
