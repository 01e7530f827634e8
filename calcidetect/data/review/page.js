// The reading page: joins the viewer, the session with the server, the lists and the keys.

import * as api from "./api.js";
import { byId, make, refill, roving } from "./dom.js";
import { actionOf, keyWords } from "./keys.js";
import { filmRow, listedFilms, markName, markRow, regionWords, shortName, showDetails } from "./panels.js";
import { Session } from "./session.js";
import { Viewer } from "./viewer.js";
import { KINDS, SPACINGS, unusual } from "./words.js";

const STEP_PX = 8; // that an arrow key moves the cross, of the screen
const FAR_PX = 40; // the same with Shift, and what an arrow key pans
const WINDOW_STEP = 0.03; // of the film's range that an arrow key moves the window
const ZOOM_STEP = 1.25;
const BONE_PX = 1024; // the mask is smooth: more would cost memory alone
const NOTES = {
  arrow: "Click the place that the new arrow shall point at.",
  outline: "Drag around the place, or click corners; the first corner, a double click or Enter twice closes it.",
  measure: "Drag along a length, or click its two ends. Esc removes the lengths.",
  move: "Click where the mark belongs.",
};
const TOOL_OF = { arrow: "draw_arrow", outline: "draw_outline" };

const query = new URLSearchParams(location.search);
const stage = byId("stage");
const viewer = new Viewer(stage, { renderer: query.has("canvas") ? "canvas" : "auto" });
const session = new Session();

// --- films

const rows = new Map(); // of the list, by film

function filmRowOf(entry) {
  const row = filmRow(entry, { current: entry === session.entry, open: () => openFilm(entry.id) });
  rows.get(entry)?.replaceWith(row);
  rows.set(entry, row);
  return row;
}

// One row alone: a run may have ten thousand.
function showEntry(entry) {
  const row = rows.get(entry);
  if (!row?.isConnected) return;
  const focused = row.contains(document.activeElement);
  const made = filmRowOf(entry);
  if (focused) made.querySelector("button").focus({ preventScroll: true });
}

function countFilms(shown) {
  const done = session.run.films.filter((entry) => entry.reviewed).length;
  byId("films-count").textContent = `${shown} of ${session.run.films.length} shown, ${done} reviewed`;
}

function showFilms() {
  if (!session.run) return;
  const films = listedFilms(session.run.films, {
    filter: byId("films-filter").value,
    which: byId("films-which").value,
  });
  rows.clear();
  refill(byId("films-list"), ...films.map(filmRowOf));
  countFilms(films.length);
  if (!films.includes(session.entry)) byId("films-list").querySelector("button")?.setAttribute("tabindex", "0");
}

function stepFilm(step) {
  const films = listedFilms(session.run.films, {
    filter: byId("films-filter").value,
    which: byId("films-which").value,
  });
  const at = films.indexOf(session.entry);
  const next = films[at < 0 ? 0 : at + step];
  if (next) openFilm(next.id);
  else say(step > 0 ? "This is the last film." : "This is the first film.");
}

function openFilm(id) {
  flushComments();
  return session.queue.then(() => session.open(id));
}

async function showFilm() {
  const { entry } = session;
  history.replaceState(null, "", `#film-${entry.id}`);
  clearTrouble();
  byId("film-name").textContent = [shortName(entry.film), regionWords(entry), ...unusual(entry.flags)].join(" · ");
  document.title = `${shortName(entry.film)} · calcidetect`;
  byId("spacing").textContent = spacingWords(entry);
  setTool("window");
  showEntry(showFilm.last);
  showEntry(entry);
  showFilm.last = entry;
  byId("films-list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  if (entry.status !== "ok") {
    viewer.clear();
    trouble("film", `${shortName(entry.film)} was not scanned. ${entry.error}`, []);
    return showMarks();
  }
  await viewer.showFilm(source(entry));
}

function source(entry) {
  const note = entry.spacing_source === "detector" ? " (detector)" : "";
  return {
    rows: entry.rows,
    cols: entry.cols,
    spacing: { mm: entry.spacing_mm, note },
    load: (level) => api.pixels(entry.id, level),
  };
}

