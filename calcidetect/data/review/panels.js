// The lists beside the film: films, marks, and all that is known of the chosen mark.

import { make, refill } from "./dom.js";
import { FLAGS, KINDS, STATES, feature, plain } from "./words.js";

const SIDES = { R: "right", L: "left", B: "both sides" };
const MARKS = { undecided: "", accepted: "✓", rejected: "✕" };

// --- films

export function regionWords(entry) {
  const side = SIDES[entry.laterality];
  const region = entry.region === "other" || !entry.region ? "film" : entry.region;
  return side ? `${region}, ${side}` : region;
}

export function shortName(path) {
  return path.split(/[\\/]/).at(-1);
}

function progress(entry) {
  if (entry.status !== "ok") return "failed";
  if (entry.reviewed) return "reviewed";
  if (!entry.n_marks) return "no mark";
  return `${entry.decided} of ${entry.n_marks} decided`;
}

function holds(entry, words) {
  const text = [
    entry.film,
    regionWords(entry),
    entry.status,
    entry.error ?? "",
    ...(entry.flags ?? []).flatMap((flag) => [flag, plain(flag)]),
  ];
  return words.every((word) => text.join(" ").toLowerCase().includes(word));
}

const WHICH = {
  "": () => true,
  open: (entry) => entry.status === "ok" && !entry.reviewed,
  done: (entry) => Boolean(entry.reviewed),
  marked: (entry) => entry.n_marks > 0,
  failed: (entry) => entry.status !== "ok",
};

export function listedFilms(films, { filter, which }) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return films.filter((entry) => WHICH[which](entry) && holds(entry, words));
}

export function filmRow(entry, { current, open }) {
  const failed = entry.status !== "ok";
  const state = failed ? "failed" : entry.reviewed ? "done" : "open";
  const button = make(
    "button",
    {
      type: "button",
      "data-key": `film-${entry.id}`,
      "data-state": state,
      title: entry.film,
      tabindex: current ? 0 : -1,
      "aria-current": current && "true",
      onclick: open,
    },
    make("span", { class: "name" }, shortName(entry.film)),
    make("span", { class: "quiet" }, `${regionWords(entry)} · ${progress(entry)}`),
    failed ? make("span", { class: "bad" }, entry.error) : null,
  );
  return make("li", {}, button);
}

// --- marks

export function sizeWords(mark) {
  if (mark.diameter_mm === null || mark.diameter_mm === undefined) return mark.own ? "" : "size unknown";
  return `${mark.diameter_mm.toFixed(1)} mm`;
}

export function markName(mark) {
  return mark.own ? `own mark ${mark.tag}` : `mark ${mark.tag}`;
}

export function markRow(mark, { current, reachable, choose }) {
  const told = [markName(mark), KINDS[mark.label] ?? mark.label, mark.zone, sizeWords(mark), STATES[mark.state]];
  if (!mark.own) told.push(`score ${mark.score.toFixed(2)}`);
  const button = make(
    "button",
    {
      type: "button",
      "data-key": `mark-${mark.id}`,
      "data-state": mark.state,
      tabindex: current || reachable ? 0 : -1,
      "aria-current": current && "true",
      "aria-label": told.filter(Boolean).join(", "),
      onclick: choose,
    },
    make("span", { class: "tag" }, mark.tag),
    make(
      "span",
      { class: "what" },
      KINDS[mark.label] ?? mark.label,
      make("span", { class: "quiet" }, [mark.zone, sizeWords(mark)].filter(Boolean).join(" · ")),
    ),
    make("span", { class: "score" }, mark.own ? "own" : mark.score.toFixed(2)),
    make("span", { class: "state" }, MARKS[mark.state]),
  );
  return make("li", {}, button);
}

// --- the chosen mark

export function showDetails(host, mark, { labels, act }) {
  if (!mark) {
    return refill(
      host,
      make("h3", { id: "details-title", class: "quiet" }, "No mark chosen"),
      make("p", { class: "quiet" }, "Click one on the film or in the list; j and k go through them."),
    );
  }
  refill(
    host,
    make("h3", { id: "details-title" }, title(mark)),
    decisionButtons(mark, act),
    labelLine(mark, labels, act),
    facts(mark),
    commentLine(mark, act),
    reasons(mark),
  );
}

