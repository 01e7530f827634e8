"""The reading page in a real browser: Debian's Chromium, driven as a reader would with mouse, keys and fingers."""

import csv
import queue
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from calcidetect.candidates.score import OWN_TABLES
from calcidetect.cli import main
from calcidetect.review.run_folder import RunFolder
from calcidetect.review.server import serve
from calcidetect.trees import load_tables

SAMPLES = Path(__file__).parents[1] / "sample_images"
PATIENCE_S = 20
NAMELESS = """
const named = (control) => control.textContent.trim() || control.ariaLabel || control.labels?.length ||
  control.hasAttribute("aria-labelledby");
return [...document.querySelectorAll("button, select, input, textarea")].filter((control) => !named(control))
  .map((control) => control.outerHTML);
"""
CONTRASTS = """
const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const colour = (text) => text.match(/[\\d.]+/g).map(Number);
function ground(item) {
  const here = item ? colour(getComputedStyle(item).backgroundColor) : [0, 0, 0];
  return here.length < 4 || here[3] > 0.9 ? here : ground(item.parentElement);
}
const shown = (item) => item.checkVisibility() && item.textContent.trim() && !item.closest("#stage");
return [...document.querySelectorAll("p, h1, h2, h3, h4, span, dt, dd, button:not(:disabled), label")].filter(shown)
  .map((item) => {
    const lights = [light(colour(getComputedStyle(item).color)), light(ground(item))].sort((a, b) => b - a);
    return [(lights[0] + 0.05) / (lights[1] + 0.05), item.outerHTML.slice(0, 80)];
  });
"""
READER = "Dr. Test"


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A run of one film with marks, one that can't be read, and a second film without any mark."""
    folder = tmp_path_factory.mktemp("review")
    films = folder / "films"
    films.mkdir()
    shutil.copy(SAMPLES / "shoulder_01.dcm", films / "a_shoulder.dcm")
    (films / "b_broken.png").write_bytes(b"no picture")
    flat = np.tile(np.linspace(20, 60, 300, dtype=np.uint8), (200, 1))
    cv2.imwrite(str(films / "c_empty.png"), flat)
    main(["scan", str(films), "--out", str(folder / "run"), "--min-score", "0.05", "--format", "bone"])
    return folder


@pytest.fixture(scope="module")
def folder(scanned):
    return scanned / "run"


@pytest.fixture(scope="module")
def address(folder):
    """Of the page, served by a thread."""
    addresses, stop = queue.Queue(), threading.Event()
    options = {"reader": READER, "stop": stop, "opened": addresses.put}
    thread = threading.Thread(target=serve, args=(RunFolder(folder),), kwargs=options)
    thread.start()
    yield addresses.get(timeout=PATIENCE_S)
    stop.set()
    thread.join()


def started(folder):
    """`calcidetect review` in a process of its own, and its address."""
    command = [sys.executable, "-m", "calcidetect", "review", str(folder), "--no-browser", "--reader", READER]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, next(line.strip() for line in iter(process.stdout.readline, "") if line.startswith("http://"))


def killed(process):
    process.kill()
    process.wait()
    process.stdout.close()


class Page:
    """The page as its reader sees it."""

    def __init__(self, driver, address):
        self.driver, self.address = driver, address
        self.expected = ()  # words of console messages that a test provokes

    def open(self, more=""):
        self.driver.get(self.address + more)
        self.wait(lambda: "window" in self.text("#view") and ":" in self.text("#marks-title"))

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css):
        return self.driver.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", css)

    def wait(self, true):
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, "the page does not do what is waited for"
            time.sleep(0.03)

    def says(self, words, css="#status"):
        self.wait(lambda: words in self.text(css))

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def chord(self, *keys):
        *held, key = keys
        actions = ActionChains(self.driver)
        for other in held:
            actions.key_down(other)
        actions.send_keys(key)
        for other in held:
            actions.key_up(other)
        actions.perform()

    def at(self, x, y):
        """The pointer's way to a place of the stage, from its middle."""
        return ActionChains(self.driver, duration=0).move_to_element_with_offset(self.find("#stage"), x, y)

    def drag(self, *places):
        actions = self.at(*places[0]).click_and_hold()
        for x, y in places[1:]:
            actions.move_to_element_with_offset(self.find("#stage"), x, y)
        actions.release().perform()

    def picture(self):
        """The stage in greys, float (rows, cols)."""
        png = np.frombuffer(self.find("#stage").screenshot_as_png, np.uint8)
        return cv2.imdecode(png, cv2.IMREAD_GRAYSCALE).astype(float)

    def press(self, words, css="#trouble button"):
        next(button for button in self.all(css) if button.text == words).click()

    def rows(self):
        return self._marks("ariaLabel")

    def states(self):
        return self._marks("dataset.state")

    def _marks(self, what):
        return self.driver.execute_script(
            f"return [...document.querySelectorAll('#marks-list button')].map((row) => row.{what})"
        )

    def resize(self, width, height, *, touch=False):
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch, "maxTouchPoints": 2})