function spacingWords(entry) {
  if (!entry.spacing_mm) return "no pixel spacing: lengths in pixels";
  return `${entry.spacing_mm.toPrecision(3)} mm a pixel, ${SPACINGS[entry.spacing_source] ?? entry.spacing_source}`;
}

// --- marks

function showMarks() {
  const marks = session.shown;
  viewer.setMarks(marks.map(onFilm), session.chosen);
  const current = marks.some((mark) => mark.id === session.chosen);
  refill(
    byId("marks-list"),
    ...marks.map((mark, k) =>
      markRow(mark, {
        current: mark.id === session.chosen,
        reachable: !current && k === 0,
        choose: () => choose(mark.id),
      }),
    ),
  );
  byId("marks-list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  byId("marks-title").textContent = session.state ? `Marks: ${marks.length}` : "Marks";
  showMark();
  byId("threshold-value").textContent = session.threshold.toFixed(2);
  byId("threshold").value = session.threshold;
  press("reviewed", Boolean(session.state?.reviewed));
  const comment = byId("film-comment");
  if (comment !== document.activeElement) comment.value = session.state?.comment ?? "";
  for (const [name, possible] of [
    ["undo", "can_undo"],
    ["redo", "can_redo"],
  ])
    button(name).disabled = !session.state?.[possible];
  for (const control of [button("reviewed"), comment, byId("threshold"), byId("other-kinds")])
    control.disabled = !session.state;
}

// What is typed on a mark stays, and stays that mark's, whatever happens meanwhile.
function showMark() {
  const details = byId("details");
  if (details.contains(document.activeElement) && typing()) return;
  const { mark } = session;
  const actOn = (action, value) => act(action, value, mark);
  showDetails(details, mark, { labels: session.run?.labels ?? [], act: actOn });
  details.dataset.comment = mark?.comment ?? "";
}

function onFilm(mark) {
  const { id, label, state, tag } = mark;
  return { id, label, state, tag, x: mark.col, y: mark.row, contour: mark.contour, outlined: mark.own };
}

function choose(id) {
  flushComments();
  session.choose(id);
  const { mark } = session;
  if (mark) viewer.reveal(mark.col, mark.row);
  if (mark) tell(`${markName(mark)}, ${KINDS[mark.label]}, ${mark.zone}`);
}

// --- decisions

const PAST = {
  accept: "accepted",
  reject: "rejected",
  reopen: "undecided again",
  remove: "removed",
  move: "moved",
  relabel: "relabelled",
};

// A decision on the chosen mark.
function act(action, value, mark = session.mark) {
  if (!mark) return say("Choose a mark first.");
  if (action === "move") return setTool("move");
  if (action === "remove" && !mark.own) return say("Only own marks can be removed; reject this one.");
  const told = action === "relabel" ? { label: value } : action === "comment" ? { text: value } : {};
  return decide({ action, mark: mark.id, ...told }, pastWords(mark, action, value)).then((kept) => {
    const settled = action === "accept" || action === "reject";
    if (kept && settled && session.chosen === mark.id && !typing()) session.step(1, { open: true });
  });
}

function pastWords(mark, action, value) {
  if (action === "comment") return `comment on ${markName(mark)}: “${value}”`;
  return `${markName(mark)} ${PAST[action]}${action === "relabel" ? ` as ${KINDS[value]}` : ""}`;
}

function decide(decision, words) {
  if (!session.state) return Promise.resolve(false);
  return session.decide(decision, words);
}

// Text that is typed is kept when its field is left; also when a film or a mark is left by a key.
function flushComments() {
  const field = document.activeElement;
  if (field?.tagName === "TEXTAREA") field.blur();
}

function place({ tool, x, y, contour }) {
  setTool("window");
  decide(
    { action: TOOL_OF[tool], label: "calcification", ...(contour ? { contour } : { row: y, col: x }) },
    `new ${tool} drawn`,
  ).then((kept) => {
    if (kept) session.choose(session.marks.filter((mark) => mark.own).at(-1)?.id ?? null);
  });
}

function moveTo({ id, x, y }) {
  setTool("window");
  const mark = session.marks.find((item) => item.id === id);
  if (mark)
    decide({ action: "move", mark: id, row: y, col: x }, `${markName(mark)} moved`).then((kept) => kept || showMarks());
}

// --- what the page says

// For screen readers alone.
function tell(words) {
  byId("status").textContent = words;
}

function say(words) {
  tell(words);
  const note = byId("note");
  note.textContent = words;
  note.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => noteTool(), 4000);
}