function title(mark) {
  const name = markName(mark);
  return [name[0].toUpperCase() + name.slice(1), mark.zone].filter(Boolean).join(" · ");
}

function decisionButtons(mark, act) {
  const button = (action, words, pressed, keys) =>
    make(
      "button",
      {
        type: "button",
        class: action,
        "data-key": action,
        "aria-pressed": pressed === undefined ? null : String(pressed),
        title: `${words} (${keys})`,
        onclick: () => act(action),
      },
      words,
    );
  const buttons = [
    button("accept", "Accept", mark.state === "accepted", "a"),
    button("reject", "Reject", mark.state === "rejected", "r"),
    button("move", "Move", undefined, "v"),
  ];
  if (mark.own) buttons.push(button("remove", "Remove", undefined, "Delete"));
  else if (mark.state !== "undecided") buttons.push(button("reopen", "Undecided", undefined, "u"));
  return make("div", { class: "decisions", role: "group", "aria-label": "Decision" }, ...buttons);
}

function labelLine(mark, labels, act) {
  const options = labels.map((name) =>
    make("option", { value: name, selected: name === mark.label }, KINDS[name] ?? name),
  );
  return make(
    "label",
    { class: "line" },
    "Kind",
    make("select", { "data-key": "relabel", onchange: (event) => act("relabel", event.target.value) }, ...options),
  );
}

function facts(mark) {
  const pairs = [
    ["Score", mark.own ? "" : mark.score.toFixed(2)],
    [
      "Size",
      mark.diameter_mm === null || mark.diameter_mm === undefined
        ? ""
        : `${mark.diameter_mm.toFixed(1)} mm across, ${mark.area_mm2.toFixed(1)} mm²`,
    ],
    [
      "Contrast",
      typeof mark.contrast_bone === "number" ? `${mark.contrast_bone.toFixed(2)} of the film's bone contrast` : "",
    ],
    ["To bone", distance(mark)],
    ["Looks", mark.look ?? ""],
    ["Notes", (mark.flags ?? []).map((flag) => FLAGS[flag] ?? plain(flag)).join(", ")],
    ["Decided", mark.author ? `${mark.author}, ${new Date(mark.time).toLocaleString()}` : ""],
  ];
  return make(
    "dl",
    {},
    ...pairs.filter((pair) => pair[1]).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]),
  );
}

function distance(mark) {
  if (mark.bone_distance_mm === null || mark.bone_distance_mm === undefined) return "";
  return mark.bone_distance_mm ? `${mark.bone_distance_mm.toFixed(1)} mm` : "touches it";
}

function commentLine(mark, act) {
  const text = make("textarea", {
    rows: 2,
    maxlength: 2000,
    "data-key": "comment",
    onchange: (event) => act("comment", event.target.value),
  });
  text.value = mark.comment ?? "";
  return make("label", { class: "line wide" }, "Comment on this mark", text);
}

// What moved the score: to the right towards calcification, to the left away from it.
function reasons(mark) {
  if (!mark.reasons?.length) return null;
  const most = Math.max(...mark.reasons.map((reason) => Math.abs(reason[1])));
  const lines = mark.reasons.map(([name, weight]) => {
    const way = weight > 0 ? "for" : "against";
    const bar = make("span", { class: "sides", "data-way": way }, make("span", {}));
    bar.firstChild.style.width = `${(50 * Math.abs(weight)) / most}%`;
    const words = make("span", { class: "reason" }, feature(name), make("span", { class: "unseen" }, `, ${way}`));
    return make("li", { title: `${name} ${weight > 0 ? "+" : "−"}${Math.abs(weight).toFixed(2)}` }, words, bar);
  });
  return make(
    "section",
    { class: "reasons" },
    make("h4", {}, "Why this score"),
    make("p", { class: "quiet axis" }, make("span", {}, "against"), make("span", {}, "for")),
    make("ul", {}, ...lines),
  );
}