@pytest.fixture
def page(chromium, folder, address):
    for decisions in folder.glob("decisions.sqlite*"):
        decisions.unlink()
    chromium.get_log("browser")  # drops what the page of a server since stopped had to say after its test
    page = Page(chromium, address)
    page.resize(1280, 720)
    page.open()
    yield page
    messages = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    chromium.get("about:blank")
    assert [words for words in messages if not any(part in words for part in page.expected)] == []


def test_page_shows_films_with_status_and_counts(page):
    films = [row.text.splitlines() for row in page.all("#films-list button")]
    assert [film[0] for film in films] == ["a_shoulder.dcm", "b_broken.png", "c_empty.png"]
    assert films[0][1].startswith("shoulder, right · 0 of ")
    assert "b_broken.png" in films[1][2]
    assert "Not for diagnosis" in page.find("#disclaimer").text
    assert page.picture().std() > 20
    assert page.rows()[0].startswith("mark 1, calcification")


def test_filter_lists_what_holds_its_words(page):
    page.find("#films-filter").send_keys("failed")
    assert [row.text.splitlines()[0] for row in page.all("#films-list button")] == ["b_broken.png"]


def test_film_that_was_not_scanned_says_why(page):
    page.keys(Keys.PAGE_DOWN)
    page.says("b_broken.png was not scanned", "#trouble")
    assert page.picture()[60:-60].std() < 1  # nothing is left of the film before
    assert page.rows() == []
    page.keys(Keys.PAGE_UP)
    page.wait(page.rows)
    assert page.text("#trouble") == ""


def test_dragging_changes_the_window(page):
    before, window = page.picture(), page.text("#view")
    page.drag((0, 0), (60, 0), (120, 0))
    page.wait(lambda: page.text("#view") != window)
    assert abs(page.picture() - before).mean() > 5
    assert page.find("#preset").get_attribute("value") == ""
    page.keys("1")
    page.wait(lambda: abs(page.picture() - before).mean() < 4)  # the film has the focus, and its ring, by now


