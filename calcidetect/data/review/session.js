// The films of a run and what the reader decides on them, in step with the server. Events: "films", "film" (another is
// open), "entry" (a film's counts), "marks", "trouble" ({ text, offers }), "fine", "done" (words on what was kept), "insist".

import * as api from "./api.js";

const ALWAYS = new Set(["calcification", "tracheal"]); // kinds that are shown without being asked for

export class Session extends EventTarget {
  constructor() {
    super();
    Object.assign(this, { run: null, entry: null, state: null, chosen: null, threshold: 0, allKinds: false });
    Object.assign(this, { unsaved: null, queue: Promise.resolve() });
  }

  async start() {
    this.run = await api.run();
    this.threshold = this.run.operating_point;
    this.tell("films");
  }

  // Opens a film; false where something is not saved yet, or it can't be had.
  async open(id) {
    if (this.unsaved) return this._insist();
    const entry = this.run.films.find((film) => film.id === id);
    if (!entry) return false;
    Object.assign(this, { entry, state: null, chosen: null });
    this.tell("film");
    if (entry.status !== "ok") return true;
    return this.reload();
  }

  // Asks for the state of a film, as another page may have decided on it.
  async reload(film = this.entry) {
    try {
      this._take(film, await api.film(film.id));
      return true;
    } catch (error) {
      if (this.entry === film) this._trouble(error.message, [["Try again", () => this.reload(film)]]);
      return false;
    }
  }

  // All marks, those of the program that nobody decided on included; `shown` are those that the reader asked to see.
  get marks() {
    if (!this.state) return [];
    const { marks, candidates } = this.state;
    const known = new Set(marks.map((mark) => mark.id));
    const why = new Map(candidates.map((item) => [item.id, item.reasons]));
    const rest = candidates
      .filter((item) => !known.has(item.id))
      .map((item) => ({ ...item, state: "undecided", origin: item.id }));
    let unnumbered = 0;
    return [...marks, ...rest].map((mark) => ({
      ...mark,
      own: mark.origin === "reader",
      tag: mark.id > 0 ? `${mark.id}` : `+${++unnumbered}`,
      reasons: why.get(mark.origin),
    }));
  }

  get shown() {
    return this.marks.filter((mark) => this._isShown(mark)).sort((a, b) => (b.score ?? -1) - (a.score ?? -1));
  }

  _isShown(mark) {
    if (mark.own || mark.state !== "undecided" || mark.comment || mark.id === this.chosen) return true;
    if (mark.label === "tracheal") return true;
    return mark.score >= this.threshold && (this.allKinds || ALWAYS.has(mark.label));
  }

  get mark() {
    return this.marks.find((mark) => mark.id === this.chosen) ?? null;
  }

  choose(id) {
    this.chosen = id;
    this.tell("marks");
  }

  // Chooses the mark `step` places farther down the list; with `open`, the next one that is undecided.
  step(step, { open = false } = {}) {
    const list = this.shown;
    if (!list.length) return;
    const at = list.findIndex((mark) => mark.id === this.chosen);
    if (!open)
      return this.choose(list[at < 0 ? (step > 0 ? 0 : list.length - 1) : (at + step + list.length) % list.length].id);
    const next = [...list.slice(at + 1), ...list.slice(0, Math.max(at, 0))].find((mark) => mark.state === "undecided");
    if (next) this.choose(next.id);
  }

  // Keeps a decision on the film that the reader saw; true once it is on the server's disk. `words` say what it was.
  decide(decision, words, film = this.entry) {
    const turn = this.queue.then(() => this._send(film, decision, words));
    this.queue = turn.catch(() => {});
    return turn;
  }

  async _send(film, decision, words) {
    if (this.unsaved) return this._insist();
    try {
      this._take(film, await api.decide(film.id, { ...decision, last: film.last }));
      this.tell("fine");
      this.tell("done", words);
      return true;
    } catch (error) {
      await this._failed(error, film, decision, words);
      return false;
    }
  }

  async _failed(error, film, decision, words) {
    this.unsaved = { film, decision, words };
    const again = () => this._again(film, decision, words);
    if (error.kind === "stale") {
      const text = `Another tab has decided on this film meanwhile; it is shown as it is now. Not kept: ${words}.`;
      if (!(await this.reload(film))) return;
      this._trouble(text, [
        ["Do it now", again],
        ["Leave it", () => this.discard()],
      ]);
    } else {
      this._trouble(`Not saved: ${words}. ${error.message}`, [
        ["Try again", again],
        ["Discard", () => this.discard()],
      ]);
    }
  }

  _again(film, decision, words) {
    this.unsaved = null;
    return this.decide(decision, words, film);
  }

  discard() {
    this.unsaved = null;
    this.tell("fine");
    this.tell("marks");
  }

  _insist() {
    this.tell("insist");
    return false;
  }

  // Each film keeps its own newest decision, `last`: another film may be open by the time that an answer comes.
  _take(film, state) {
    const { last, decided, reviewed, n_marks } = state;
    Object.assign(film, { last, decided, reviewed, n_marks });
    this.tell("entry", film);
    if (this.entry !== film) return;
    this.state = state;
    if (this.chosen !== null && !this.mark) this.chosen = null;
    this.tell("marks");
  }

  _trouble(text, offers) {
    this.tell("trouble", { text, offers });
  }

  tell(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