function noteTool() {
  byId("note").textContent = NOTES[viewer.tool] ?? "";
  byId("note").hidden = !NOTES[viewer.tool];
}

function trouble(key, text, offers) {
  clearTrouble(key);
  const buttons = offers.map(([words, choice]) =>
    make("button", { type: "button", onclick: () => (clearTrouble(key), choice()) }, words),
  );
  byId("trouble").append(make("div", { "data-trouble": key }, make("p", {}, text), ...buttons));
}

function clearTrouble(key) {
  for (const shown of byId("trouble").querySelectorAll(key ? `[data-trouble="${key}"]` : "[data-trouble]"))
    shown.remove();
}

function showView() {
  if (!viewer.film || !viewer.levels.some(Boolean)) return void (byId("view").textContent = "");
  const [low, high] = viewer.window.map((value) => viewer.signal(value));
  byId("view").textContent =
    `window ${number(low)} to ${number(high)} · zoom ${Math.round(100 * viewer.scale * viewer.ratio)} %`;
  const named = Object.entries(viewer.windows).find(([, window]) =>
    window.every((value, k) => value === viewer.window[k]),
  );
  byId("preset").value = named?.[0] ?? "";
  press("invert", viewer.inverted);
  press("marks", viewer.marksShown);
  press("bone", viewer.boneShown);
  for (const tool of document.querySelectorAll("[data-tool]"))
    tool.setAttribute("aria-pressed", String(tool.dataset.tool === viewer.tool));
}

