// The keys of the page: one table for what they do and for the help that shows them.

const TEXTS = new Set(["INPUT", "TEXTAREA", "SELECT"]);

// Groups of [keys, words, action]; keys as `event.key`, with Ctrl+ and Shift+ before it.
export const KEYS = [
  [
    "Films",
    [
      ["PageDown", "next film", "film-after"],
      ["PageUp", "film before", "film-before"],
      ["/", "look for a film", "filter"],
      ["d", "film is reviewed, or not yet", "reviewed"],
    ],
  ],
  [
    "Marks",
    [
      ["j", "next mark", "mark-after"],
      ["k", "mark before", "mark-before"],
      ["a", "accept", "accept"],
      ["r", "reject", "reject"],
      ["u", "back to undecided", "reopen"],
      ["l", "choose its kind", "label"],
      ["v", "move: then click, or arrow keys and Enter", "move"],
      ["c", "comment", "comment"],
      ["Delete", "remove an own mark", "remove"],
      ["t", "score from which marks are shown", "threshold"],
      ["g", "other kinds, too", "kinds"],
    ],
  ],
  [
    "Drawing",
    [
      ["n", "new arrow", "tool-arrow"],
      ["o", "new outline", "tool-outline"],
      ["m", "measure", "tool-measure"],
      ["Enter", "set a point at the cross", "point"],
      ["Escape", "leave what is half drawn; back to the film", "cancel"],
      ["Ctrl+z", "undo", "undo"],
      ["Ctrl+y", "redo", "redo"],
    ],
  ],
  [
    "Film",
    [
      ["w", "dragging windows", "tool-window"],
      ["p", "dragging pans", "tool-pan"],
      ["1", "window: auto", "preset-auto"],
      ["2", "window: full", "preset-full"],
      ["3", "window: soft tissue", "preset-soft"],
      ["4", "window: bone", "preset-bone"],
      ["i", "black for white", "invert"],
      ["f", "whole film", "fit"],
      ["z", "one to one", "actual"],
      ["+", "zoom in", "zoom-in"],
      ["-", "zoom out", "zoom-out"],
      ["h", "film alone, while held down", "bare"],
      ["s", "marks on, off", "marks"],
      ["b", "bone on, off", "bone"],
    ],
  ],
  ["", [["?", "these keys", "help"]]],
];
const WORDLESS = [
  ["Arrows", "pan; while drawing, move the cross (Shift: farther)"],
  ["Shift+Arrows", "window: wider, narrower, brighter, darker"],
];
const SYNONYMS = {
  "Ctrl+Z": "Ctrl+y",
  "Ctrl+Shift+Z": "Ctrl+y",
  "Ctrl+Shift+z": "Ctrl+y",
  "=": "+",
  Backspace: "Delete",
  "]": "PageDown",
  "[": "PageUp",
};
const SHOWN = { PageDown: "Page Down", PageUp: "Page Up", Escape: "Esc", "Ctrl+z": "Ctrl Z", "Ctrl+y": "Ctrl Y" };
const ACTIONS = new Map(KEYS.flatMap(([, keys]) => keys.map(([key, , action]) => [key, action])));

export function keyWords() {
  const groups = KEYS.map(([name, keys]) => [name, keys.map(([key, words]) => [SHOWN[key] ?? key, words])]);
  groups.find(([name]) => name === "Film")[1].push(...WORDLESS);
  return groups;
}

// The action that a key stands for, null for none. In text fields letters are text; on buttons Enter presses them.
export function actionOf(event, { singleKeys }) {
  const target = event.target;
  const typing = TEXTS.has(target.tagName) && !["range", "checkbox"].includes(target.type);
  if (event.altKey || event.isComposing) return null;
  if (event.key === "Escape") return "cancel";
  if (typing) return null;
  const control = event.ctrlKey || event.metaKey;
  const key = control ? `Ctrl+${event.key}` : event.key;
  if (!control && key.length === 1 && !singleKeys && key !== "?") return null;
  if (key === "Enter" && target.id !== "stage" && target !== document.body) return null;
  return ACTIONS.get(SYNONYMS[key] ?? key) ?? null;
}
