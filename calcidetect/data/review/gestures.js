// Mouse, pen and touch on a viewer: which drag is meant, and what it does.

const CLICK_PX = 4; // a pointer that moves less has clicked
const WHEEL_STEP = 0.0015; // logarithm of the zoom per wheel unit
const WHEEL_LINE = 20; // wheel units of a line, for mice that count in lines
const DRAG_SPAN_PX = 500; // a drag this long moves the window by the film's own range

export class Gestures {
  constructor(viewer, host) {
    Object.assign(this, { viewer, host, pointers: new Map(), drag: null, carried: null, ahead: null });
    const on = (name, act, options) => host.addEventListener(name, act, options);
    on("pointerdown", (event) => this._down(event));
    on("pointermove", (event) => this._move(event));
    for (const name of ["pointerup", "pointercancel"]) on(name, (event) => this._up(event));
    on("pointerleave", () => viewer.tell("cursor"));
    on("dblclick", () => viewer.tool === "outline" && viewer.closeOutline());
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => this._wheel(event), { passive: false });
  }

  // A mark as it is shown while it is carried elsewhere.
  shown(mark) {
    if (this.carried?.mark.id !== mark.id) return mark;
    const { dx, dy } = this.carried;
    return { ...mark, x: mark.x + dx, y: mark.y + dy, contour: mark.contour?.map(([x, y]) => [x + dx, y + dy]) };
  }

  _at(event) {
    const box = this.host.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  _wheel(event) {
    const { viewer } = this;
    if (!viewer.film) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? WHEEL_LINE : 1;
    const step = event.ctrlKey ? 6 * WHEEL_STEP : WHEEL_STEP; // a pinch on a touchpad comes as a wheel with Ctrl
    viewer.zoomTo(viewer.scale * Math.exp(-event.deltaY * unit * step), this._at(event));
  }

  _down(event) {
    const { viewer } = this;
    if (!viewer.film) return;
    this.host.setPointerCapture(event.pointerId);
    const at = this._at(event);
    this.pointers.set(event.pointerId, at);
    viewer.cross = null;
    this.ahead = null;
    if (this.pointers.size > 1) return this._startPinch();
    const id = event.target.closest?.("[data-mark]")?.dataset.mark;
    const mark = viewer.marks.find((item) => String(item.id) === id) ?? null;
    this.drag = { kind: this._kind(event, mark), start: at, last: at, mark, moved: false };
  }

  // Two fingers zoom and pan, whatever the first was about to do.
  _startPinch() {
    if (this.drag?.kind === "outline" && this.drag.moved) this.viewer.cancel();
    this._drop();
    this.drag = { kind: "pinch" };
  }

  _kind(event, mark) {
    const { tool, placing, chosen } = this.viewer;
    if (event.button === 1 || event.button === 2 || event.shiftKey || tool === "pan") return "pan";
    if (placing) return tool;
    if (mark) return mark.id === chosen ? "carry" : "choose";
    return "window";
  }

  _move(event) {
    const { viewer, drag } = this;
    if (!viewer.film) return;
    const at = this._at(event);
    viewer.tellCursor(viewer.toFilm(...at));
    const before = this.pointers.get(event.pointerId);
    if (!before) return this._hover(at);
    if (drag.kind === "pinch") return this._pinch(event.pointerId, before, at);
    this.pointers.set(event.pointerId, at);
    if (!drag.moved && Math.hypot(at[0] - drag.start[0], at[1] - drag.start[1]) < CLICK_PX) return;
    this._drag(drag, at);
  }

  _hover(at) {
    if (this.viewer.trace.length && this.viewer.placing) this._lead(this.viewer.trace.at(-1), at);
  }

  _drag(drag, at) {
    const { viewer } = this;
    const [dx, dy] = [at[0] - drag.last[0], at[1] - drag.last[1]];
    const first = !drag.moved;
    Object.assign(drag, { moved: true, last: at });
    if (drag.kind === "pan") viewer.panBy(dx, dy);
    else if (drag.kind === "window") viewer.shiftWindow(dx / DRAG_SPAN_PX, -dy / DRAG_SPAN_PX);
    else if (drag.kind === "carry") this._carry(drag, at);
    else if (drag.kind === "measure") this._lead(viewer.toFilm(...drag.start), at);
    else if (drag.kind === "outline") {
      if (first && !viewer.trace.length) viewer.extend(viewer.toFilm(...drag.start));
      viewer.extend(viewer.toFilm(...at));
    }
  }

  // The line from the last point to where the pointer is.
  _lead(from, at) {
    this.ahead = { from, to: this.viewer.toFilm(...at) };
    this.viewer.invalidate();
  }

  _carry({ mark, start }, at) {
    const { scale } = this.viewer;
    this.carried = { mark, dx: (at[0] - start[0]) / scale, dy: (at[1] - start[1]) / scale };
    this.viewer.redrawMarks();
  }

  _pinch(id, before, at) {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    this.pointers.set(id, at);
    if (!other) return;
    const { viewer } = this;
    const spread = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
    viewer.zoomTo((viewer.scale * spread(at)) / spread(before), [
      (before[0] + other[0]) / 2,
      (before[1] + other[1]) / 2,
    ]);
    viewer.panBy((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
  }

  _up(event) {
    const { drag } = this;
    if (!this.pointers.delete(event.pointerId) || !drag) return;
    if (drag.kind === "pinch") {
      if (!this.pointers.size) this.drag = null;
      return;
    }
    const carried = this._drop();
    if (event.type === "pointercancel") this.viewer.cancel();
    else if (drag.moved) this._dragged(drag, this._at(event), carried);
    else this._clicked(drag, this._at(event));
  }

  // Ends a drag; what was carried is back in its place.
  _drop() {
    const { carried } = this;
    Object.assign(this, { drag: null, carried: null, ahead: null });
    if (carried) this.viewer.redrawMarks();
    this.viewer.invalidate();
    return carried;
  }

  _dragged(drag, at, carried) {
    const { viewer } = this;
    const place = viewer.toFilm(...at);
    if (carried) viewer.moveMark(carried.mark.id, [carried.mark.x + carried.dx, carried.mark.y + carried.dy]);
    else if (drag.kind === "outline") viewer.closeOutline();
    else if (drag.kind === "measure") viewer.measure(viewer.toFilm(...drag.start), place);
    else if (drag.kind === "arrow" || drag.kind === "move") viewer.point(place);
  }

  _clicked(drag, at) {
    const { viewer } = this;
    if (viewer.placing && drag.kind === viewer.tool) viewer.point(viewer.toFilm(...at));
    else if (drag.mark) viewer.choose(drag.mark.id);
    else if (drag.kind === "window") viewer.choose(null);
  }
}
