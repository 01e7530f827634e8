// A film with its marks that can be windowed, zoomed, measured and drawn on; for the reading page and for notebooks.
//
// Places are (x, y) in pixels of the film, pixel centres at integers. It talks by events: "select", "place", "move",
// "measure", "view", "cursor", "trouble".

import { ARROW_PX, MarkLayer, TAG_PX, element, outwardDirections } from "./mark_layer.js";
import { CanvasPainter, painterFor } from "./painters.js";
import { Gestures } from "./gestures.js";

const CLOSE_PX = 12; // an outline is closed by a point this near to its start
const LEAST_LENGTH_PX = 4; // of the screen: what is shorter was no measuring
const MOST_SCALE = 32; // screen pixels per film pixel
const SLOW_MS = 55; // from frames slower than this on, the film is drawn coarser while it moves
const REST_MS = 160; // after this it counts as at rest, and is drawn fine again
const LEAST_WIDTH = 64; // of a window, of 65536 values
const MOST_VALUE = 65535;
const SURE_PX = 768; // a level of at least this longer side is there, before a film has told how many it has
const PATIENCE_MS = 3000; // for a graphics card to come back

// Presets from the film's own greys: soft tissue is the darker part of what was exposed, bone the brighter.
const PARTS = { soft: [0.03, 0.75], bone: [0.45, 0.998] };

function presetWindows(pixels, auto) {
  const counts = new Uint32Array(MOST_VALUE + 1);
  for (const value of pixels) counts[value]++;
  // The ends hold padding and shutters, too.
  const total = pixels.length - counts[0] - counts[MOST_VALUE];
  const quantile = (share) => {
    for (let value = 1, seen = 0; value < MOST_VALUE; value++) {
      seen += counts[value];
      if (seen >= share * total) return value;
    }
    return MOST_VALUE;
  };
  const windows = { auto: ordered(auto), full: [0, MOST_VALUE] };
  for (const [name, shares] of Object.entries(PARTS)) windows[name] = ordered(shares.map(quantile));
  return windows;
}

function ordered([low, high]) {
  return high > low ? [low, high] : [low, low + 1];
}

const POINTED = new Set(["arrow", "outline", "measure", "move"]);

export class Viewer extends EventTarget {
  // host: an empty element with a size. renderer: "canvas" leaves the graphics card alone.
  constructor(host, { renderer = "auto" } = {}) {
    super();
    this.host = host;
    host.style.position = "relative";
    host.style.overflow = "hidden";
    host.style.touchAction = "none";
    this._newCanvas(renderer);
    this.svg = element("svg", { width: "100%", height: "100%", "aria-hidden": "true" });
    Object.assign(this.svg.style, { position: "absolute", inset: "0", userSelect: "none" });
    host.append(this.svg);
    this.layer = new MarkLayer(this.svg);
    Object.assign(this, {
      film: null,
      levels: [],
      windows: {},
      window: [0, MOST_VALUE],
      inverted: false,
      mask: null,
      range: [0, MOST_VALUE],
    });
    Object.assign(this, { marks: [], ways: [], chosen: null, tool: "window", measures: [], trace: [], cross: null });
    Object.assign(this, { marksShown: true, boneShown: false, bare: false, scale: 1, x: 0, y: 0, fitted: true });
    Object.assign(this, { coarse: false, pace: 0, movedAt: 0 });
    this.gestures = new Gestures(this, host);
    this.sizes = new ResizeObserver(() => this._resized());
    this.sizes.observe(host);
  }

  dispose() {
    this.sizes.disconnect();
    this.painter.forget();
    cancelAnimationFrame(this.frame);
    this.host.replaceChildren();
  }

  // --- what is shown

  // film: rows, cols, spacing ({ mm, note }); load(level) promises { rows, cols, pixels: Uint16Array, levels (how many
  // there are), range ([low, high]: the signal that 0 and 65535 stand for), window ([low, high] of the signal) };
  // level k is 2 ** k times as coarse as the film.
  async showFilm(film) {
    this.clear();
    this.film = film;
    this.levelCount = 1 + Math.max(0, Math.floor(Math.log2(Math.max(film.rows, film.cols) / SURE_PX)));
    this._measureHost();
    this.fit();
    const level = await this._load(this._wanted());
    if (this.film !== film || !level) return;
    this._open(level);
  }