def test_presets_differ_and_inversion_turns_greys_over(page):
    views = set()
    for key in "1234":
        page.keys(key)
        views.add(page.text("#view"))
    assert len(views) == 4
    page.keys("1s")
    before = page.picture()
    page.keys("i")
    page.wait(lambda: page.find("[data-do=invert]").get_attribute("aria-pressed") == "true")
    rows, cols = before.shape
    middle = (slice(rows // 3, 2 * rows // 3), slice(cols // 3, 2 * cols // 3))
    assert abs(page.picture()[middle] + before[middle] - 255).mean() < 2


def place_under_pointer(page):
    return [int(word.strip(",:")) for word in page.text("#cursor").split() if word.strip(",:").isdecimal()][:2]


def test_wheel_zooms_to_the_cursor(page):
    page.at(100, -80).perform()
    before, zoom = place_under_pointer(page), page.text("#view")
    origin = webdriver.common.actions.wheel_input.ScrollOrigin.from_element(page.find("#stage"), 100, -80)
    ActionChains(page.driver).scroll_from_origin(origin, 0, -600).perform()
    page.wait(lambda: page.text("#view") != zoom)
    page.at(101, -80).perform()
    page.at(100, -80).perform()
    assert np.allclose(place_under_pointer(page), before, atol=2)


def test_two_fingers_zoom(page):
    page.resize(820, 1180, touch=True)
    page.keys("f")
    zoom = page.text("#view")
    box = page.find("#stage").rect
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def touch(kind, *offsets):
        points = [{"x": x + offset, "y": y, "id": k} for k, offset in enumerate(offsets)]
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -40, 40)
    for spread in (60, 80, 100):
        touch("touchMove", -spread, spread)
    touch("touchEnd")
    page.wait(lambda: page.text("#view") != zoom)
    percent = [int(text.split("zoom ")[1].split()[0]) for text in (zoom, page.text("#view"))]
    assert percent[1] > 2 * percent[0]


def test_accept_and_reject_go_on_to_the_next_mark_and_outlast_a_reload(page):
    page.keys("j", "a")
    page.says("Mark 1 accepted")
    page.keys("r")
    page.says("Mark 2 rejected")
    assert page.states()[:3] == ["accepted", "rejected", "undecided"]
    page.driver.refresh()
    page.wait(lambda: page.states()[:3] == ["accepted", "rejected", "undecided"])
    assert "2 of" in page.text("#films-list [aria-current]")


DECIDED_WHILE_ANOTHER_FILM_OPENS = """
const [say] = arguments;
(async () => {
  const { Session } = await import(new URL("static/session.js", location.href));
  const session = new Session();
  await session.start();
  const [first, , other] = session.run.films;
  await session.open(first.id);
  session.decide({ action: "accept", mark: 1 }, "mark 1 accepted");
  const opened = session.queue.then(() => session.open(other.id));
  await session.decide({ action: "reject", mark: 1 }, "mark 1 rejected");
  await opened;
  const rejected = session.entry === other && session.unsaved === null;
  await session.open(first.id);
  say([rejected, session.marks.find((mark) => mark.id === 1).state, other.decided]);
})();
"""


def test_decision_made_while_another_film_opens_is_kept_on_the_film_that_was_seen(page):
    page.driver.set_script_timeout(PATIENCE_S)
    assert page.driver.execute_async_script(DECIDED_WHILE_ANOTHER_FILM_OPENS) == [True, "rejected", 0]


IN_WORDS = """
const [names, say] = arguments;
import(new URL("static/words.js", location.href)).then(({ feature }) => say(names.map(feature)));
"""


def test_every_feature_that_scores_rest_on_has_words(page):
    names = sorted({name for tables in ("score", *OWN_TABLES.values()) for name in load_tables(tables).names})
    page.driver.set_script_timeout(PATIENCE_S)
    words = page.driver.execute_async_script(IN_WORDS, names)
    assert [name for name, said in zip(names, words, strict=True) if said == name.replace("_", " ")] == []


def test_undo_and_redo(page):
    page.keys("ja")
    page.says("Mark 1 accepted")
    page.chord(Keys.CONTROL, "z")
    page.wait(lambda: page.states()[0] == "undecided")
    page.chord(Keys.CONTROL, "y")
    page.wait(lambda: page.states()[0] == "accepted")
    page.find("[data-do=undo]").click()
    page.wait(lambda: page.states()[0] == "undecided")


def test_relabel_gives_a_letter(page):
    page.keys("j")
    page.find("#details select").send_keys("vascular")
    page.says("relabelled as vascular calcification")
    assert "vascular calcification" in page.rows()[0]
    assert "V" in [text.text for text in page.all("#stage [data-mark] text")]


def test_drawn_arrow_and_outline_are_own_marks_that_can_be_removed(page):
    page.keys("n")
    page.at(30, 60).click().perform()
    page.says("New arrow drawn")
    page.keys("o")
    page.drag((-60, 40), (-30, 40), (-30, 70), (-60, 70))
    page.says("New outline drawn")
    own = [row for row in page.rows() if row.startswith("own mark")]
    assert len(own) == 2
    assert "mm" in own[1]
    assert page.text("#details-title").startswith("Own mark +2")
    page.keys(Keys.DELETE)
    page.says("removed")
    assert len([row for row in page.rows() if row.startswith("own mark")]) == 1


def test_chosen_mark_is_dragged_elsewhere(page):
    page.keys("j")
    mark = page.find("#stage [data-mark='1'] polygon")
    before = mark.rect
    actions = ActionChains(page.driver, duration=0).move_to_element(mark).click_and_hold()
    actions.move_by_offset(10, 5).move_by_offset(20, 15).release().perform()
    page.says("Mark 1 moved")
    after = page.find("#stage [data-mark='1'] polygon").rect
    assert (after["x"], after["y"]) != (before["x"], before["y"])
    assert page.states()[0] == "accepted"


def test_comments_are_kept_when_their_field_is_left(page):
    page.keys("j", "c", "near the tendon", Keys.ESCAPE)
    page.says("Comment on mark 1: “near the tendon”")
    page.find("#film-comment").send_keys("rotated", Keys.ESCAPE)
    page.says("Comment on the film: “rotated”")
    page.driver.refresh()
    page.wait(lambda: page.find("#film-comment").get_attribute("value") == "rotated")


def test_what_is_typed_while_a_decision_is_under_way_stays(page):
    page.keys("ja", "c", "held text", Keys.ESCAPE)
    page.says("“held text”")
    assert page.states()[0] == "accepted"


def test_threshold_shows_fainter_candidates_which_can_be_decided_on(page):
    before = len(page.rows())
    page.keys("t", *[Keys.ARROW_LEFT] * 60)
    page.wait(lambda: len(page.rows()) > before)
    page.keys(Keys.ESCAPE, "k", "r")
    page.wait(lambda: "rejected" in page.states())


def test_bone_and_film_alone(page):
    plain = page.picture()
    page.keys("b")
    page.says("Blue is what was taken for bone")
    page.wait(lambda: abs(page.picture() - plain).mean() > 1)
    page.keys("b")
    page.driver.execute_script("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'h'}))")
    page.wait(lambda: not page.find("#stage svg").is_displayed())
    page.driver.execute_script("document.dispatchEvent(new KeyboardEvent('keyup', {key: 'h'}))")
    page.wait(lambda: page.find("#stage svg").is_displayed())


def test_lengths_state_where_their_spacing_is_from(page):
    page.keys("m")
    page.drag((-50, 0), (0, 0), (50, 0))
    page.says(" mm")
    assert "0.200 mm a pixel, pixel spacing of the file" in page.text("#spacing")
    page.keys(Keys.PAGE_DOWN)
    page.keys(Keys.PAGE_DOWN)
    page.says("no pixel spacing", "#spacing")
    page.wait(lambda: "window" in page.text("#view"))
    page.keys("m")
    page.drag((-50, 0), (0, 0), (50, 0))
    page.says(" px")


def test_keyboard_alone_draws_measures_and_finishes_a_film(page):
    page.keys("n", Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ENTER)
    page.says("New arrow drawn")
    page.keys("o")
    for corner in (Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT):
        page.keys(*[corner] * 4, Keys.ENTER)
    page.keys(Keys.ENTER)
    page.says("New outline drawn")
    page.keys("m", Keys.ENTER, Keys.ENTER, Keys.ARROW_RIGHT, Keys.ENTER)
    page.says(" mm")
    page.keys("d")
    page.says("Film is reviewed")
    page.keys("?")
    page.wait(lambda: page.find("#help").is_displayed())
    assert "back to undecided" in page.find("#help").text
    page.keys(Keys.ESCAPE)
    page.wait(lambda: not page.find("#help").is_displayed())


def test_tab_key_reaches_every_part_and_each_control_has_a_name(page):
    stops = set()
    for _ in range(60):
        page.keys(Keys.TAB)
        stops.add(page.driver.execute_script("return document.activeElement.closest('[id]')?.id"))
    assert {"films-filter", "films-list", "tools", "stage", "marks-list", "threshold", "film-comment"} <= stops
    assert page.driver.execute_script(NAMELESS) == []


def test_second_tab_that_decided_meanwhile_is_told_and_nothing_is_lost(page):
    page.expected = ("409",)
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.open()
    page.keys("ja")
    page.says("Mark 1 accepted")
    page.driver.close()
    page.driver.switch_to.window(first)
    page.keys("jjr")
    page.says("Not kept: mark 2 rejected", "#trouble")
    assert page.states()[:2] == ["accepted", "undecided"]
    page.press("Do it now")
    page.wait(lambda: page.states()[:2] == ["accepted", "rejected"])
    assert page.text("#trouble") == ""


def test_killed_server_loses_nothing_silently(page, folder):
    page.expected = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    process, page.address = started(folder)
    page.open()
    page.keys("ja")
    page.says("Mark 1 accepted")
    killed(process)
    page.keys("r")
    page.says("Not saved: mark 2 rejected", "#trouble")
    page.keys("a")
    page.says("First say above")
    page.press("Discard")
    process, page.address = started(folder)
    page.open()
    assert page.states()[:2] == ["accepted", "undecided"]
    killed(process)


def test_film_that_vanished_can_be_asked_for_again(page, scanned):
    page.expected = ("status of 422",)
    film = scanned / "films" / "c_empty.png"
    hidden = film.rename(film.with_suffix(".away"))
    try:
        page.find("#films-list li:nth-child(3) button").click()
        page.says("is not there any more", "#trouble")
    finally:
        hidden.rename(film)
    page.press("Try again")
    page.wait(lambda: "window" in page.text("#view"))
    assert page.text("#trouble") == ""


def test_run_folder_that_vanished_is_told_of(page, folder):
    page.expected = ("status of 503",)
    hidden = folder.rename(folder.with_name("away"))
    page.keys("ja")
    page.says("Not saved: mark 1 accepted", "#trouble")
    hidden.rename(folder)
    page.press("Try again")
    page.wait(lambda: page.states()[0] == "accepted")


def test_export_downloads_the_decisions(page, tmp_path):
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.keys("ja")
    page.says("Mark 1 accepted")
    page.find("#exports summary").click()
    page.find("#exports a[href$=csv]").click()
    page.wait(lambda: list(tmp_path.glob("*.csv")))
    with next(tmp_path.glob("*.csv")).open(encoding="utf-8", newline="") as file:
        assert READER in next(row for row in csv.DictReader(file) if "accepted" in row.values()).values()


def test_export_that_can_not_be_made_says_why(page):
    page.expected = ("status of 4", "status of 5")
    page.find("#exports summary").click()
    page.find("#exports a[href$=sr]").click()  # no film is reviewed yet
    page.says("Nothing exported.", "#trouble")
    page.press("Dismiss")
    assert page.text("#trouble") == ""


def test_canvas_shows_what_the_graphics_card_shows(page):
    page.keys("s")
    drawn = page.picture()
    assert page.driver.execute_script("return Boolean(document.querySelector('#stage canvas').getContext('webgl2'))")
    page.open("?canvas")
    page.keys("s")
    assert page.driver.execute_script("return Boolean(document.querySelector('#stage canvas').getContext('2d'))")
    assert abs(page.picture() - drawn).mean() < 3


def test_lost_graphics_context_comes_back(page):
    before = page.picture()
    page.driver.execute_script(
        "window.loss = document.querySelector('#stage canvas').getContext('webgl2').getExtension('WEBGL_lose_context');"
        "window.loss.loseContext(); setTimeout(() => window.loss.restoreContext(), 100)"
    )
    time.sleep(0.3)
    page.wait(lambda: abs(page.picture() - before).mean() < 1)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (820, 1180)])
def test_page_fits_without_scrolling_sideways(page, width, height):
    page.resize(width, height)
    page.keys("j")
    page.wait(lambda: page.text("#details-title").startswith("Mark 1"))
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    for part in ("#work", "#films", "#tools", "#head"):
        wide, room = (page.find(part).get_property(name) for name in ("scrollWidth", "clientWidth"))
        assert wide <= room, part
    assert page.find("#disclaimer").is_displayed()
    assert page.find("#stage").rect["height"] > 0.35 * height


def test_text_has_the_contrast_of_wcag_aa(page):
    page.keys("j")
    ratios = page.driver.execute_script(CONTRASTS)
    assert len(ratios) > 50
    assert [words for ratio, words in ratios if ratio < 4.5] == []