function number(value) {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function showCursor(place) {
  const text =
    place && place.value !== null
      ? `row ${place.y.toFixed(0)}, column ${place.x.toFixed(0)}: ${number(viewer.signal(place.value))}`
      : "";
  byId("cursor").textContent = text;
}

// --- tools and keys

function button(name) {
  return document.querySelector(`[data-do="${name}"]`);
}

function press(name, pressed) {
  button(name).setAttribute("aria-pressed", String(pressed));
}

function setTool(tool) {
  viewer.setTool(tool);
  noteTool();
  showView();
}

// Fetched, not followed: what goes wrong is then told on the page.
async function save(event) {
  event.preventDefault();
  const path = event.currentTarget.getAttribute("href");
  byId("exports").open = false;
  flushComments();
  await session.queue;
  try {
    const { name, address } = await api.exported(path);
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    say(`${name} is saved among the downloads.`);
  } catch (error) {
    trouble("export", `Nothing exported. ${error.message}`, [["Dismiss", () => {}]]);
  }
}

async function toggleBone() {
  const { entry } = session;
  viewer.show({ bone: !viewer.boneShown });
  showView();
  if (!viewer.boneShown || viewer.mask || entry?.status !== "ok") return;
  say("Bone is being looked up …");
  try {
    const mask = await api.bone(entry.id, BONE_PX);
    if (session.entry !== entry) return;
    viewer.setMask(mask);
    say("Blue is what was taken for bone.");
  } catch (error) {
    viewer.show({ bone: false });
    showView();
    trouble("bone", `Bone can't be shown. ${error.message}`, [
      ["Try again", toggleBone],
      ["Dismiss", () => {}],
    ]);
  }
}

function cancel() {
  byId("exports").open = false;
  if (document.activeElement !== stage) stage.focus();
  if (viewer.cancel()) return;
  if (viewer.placing) setTool("window");
  else viewer.clearMeasures();
}

function reviewed() {
  if (!session.state) return;
  const done = !session.state.reviewed;
  decide({ action: "reviewed", reviewed: done }, done ? "film is reviewed" : "film is to be reviewed again");
}

function later(action) {
  const possible = session.state?.[`can_${action}`];
  return possible
    ? decide({ action }, action === "undo" ? "last decision taken back" : "decision made again")
    : say(`Nothing to ${action}.`);
}

function focus(id) {
  const field = typeof id === "string" ? byId(id) : id;
  if (field && !field.disabled) field.focus();
}

function allKinds(shown) {
  session.allKinds = shown;
  byId("other-kinds").checked = shown;
  showMarks();
}

const DO = {
  "film-after": () => stepFilm(1),
  "film-before": () => stepFilm(-1),
  filter: () => focus("films-filter"),
  reviewed,
  "mark-after": () => stepMark(1),
  "mark-before": () => stepMark(-1),
  accept: () => act("accept"),
  reject: () => act("reject"),
  reopen: () => act("reopen"),
  remove: () => act("remove"),
  move: () => act("move"),
  label: () => (session.mark ? focus(byId("details").querySelector("select")) : say("Choose a mark first.")),
  comment: () => focus(byId("details").querySelector("textarea") ?? "film-comment"),
  threshold: () => focus("threshold"),
  kinds: () => allKinds(!session.allKinds),
  point: () => viewer.placing && viewer.placeCross(),
  cancel,
  undo: () => later("undo"),
  redo: () => later("redo"),
  invert: () => viewer.invert(),
  fit: () => viewer.fit(),
  actual: () => viewer.actual(),
  "zoom-in": () => zoom(ZOOM_STEP),
  "zoom-out": () => zoom(1 / ZOOM_STEP),
  bare: () => viewer.show({ bare: true }),
  marks: () => (viewer.show({ marks: !viewer.marksShown }), showView()),
  bone: toggleBone,
  help: () => byId("help").showModal(),
};
const ON_FILM = new Set(["invert", "fit", "actual", "zoom-in", "zoom-out", "bare", "marks", "bone", "point", "cancel"]);

function perform(action) {
  if (ON_FILM.has(action) && !viewer.film) return;
  const [kind, name] = action.split(/-(.*)/);
  if (kind === "tool") setTool(name);
  else if (kind === "preset") viewer.preset(name);
  else DO[action]();
}

// Towards the chosen mark, as the keys have no pointer.
function zoom(factor) {
  const { mark } = session;
  const at = mark && viewer.toScreen(mark.col, mark.row);
  viewer.zoomTo(viewer.scale * factor, at && viewer.isInside(at) ? at : undefined);
}

function stepMark(step) {
  session.step(step);
  if (session.chosen !== null) choose(session.chosen);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Arrow keys belong to the film where nothing else wants them.
function arrowKey(event) {
  const way = ARROWS[event.key];
  const free = event.target === stage || event.target === document.body;
  if (!way || !free || !viewer.film || event.ctrlKey || event.altKey) return false;
  const [x, y] = way;
  if (viewer.placing) viewer.moveCross(...way.map((share) => share * (event.shiftKey ? FAR_PX : STEP_PX)));
  else if (event.shiftKey) viewer.shiftWindow(x * WINDOW_STEP, -y * WINDOW_STEP);
  else viewer.panBy(-x * FAR_PX, -y * FAR_PX);
  return true;
}

function keyDown(event) {
  if (byId("help").open) return;
  const action = actionOf(event, { singleKeys: byId("single-keys").checked });
  if (action && !(event.repeat && action === "bare")) perform(action);
  if (action || arrowKey(event)) event.preventDefault();
}

// --- together

function listen() {
  session.addEventListener("films", showFilms);
  session.addEventListener("entry", ({ detail }) => (showEntry(detail), countFilms(rows.size)));
  session.addEventListener("film", showFilm);
  session.addEventListener("marks", showMarks);
  session.addEventListener("trouble", ({ detail }) => trouble("decision", detail.text, detail.offers));
  session.addEventListener("fine", () => clearTrouble("decision"));
  session.addEventListener("done", ({ detail }) => say(`${detail[0].toUpperCase()}${detail.slice(1)}.`));
  session.addEventListener("insist", () => say("First say above what shall become of the decision that is not saved."));
  viewer.addEventListener("select", ({ detail }) => choose(detail.id));
  viewer.addEventListener("place", ({ detail }) => place(detail));
  viewer.addEventListener("move", ({ detail }) => moveTo(detail));
  viewer.addEventListener("measure", ({ detail }) => say(detail.text));
  viewer.addEventListener("view", showView);
  viewer.addEventListener("cursor", ({ detail }) => showCursor(detail));
  viewer.addEventListener("trouble", ({ detail }) =>
    trouble("film", `The film can't be shown. ${detail.error.message}`, [["Try again", () => viewer.retry()]]),
  );
  document.addEventListener("keydown", keyDown);
  document.addEventListener("keyup", (event) => event.key.toLowerCase() === "h" && viewer.show({ bare: false }));
  addEventListener("blur", () => viewer.show({ bare: false }));
  addEventListener("beforeunload", (event) => (session.unsaved || typing()) && event.preventDefault());
}

function typing() {
  const field = document.activeElement;
  const kept = field?.id === "film-comment" ? session.state?.comment : byId("details").dataset.comment;
  return field?.tagName === "TEXTAREA" && field.value !== (kept ?? "");
}

function controls() {
  for (const item of document.querySelectorAll("[data-do]"))
    item.addEventListener("click", () => perform(item.dataset.do));
  for (const item of document.querySelectorAll("[data-tool]"))
    item.addEventListener("click", () => setTool(item.dataset.tool));
  byId("preset").addEventListener("change", ({ target }) => viewer.preset(target.value));
  byId("threshold").addEventListener(
    "input",
    ({ target }) => ((session.threshold = Number(target.value)), showMarks()),
  );
  byId("other-kinds").addEventListener("change", ({ target }) => allKinds(target.checked));
  byId("film-comment").addEventListener("change", ({ target }) =>
    decide({ action: "comment", text: target.value }, `comment on the film: “${target.value}”`),
  );
  for (const name of ["films-filter", "films-which"]) byId(name).addEventListener("input", showFilms);
  byId("help-open").addEventListener("click", DO.help);
  document.addEventListener(
    "pointerdown",
    ({ target }) => target.closest("#exports") || (byId("exports").open = false),
  );
  const bare = byId("bare");
  bare.addEventListener(
    "pointerdown",
    (event) => (bare.setPointerCapture(event.pointerId), viewer.show({ bare: true })),
  );
  for (const name of ["pointerup", "pointercancel", "blur"])
    bare.addEventListener(name, () => viewer.show({ bare: false }));
  bare.addEventListener("keydown", (event) => event.key === " " && viewer.show({ bare: true }));
  bare.addEventListener("keyup", () => viewer.show({ bare: false }));
  for (const link of byId("exports").querySelectorAll("a")) link.addEventListener("click", save);
  roving(byId("films-list"));
  roving(byId("marks-list"));
}

function fillHelp() {
  const groups = keyWords().map(([name, keys]) => {
    const lines = keys.map(([key, words]) =>
      make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, words)),
    );
    return make("section", {}, name ? make("h3", {}, name) : null, make("dl", {}, ...lines));
  });
  byId("help-keys").append(...groups);
}

async function start() {
  try {
    await session.start();
  } catch (error) {
    return trouble("run", error.message, [["Try again", start]]);
  }
  const wanted = Number(/^#film-(\d+)$/.exec(location.hash)?.[1]);
  const { films, min_score: least, min_score_help: help } = session.run;
  byId("threshold").min = least;
  byId("threshold-help").textContent = help;
  byId("threshold-help").hidden = !help;
  const first = films.find((entry) => entry.id === wanted) ?? films.find((entry) => entry.status === "ok") ?? films[0];
  if (first) await openFilm(first.id);
  else trouble("run", "This folder holds no film; scan some into it first.", []);
}

listen();
controls();
fillHelp();
setTool("window");
showMarks();
start();
