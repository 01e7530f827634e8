// The marks above a film, as SVG: arrows that point at an edge from outside, letters, outlines, lengths.
//
// A mark has id, x, y, contour [[x, y], …], label, state, tag (short text beside it) and outlined (always show its
// outline). Places are in pixels of the film, pixel centres at integers.

const SVG = "http://www.w3.org/2000/svg";
export const ARROW_PX = 46; // of the screen, whatever the zoom, as are the next three
export const TAG_PX = 11; // from an arrow's end to the middle of its number
const GAP_PX = 4; // between tip and outline: the edge itself stays visible
const LETTER_PX = 22; // from an outline to the middle of its letter
const DIRECTIONS = 16; // that an arrow may come from
const LETTERS = { tracheal: "T", vascular: "V", costal_cartilage: "C", sesamoid: "S", ossified: "O", metal: "M" };
const INKS = { undecided: "#ffffff", accepted: "#8fe6ab", rejected: "#b9bec6" };
const CHOSEN = "#ffd257";
const TICKS = { undecided: "", accepted: " ✓", rejected: " ✕" };

function boxOf(mark) {
  if (!mark.contour?.length) return [mark.x, mark.y, mark.x, mark.y];
  const xs = mark.contour.map((point) => point[0]);
  const ys = mark.contour.map((point) => point[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

// Where a ray from a mark's centre leaves its outline for good; the centre itself without an outline.
function edgeAlong({ x, y, contour = [] }, [ux, uy]) {
  let farthest = 0;
  contour.forEach(([ax, ay], k) => {
    const [bx, by] = contour[(k + 1) % contour.length];
    const [side, other] = [(ax - x) * uy - (ay - y) * ux, (bx - x) * uy - (by - y) * ux];
    if (side > 0 === other > 0) return;
    const share = side / (side - other);
    farthest = Math.max(farthest, (ax + share * (bx - ax) - x) * ux + (ay + share * (by - ay) - y) * uy);
  });
  return [x + farthest * ux, y + farthest * uy];
}

// Arrows had better lie on dark film, away from other marks and arrows, and inside the film.
export function outwardDirections(marks, { shownAt, arrow, rows, cols }) {
  const boxes = marks.map(boxOf);
  const ends = [];
  return marks.map((mark, index) => {
    let best = null;
    for (let turn = 0; turn < DIRECTIONS; turn++) {
      const angle = (2 * Math.PI * (turn + 0.5)) / DIRECTIONS;
      const way = [Math.cos(angle), Math.sin(angle)];
      const [x, y] = edgeAlong(mark, way);
      let cost = 0;
      for (let step = 1; step <= 6; step++) {
        const px = x + (way[0] * arrow * step) / 5;
        const py = y + (way[1] * arrow * step) / 5;
        const inside = px >= 0 && py >= 0 && px < cols && py < rows;
        cost += inside ? shownAt(px, py) : 4;
        for (const [k, box] of boxes.entries()) {
          if (k !== index && px > box[0] && px < box[2] && py > box[1] && py < box[3]) cost += 3;
        }
        for (const end of ends) if (Math.hypot(px - end[0], py - end[1]) < arrow / 3) cost += 1.5;
      }
      if (!best || cost < best.cost) best = { cost, way, end: [x + way[0] * arrow, y + way[1] * arrow] };
    }
    ends.push(best.end, [(best.end[0] + mark.x) / 2, (best.end[1] + mark.y) / 2]);
    return best.way;
  });
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function rimmed(name, attributes, ink) {
  return element(name, {
    "paint-order": "stroke",
    stroke: "#000",
    "stroke-width": 3,
    "stroke-linejoin": "round",
    fill: ink,
    ...attributes,
  });
}

function pathOf(points, closed = false) {
  return points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") + (closed ? "Z" : "");
}

// A line that keeps its width at any zoom, light on dark so that it is seen on bone and on air.
function outline(path, ink, dash = "") {
  const common = { d: path, fill: "none", "vector-effect": "non-scaling-stroke", "stroke-linejoin": "round" };
  return [
    element("path", { ...common, stroke: "#000", "stroke-width": 4, "stroke-opacity": 0.75 }),
    element("path", { ...common, stroke: ink, "stroke-width": 1.75, "stroke-dasharray": dash }),
  ];
}

function label(text, ink, size = 12) {
  const made = rimmed(
    "text",
    {
      "font-size": size,
      "font-family": "system-ui, sans-serif",
      "font-weight": 600,
      "text-anchor": "middle",
      "dominant-baseline": "central",
    },
    ink,
  );
  made.textContent = text;
  return made;
}

export class MarkLayer {
  constructor(svg) {
    this.onFilm = element("g");
    this.onScreen = element("g");
    this.drawn = element("g");
    svg.append(this.onFilm, this.onScreen, this.drawn);
    this.shapes = [];
  }

  show(marks, ways, chosen, { reach }) {
    this.onFilm.replaceChildren();
    this.onScreen.replaceChildren();
    this.shapes = marks.map((mark, index) => {
      const selected = mark.id === chosen;
      const ink = selected ? CHOSEN : INKS[mark.state];
      if (mark.contour?.length > 2 && (selected || mark.outlined)) {
        this.onFilm.append(...outline(pathOf(mark.contour, true), ink, mark.state === "rejected" ? "4 3" : ""));
      }
      const shape = this._shape(mark, ways[index], { ink, selected, reach });
      this.onScreen.append(shape.group);
      return shape;
    });
    const top = this.shapes.find((shape) => shape.mark.id === chosen);
    if (top) this.onScreen.append(top.group);
  }

  _shape(mark, way, { ink, selected, reach }) {
    const group = element("g", {
      "data-mark": mark.id,
      cursor: "pointer",
      opacity: mark.state === "rejected" && !selected ? 0.7 : 1,
    });
    const letter = LETTERS[mark.label];
    const tag = label(`${mark.tag ?? ""}${TICKS[mark.state]}`, ink, 11);
    const figure = letter ? label(letter, ink, 20) : this._arrow(mark, ink, selected);
    const hit = letter
      ? element("circle", { r: reach, fill: "transparent" })
      : element("rect", { x: -ARROW_PX - 6, y: -reach, width: ARROW_PX + 12, height: 2 * reach, fill: "transparent" });
    const turned = element("g", {}, hit, figure);
    group.append(turned, tag);
    return { mark, way, group, turned, tag, letter };
  }

  _arrow(mark, ink, selected) {
    const shaft = selected ? 2.2 : 1.7;
    const head = selected ? 7 : 6;
    const points = [
      [0, 0],
      [-14, -head],
      [-11.5, -shaft],
      [-ARROW_PX, -shaft],
      [-ARROW_PX, shaft],
      [-11.5, shaft],
      [-14, head],
    ];
    const style =
      mark.state === "rejected" ? { fill: "#000", "fill-opacity": 0.5, stroke: ink, "stroke-width": 1.4 } : {};
    return rimmed("polygon", { points: points.join(" "), "stroke-width": 2.4, ...style }, ink);
  }

  place(toScreen, scale) {
    const [x, y] = toScreen(0, 0);
    this.onFilm.setAttribute("transform", `matrix(${scale} 0 0 ${scale} ${x} ${y})`);
    for (const { mark, way, turned, tag, letter } of this.shapes) {
      const [ex, ey] = toScreen(...edgeAlong(mark, way));
      const away = letter ? LETTER_PX : GAP_PX;
      const [tx, ty] = [ex + way[0] * away, ey + way[1] * away];
      const angle = letter ? 0 : (Math.atan2(-way[1], -way[0]) * 180) / Math.PI;
      turned.setAttribute("transform", `translate(${tx.toFixed(1)} ${ty.toFixed(1)}) rotate(${angle.toFixed(1)})`);
      const end = letter ? LETTER_PX : ARROW_PX + TAG_PX;
      tag.setAttribute("transform", `translate(${(tx + way[0] * end).toFixed(1)} ${(ty + way[1] * end).toFixed(1)})`);
    }
  }

  // What the reader is drawing, lengths measured, and the cross that the keyboard moves; in pixels of the screen.
  draw({ trace, measures, cross }) {
    const parts = [];
    if (trace.length) parts.push(...outline(pathOf(trace), CHOSEN));
    for (const { from, to, text } of measures) {
      parts.push(...outline(pathOf([from, to]), CHOSEN), ...this._ends(from, to));
      const words = label(text, CHOSEN, 13);
      words.setAttribute("transform", `translate(${to[0]} ${to[1] + (to[1] < from[1] ? -15 : 15)})`);
      parts.push(words);
    }
    if (cross) parts.push(...outline(`M${cross[0] - 14} ${cross[1]}h28M${cross[0]} ${cross[1] - 14}v28`, CHOSEN));
    this.drawn.replaceChildren(...parts);
  }

  _ends(...points) {
    return points.map(([x, y]) => element("circle", { cx: x, cy: y, r: 3, fill: CHOSEN, stroke: "#000" }));
  }
}