  clear() {
    this.painter.forget();
    Object.assign(this, {
      film: null,
      levels: [],
      pending: new Map(),
      windows: {},
      mask: null,
      measures: [],
      marks: [],
      ways: [],
    });
    Object.assign(this, { inverted: false, range: [0, MOST_VALUE], levelCount: 1, arranged: null });
    this.cancel();
    this.redrawMarks();
    // Never one film's picture under another's name, however long that takes to come.
    this.canvas.style.visibility = "hidden";
    this.layer.draw({ trace: [], measures: [], cross: null });
  }

  // What the first level that comes tells of the film.
  _open({ pixels, levels, range, window }) {
    this.levelCount = levels;
    this.range = range;
    this.windows = presetWindows(
      pixels,
      window.map((signal) => this._stored(signal)),
    );
    this.window = this.windows.auto;
    this._arrangeMarks();
    this._changed();
  }

  // The signal that a stored value stands for, and back.
  signal(value) {
    return this.range[0] + (value / MOST_VALUE) * (this.range[1] - this.range[0]);
  }

  _stored(signal) {
    return ((signal - this.range[0]) / (this.range[1] - this.range[0] || 1)) * MOST_VALUE;
  }

  setMask(image) {
    this.mask = image;
    this.invalidate();
  }

  // marks: as `mark_layer.js` describes them.
  setMarks(marks, chosen) {
    this.marks = marks;
    this.chosen = chosen;
    this._arrangeMarks();
  }

  select(id) {
    this.chosen = id;
    this.redrawMarks();
  }

  show({ marks = this.marksShown, bone = this.boneShown, bare = this.bare }) {
    Object.assign(this, { marksShown: marks, boneShown: bone, bare });
    this.redrawMarks();
  }

  // --- window and place

  setWindow(window) {
    this.window = ordered(window);
    this._changed();
  }

  preset(name) {
    if (this.windows[name]) this.setWindow(this.windows[name]);
  }

  // wider and brighter: shares of the film's own range.
  shiftWindow(wider, brighter) {
    const [low, high] = this.window;
    const width = Math.max(LEAST_WIDTH, high - low + wider * MOST_VALUE);
    const middle = (low + high) / 2 - brighter * MOST_VALUE;
    this.setWindow([middle - width / 2, middle + width / 2]);
  }

  invert() {
    this.inverted = !this.inverted;
    this._changed();
  }

  fit() {
    const { rows, cols } = this.film;
    this.scale = this._fitScale();
    Object.assign(this, { x: (cols - 1) / 2, y: (rows - 1) / 2, fitted: true });
    this._changed();
  }

  // One pixel of the film on one of the screen.
  actual() {
    this.zoomTo(1 / this.ratio);
  }

  zoomTo(scale, at = [this.width / 2, this.height / 2]) {
    const [x, y] = this.toFilm(...at);
    this.scale = Math.min(MOST_SCALE, Math.max(this._fitScale() / 2, scale));
    this.x = x - (at[0] - this.width / 2) / this.scale;
    this.y = y - (at[1] - this.height / 2) / this.scale;
    this._moved();
  }

  panBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this._moved();
  }

  // Brings a place into view where it isn't, leaving room for its arrow.
  reveal(x, y) {
    const [sx, sy] = this.toScreen(x, y);
    const room = ARROW_PX + 24;
    if (sx > room && sy > room && sx < this.width - room && sy < this.height - room) return;
    if (this.fitted) return;
    Object.assign(this, { x, y });
    this._moved();
  }

  _moved() {
    this.fitted = false;
    this.x = Math.min(this.film.cols, Math.max(0, this.x));
    this.y = Math.min(this.film.rows, Math.max(0, this.y));
    this._changed();
  }

  _changed() {
    this.movedAt = performance.now();
    this.invalidate();
    this.tell("view");
  }

  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (y - this.y) * this.scale + this.height / 2];
  }

  toFilm(sx, sy) {
    return [(sx - this.width / 2) / this.scale + this.x, (sy - this.height / 2) / this.scale + this.y];
  }

  isInside([sx, sy]) {
    return sx >= 0 && sy >= 0 && sx <= this.width && sy <= this.height;
  }

  // The film's value at a place, from the finest level at hand.
  valueAt(x, y) {
    const level = this.levels.find(Boolean);
    if (!level || !this.film) return null;
    const col = Math.floor(((x + 0.5) * level.cols) / this.film.cols);
    const row = Math.floor(((y + 0.5) * level.rows) / this.film.rows);
    const inside = col >= 0 && row >= 0 && col < level.cols && row < level.rows;
    return inside ? level.pixels[row * level.cols + col] : null;
  }

  // --- tools

  // tool: window, pan, or what takes points: arrow, outline, measure, move (of the chosen mark).
  setTool(tool) {
    this.cancel();
    this.tool = tool;
    this.host.style.cursor = POINTED.has(tool) ? "crosshair" : tool === "pan" ? "grab" : "default";
    this.tell("view");
  }

  choose(id) {
    this.select(id);
    this.tell("select", { id });
  }

  get placing() {
    return POINTED.has(this.tool);
  }

  // Leaves what is half drawn; false where there was nothing.
  cancel() {
    const busy = this.trace.length > 0 || this.cross !== null;
    Object.assign(this, { trace: [], cross: null });
    this.invalidate();
    return busy;
  }

  clearMeasures() {
    this.measures = [];
    this.invalidate();
  }

  // Moves the cross that stands for the pointer where there is none; by pixels of the screen.
  moveCross(dx, dy) {
    if (!this.cross) {
      const mark = this.tool === "move" && this.marks.find((item) => item.id === this.chosen);
      this.cross = mark ? [mark.x, mark.y] : [this.x, this.y];
    }
    const [sx, sy] = this.toScreen(...this.cross);
    const inside = (value, most) => Math.min(most, Math.max(0, value));
    this.cross = this.toFilm(inside(sx + dx, this.width), inside(sy + dy, this.height));
    this.tellCursor(this.cross);
    this.invalidate();
  }

  // Takes the cross as a click; twice at one place closes an outline.
  placeCross() {
    if (!this.cross) return this.moveCross(0, 0);
    const last = this.trace.at(-1);
    const again = last && Math.hypot(last[0] - this.cross[0], last[1] - this.cross[1]) * this.scale < 1;
    return again && this.tool === "outline" ? this.closeOutline() : this.point([...this.cross]);
  }

  closeOutline() {
    const contour = this.trace;
    this.trace = [];
    this.cross = null;
    if (contour.length > 2)
      this.tell("place", { tool: "outline", contour: contour.map((point) => this._onFilm(point)) });
    this.invalidate();
  }

  point(point) {
    const [x, y] = this._onFilm(point);
    if (this.tool === "arrow") {
      this.cancel();
      this.tell("place", { tool: "arrow", x, y });
    } else if (this.tool === "move") {
      this.cancel();
      if (this.chosen !== null) this.moveMark(this.chosen, [x, y]);
    } else if (this.tool === "measure") {
      this.trace.push([x, y]);
      if (this.trace.length === 2) this.measure(...this.trace);
    } else if (this._closes(point)) {
      this.closeOutline();
    } else {
      this.trace.push([x, y]);
    }
    this.invalidate();
  }

  _closes(point) {
    if (this.trace.length < 3) return false;
    const [start, here] = [this.trace[0], point].map((place) => this.toScreen(...place));
    return Math.hypot(start[0] - here[0], start[1] - here[1]) < CLOSE_PX;
  }

  // Draws along with a pointer that is held down.
  extend(point) {
    this.trace.push(this._onFilm(point));
    this.invalidate();
  }

  moveMark(id, point) {
    const [x, y] = this._onFilm(point);
    this.tell("move", { id, x, y });
  }

  measure(start, end) {
    const [from, to] = [start, end].map((point) => this._onFilm(point));
    this.trace = [];
    this.cross = null;
    this.invalidate();
    if (Math.hypot(to[0] - from[0], to[1] - from[1]) * this.scale < LEAST_LENGTH_PX) return;
    this.measures.push({ from, to });
    this.tell("measure", { text: this.lengthText(from, to) });
  }

  lengthText(from, to) {
    const pixels = Math.hypot(to[0] - from[0], to[1] - from[1]);
    const spacing = this.film.spacing;
    return spacing?.mm ? `${(pixels * spacing.mm).toFixed(1)} mm${spacing.note ?? ""}` : `${pixels.toFixed(0)} px`;
  }

  _onFilm([x, y]) {
    const within = (value, count) => Math.min(count - 1, Math.max(0, value));
    return [within(x, this.film.cols), within(y, this.film.rows)];
  }

  tell(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  tellCursor([x, y]) {
    this.tell("cursor", { x, y, value: this.valueAt(x, y) });
  }

  // --- levels

  _wanted() {
    const perPixel = 1 / (this.scale * this.ratio);
    const level = Math.floor(Math.log2(Math.max(1, perPixel)) + (this.coarse ? 1.2 : 0.3));
    const least = this._leastLevel();
    return Math.min(this.levelCount - 1, Math.max(least, level));
  }

  _leastLevel() {
    let level = 0;
    const fits = (k) => this.painter.fits({ rows: this.film.rows / 2 ** k, cols: this.film.cols / 2 ** k });
    while (level < this.levelCount - 1 && !fits(level)) level++;
    return level;
  }

  // The level itself once it is there. Trouble is told, and the level not asked for again before `retry`.
  async _load(level) {
    const film = this.film;
    if (this.levels[level] || this.pending.has(level)) return this.levels[level] ?? this.pending.get(level);
    const promise = film.load(level).then(
      (loaded) => {
        if (this.film === film) this.levels[level] = loaded;
        this.invalidate();
        return loaded;
      },
      (error) => {
        if (this.film === film) this.tell("trouble", { error });
        return null;
      },
    );
    this.pending.set(level, promise);
    return promise;
  }

  // Asks again for levels that did not come.
  retry() {
    for (const level of this.pending.keys()) if (!this.levels[level]) this.pending.delete(level);
    this.invalidate();
  }

  _nearest(wanted) {
    for (let away = 0; away < this.levels.length; away++) {
      for (const level of [wanted + away, wanted - away]) if (this.levels[level]) return this.levels[level];
    }
    return null;
  }

  // --- frames

  invalidate() {
    this.frame ??= requestAnimationFrame(() => this._paint());
  }

  _paint() {
    this.frame = null;
    if (!this.film || !this.width) return;
    this._pace();
    this._paintFilm();
    const seen = this.marksShown && !this.bare;
    this.layer.onFilm.parentNode.style.display = this.bare ? "none" : "";
    if (seen) this.layer.place((x, y) => this.toScreen(x, y), this.scale);
    this.layer.draw(this._drawing());
  }

  // Without a graphics card a large window takes long: then the film is drawn coarser while it moves. What a frame
  // takes is seen by when the next one is called for.
  _pace() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this._coarsen(false), REST_MS);
    const asked = performance.now();
    if (asked - this.movedAt > REST_MS) return;
    requestAnimationFrame(() => {
      const now = performance.now();
      this.pace = 0.7 * this.pace + 0.3 * (now - asked);
      if (this.pace > SLOW_MS && now - this.movedAt < REST_MS) this._coarsen(true);
    });
  }

  _coarsen(coarse) {
    if (coarse === this.coarse) return;
    this.coarse = coarse;
    this._sizeCanvas();
    this.invalidate();
  }

  _paintFilm() {
    const wanted = this._wanted();
    if (!this.levels[wanted]) this._load(wanted);
    const level = this._nearest(wanted);
    if (!level || this.painter.lost) return;
    if (!this.windows.auto) this._open(level);
    const grain = level.cols / this.film.cols;
    const step = grain / (this.scale * this.canvasRatio);
    const [x, y] = this.toFilm(0, 0);
    this.painter.paint({
      level,
      mask: this.boneShown && !this.bare ? this.mask : null,
      place: { x: (x + 0.5) * grain, y: (y + 0.5) * grain, step },
      window: this.window,
      inverted: this.inverted,
      width: this.canvas.width,
      height: this.canvas.height,
    });
    this.canvas.style.visibility = "visible";
  }

  _drawing() {
    const screen = (point) => this.toScreen(...point);
    const lines = this.measures.map(({ from, to }) => ({
      from: screen(from),
      to: screen(to),
      text: this.lengthText(from, to),
    }));
    const trace = this.trace.map(screen);
    const ahead = this.gestures.ahead?.to ?? (this.trace.length ? this.cross : null);
    if (this.tool === "measure" && ahead) {
      const from = this.gestures.ahead?.from ?? this.trace[0];
      lines.push({ from: screen(from), to: screen(ahead), text: this.lengthText(from, ahead) });
    } else if (ahead && trace.length) {
      trace.push(screen(ahead));
    }
    return { trace, measures: lines, cross: this.cross && screen(this.cross) };
  }

  // Arrows are laid out anew only where marks have come, gone or moved.
  _arrangeMarks() {
    if (!this.film || !this.windows.auto) return;
    const places = this.marks.map((mark) => `${mark.id} ${mark.x} ${mark.y}`).join();
    if (places !== this.arranged) {
      const [low, high] = this.windows.auto;
      const shownAt = (x, y) => Math.min(1, Math.max(0, ((this.valueAt(x, y) ?? high) - low) / (high - low)));
      const arrow = (ARROW_PX + TAG_PX) / this._fitScale();
      this.ways = outwardDirections(this.marks, { shownAt, arrow, rows: this.film.rows, cols: this.film.cols });
      this.arranged = places;
    }
    this.redrawMarks();
  }

  redrawMarks() {
    const arranged = this.ways.length === this.marks.length; // not before the film has come
    const shown = this.marksShown && !this.bare && arranged ? this.marks : [];
    const reach = matchMedia("(pointer: coarse)").matches ? 20 : 13;
    this.layer.show(
      shown.map((mark) => this.gestures.shown(mark)),
      this.ways,
      this.chosen,
      { reach },
    );
    this.invalidate();
  }

  // --- size and loss

  _newCanvas(renderer) {
    this.canvas?.remove();
    this.canvas = document.createElement("canvas");
    Object.assign(this.canvas.style, { position: "absolute", inset: "0", width: "100%", height: "100%" });
    this.host.prepend(this.canvas);
    this.painter = painterFor(this.canvas, renderer);
    if (this.painter.kind === "canvas" && renderer !== "canvas") this._freshCanvas();
    this.canvas.addEventListener("webglcontextlost", (event) => this._lost(event));
    this.canvas.addEventListener("webglcontextrestored", () => this._restored());
  }

  // A canvas that was asked for WebGL in vain may refuse to be drawn on otherwise.
  _freshCanvas() {
    const fresh = this.canvas.cloneNode();
    this.canvas.replaceWith(fresh);
    this.canvas = fresh;
    this.painter = new CanvasPainter(fresh);
  }

  // The graphics card may come back by itself; if it doesn't soon, the film is drawn without.
  _lost(event) {
    event.preventDefault();
    this.patience = setTimeout(() => {
      this._newCanvas("canvas");
      this._sizeCanvas();
      this.invalidate();
    }, PATIENCE_MS);
  }

  _restored() {
    clearTimeout(this.patience);
    this.painter.restore?.(); // unless it was given up
    this.invalidate();
  }

  _resized() {
    const before = this.width;
    this._measureHost();
    if (!this.film || !this.width) return;
    if (this.fitted || !before) this.fit();
    this._sizeCanvas();
    // At once, not with the next frame: a canvas is blank after a change of its size.
    this._paintFilm();
    this._changed();
  }

  _measureHost() {
    this.width = this.host.clientWidth;
    this.height = this.host.clientHeight;
    this.ratio = globalThis.devicePixelRatio || 1;
    this._sizeCanvas();
  }

  _sizeCanvas() {
    this.canvasRatio = this.ratio * (this.coarse ? 0.5 : 1);
    const size = [this.width, this.height].map((length) => Math.max(1, Math.round(length * this.canvasRatio)));
    if (this.canvas.width === size[0] && this.canvas.height === size[1]) return;
    [this.canvas.width, this.canvas.height] = size;
  }

  _fitScale() {
    return Math.max(1e-3, Math.min(this.width / this.film.cols, this.height / this.film.rows)) || 1e-3;
  }
}
