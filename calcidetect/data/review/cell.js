// The viewer in a cell of a notebook, as anywidget wants it. `calcidetect.review.widget` puts it into one module with
// what it imports.

import { Viewer } from "./viewer.js";

const WINDOWS = { auto: "auto", full: "full", soft: "soft tissue", bone: "bone" };
const NOTICE = "Candidates for a human reader; not for diagnosis.";

function make(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Binary traits come as DataView, somewhere within a larger buffer.
function bytes(view) {
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}

function source(model) {
  const { rows, cols, range, window, spacing } = model.get("film");
  const levels = model.get("levels");
  const load = async (k) => ({
    ...levels[k],
    pixels: new Uint16Array(bytes(levels[k].pixels)),
    levels: levels.length,
    range,
    window,
  });
  return { rows, cols, spacing, load };
}

function bar(viewer) {
  const button = (words, act) => make("button", { type: "button", textContent: words, onclick: act });
  const held = button("Hold: film only", null);
  held.onpointerdown = () => viewer.show({ bare: true });
  held.onpointerup = held.onpointerleave = () => viewer.show({ bare: false });
  const windows = Object.entries(WINDOWS).map(([value, words]) => make("option", { value, textContent: words }));
  return make(
    "div",
    {},
    make("select", { ariaLabel: "Window", onchange: ({ target }) => viewer.preset(target.value) }, ...windows),
    button("Fit", () => viewer.fit()),
    button("1:1", () => viewer.actual()),
    button("Invert", () => viewer.invert()),
    button("Measure", () => viewer.setTool(viewer.tool === "measure" ? "window" : "measure")),
    button("Marks", () => viewer.show({ marks: !viewer.marksShown })),
    button("Bone", () => viewer.show({ bone: !viewer.boneShown })),
    held,
  );
}

function render({ model, el }) {
  const stage = make("div", { tabIndex: 0 });
  stage.setAttribute("aria-label", "radiograph with its marks");
  stage.style.height = `${model.get("height")}px`;
  const viewer = new Viewer(stage);
  const note = make("small", { textContent: NOTICE });
  const tools = bar(viewer);
  Object.assign(tools.style, { display: "flex", flexWrap: "wrap", gap: "4px", margin: "4px 0" });
  el.append(tools, stage, note);
  const show = () => viewer.setMarks(model.get("marks"), model.get("chosen"));
  const told = () => {
    const mark = model.get("marks").find((item) => item.id === model.get("chosen"));
    note.textContent = [mark?.title, NOTICE].filter(Boolean).join(" · ");
    viewer.select(model.get("chosen"));
  };
  viewer.addEventListener("select", ({ detail }) => {
    model.set("chosen", detail.id);
    model.save_changes();
    told();
  });
  viewer.addEventListener("measure", ({ detail }) => (note.textContent = `${detail.text} · ${NOTICE}`));
  viewer.addEventListener("trouble", ({ detail }) => (note.textContent = detail.error.message));
  model.on("change:chosen", told);
  viewer.showFilm(source(model)).then(show);
  createImageBitmap(new Blob([bytes(model.get("bone"))])).then((mask) => viewer.setMask(mask));
  return () => {
    model.off("change:chosen", told);
    viewer.dispose();
  };
}

export default { render };
