// Paints the part of a film that is seen, its 16-bit values through a window: on the graphics card where there is
// WebGL2, on a plain canvas elsewhere. Both have `kind`, `lost`, `fits(level)`, `paint(scene)`, `forget()`.

const GROUND = [0.02, 0.022, 0.026]; // around the film, shares of full light
const BONE_TINT = [0.35, 0.68, 1.0];
const BONE_SHARE = 0.24;

const CORNERS = `#version 300 es
void main() {
  gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0);
}`;

// The film's integers can't be filtered by the hardware, so the four neighbours are mixed here.
const GREYS = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D film;
uniform sampler2D bone;
uniform vec4 place;
uniform vec2 window;
uniform float inverted;
uniform float boneShare;
uniform vec3 ground;
uniform vec3 tint;
out vec4 colour;
void main() {
  ivec2 last = textureSize(film, 0) - 1;
  vec2 texel = place.xy + gl_FragCoord.xy * place.zw;
  vec2 share = texel / vec2(last + 1);
  if (min(share.x, share.y) < 0.0 || max(share.x, share.y) > 1.0) {
    colour = vec4(ground, 1.0);
    return;
  }
  vec2 corner = floor(texel - 0.5);
  vec2 part = texel - 0.5 - corner;
  ivec2 a = clamp(ivec2(corner), ivec2(0), last);
  ivec2 b = clamp(ivec2(corner) + 1, ivec2(0), last);
  vec4 near = vec4(
    texelFetch(film, a, 0).r, texelFetch(film, ivec2(b.x, a.y), 0).r,
    texelFetch(film, ivec2(a.x, b.y), 0).r, texelFetch(film, b, 0).r);
  vec2 rows = mix(near.xz, near.yw, part.x);
  float grey = clamp((mix(rows.x, rows.y, part.y) - window.x) / (window.y - window.x), 0.0, 1.0);
  grey = abs(inverted - grey);
  float share_of_bone = boneShare > 0.0 ? boneShare * texture(bone, share).r : 0.0;
  colour = vec4(mix(vec3(grey), tint, share_of_bone), 1.0);
}`;

class GraphicsPainter {
  constructor(canvas) {
    const options = {
      alpha: false,
      antialias: false,
      depth: false,
      stencil: false,
      powerPreference: "high-performance",
    };
    this.gl = canvas.getContext("webgl2", options);
    if (!this.gl) throw new Error("WebGL2 is missing");
    this.kind = "webgl2";
    this.restore();
  }

  restore() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [type, source] of [
      [gl.VERTEX_SHADER, CORNERS],
      [gl.FRAGMENT_SHADER, GREYS],
    ]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`the film's shader does not link: ${gl.getProgramInfoLog(program)}`);
    }
    gl.useProgram(program);
    gl.bindVertexArray(gl.createVertexArray());
    this.spot = (name) => gl.getUniformLocation(program, name);
    this.spots = Object.fromEntries(
      ["place", "window", "inverted", "boneShare"].map((name) => [name, this.spot(name)]),
    );
    gl.uniform1i(this.spot("film"), 0);
    gl.uniform1i(this.spot("bone"), 1);
    gl.uniform3fv(this.spot("ground"), GROUND);
    gl.uniform3fv(this.spot("tint"), BONE_TINT);
    this.textures = new Map();
    this.bone = null;
    this.mostPixels = gl.getParameter(gl.MAX_TEXTURE_SIZE);
  }

  get lost() {
    return this.gl.isContextLost();
  }

  fits(level) {
    return Math.max(level.rows, level.cols) <= this.mostPixels;
  }

  forget() {
    for (const texture of this.textures.values()) this.gl.deleteTexture(texture);
    this.textures.clear();
    if (this.bone) this.gl.deleteTexture(this.bone.texture);
    this.bone = null;
  }

  paint({ level, mask, place, window, inverted, width, height }) {
    const gl = this.gl;
    gl.viewport(0, 0, width, height);
    gl.activeTexture(gl.TEXTURE0);
    if (!this.textures.has(level)) this.textures.set(level, this._texture(level));
    gl.bindTexture(gl.TEXTURE_2D, this.textures.get(level));
    if (mask) this._bindBone(mask);
    // Rows of a canvas count from its lower edge.
    gl.uniform4f(this.spots.place, place.x, place.y + height * place.step, place.step, -place.step);
    gl.uniform2f(this.spots.window, ...window);
    gl.uniform1f(this.spots.inverted, inverted ? 1 : 0);
    gl.uniform1f(this.spots.boneShare, mask ? BONE_SHARE : 0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  _texture(level) {
    const gl = this.gl;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
    gl.texImage2D(
      gl.TEXTURE_2D,
      0,
      gl.R16UI,
      level.cols,
      level.rows,
      0,
      gl.RED_INTEGER,
      gl.UNSIGNED_SHORT,
      level.pixels,
    );
    this._plain(gl.NEAREST);
    return texture;
  }

  _bindBone(mask) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE1);
    if (this.bone?.mask !== mask) {
      if (this.bone) gl.deleteTexture(this.bone.texture);
      this.bone = { mask, texture: gl.createTexture() };
      gl.bindTexture(gl.TEXTURE_2D, this.bone.texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, mask);
      this._plain(gl.LINEAR);
    }
    gl.bindTexture(gl.TEXTURE_2D, this.bone.texture);
  }

  _plain(filter) {
    const gl = this.gl;
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }
}

export class CanvasPainter {
  constructor(canvas) {
    this.context = canvas.getContext("2d", { alpha: false });
    if (!this.context) throw new Error("this browser draws no canvas");
    this.kind = "canvas";
    this.lost = false;
    this.piece = document.createElement("canvas");
    this.greys = new Uint32Array(65536);
    this.greysOf = "";
  }

  fits() {
    return true;
  }

  forget() {
    this.piece.width = this.piece.height = 1;
    this.tinted = null;
  }

  paint({ level, mask, place, window, inverted, width, height }) {
    const context = this.context;
    context.fillStyle = `rgb(${GROUND.map((share) => 255 * share).join()})`;
    context.fillRect(0, 0, width, height);
    context.imageSmoothingEnabled = true;
    const zoom = 1 / place.step;
    const part = visiblePart(level, place, width, height);
    if (part.cols < 1 || part.rows < 1) return;
    this._window(level, part, window, inverted);
    const at = [(part.x - place.x) * zoom, (part.y - place.y) * zoom, part.cols * zoom, part.rows * zoom];
    context.drawImage(this.piece, 0, 0, part.cols, part.rows, ...at);
    if (!mask) return;
    const whole = [-place.x * zoom, -place.y * zoom, level.cols * zoom, level.rows * zoom];
    context.globalAlpha = BONE_SHARE;
    context.drawImage(this._tint(mask), ...whole);
    context.globalAlpha = 1;
  }

  // Only what is seen is turned into greys.
  _window(level, part, window, inverted) {
    this._lookUp(window, inverted);
    const image = new ImageData(part.cols, part.rows);
    const greys = new Uint32Array(image.data.buffer);
    for (let row = 0, to = 0; row < part.rows; row++) {
      let from = (part.y + row) * level.cols + part.x;
      for (let col = 0; col < part.cols; col++) greys[to++] = this.greys[level.pixels[from++]];
    }
    if (this.piece.width < part.cols || this.piece.height < part.rows) {
      this.piece.width = Math.max(this.piece.width, part.cols);
      this.piece.height = Math.max(this.piece.height, part.rows);
    }
    this.piece.getContext("2d").putImageData(image, 0, 0);
  }

  _lookUp([low, high], inverted) {
    const wanted = `${low} ${high} ${inverted}`;
    if (wanted === this.greysOf) return;
    this.greysOf = wanted;
    const slope = 255 / (high - low);
    for (let value = 0; value < 65536; value++) {
      const grey = Math.min(255, Math.max(0, Math.round((value - low) * slope)));
      const shown = inverted ? 255 - grey : grey;
      this.greys[value] = 0xff000000 | (shown * 0x010101);
    }
  }

  _tint(mask) {
    if (this.tinted?.mask === mask) return this.tinted.canvas;
    const canvas = document.createElement("canvas");
    canvas.width = mask.width;
    canvas.height = mask.height;
    const context = canvas.getContext("2d");
    context.drawImage(mask, 0, 0);
    const image = context.getImageData(0, 0, mask.width, mask.height);
    const [red, green, blue] = BONE_TINT.map((share) => Math.round(255 * share));
    for (let k = 0; k < image.data.length; k += 4) {
      const bone = image.data[k];
      image.data.set([red, green, blue, bone], k);
    }
    context.putImageData(image, 0, 0);
    this.tinted = { mask, canvas };
    return canvas;
  }
}

function visiblePart(level, place, width, height) {
  const clip = (value, most) => Math.min(most, Math.max(0, value));
  const x = clip(Math.floor(place.x) - 1, level.cols);
  const y = clip(Math.floor(place.y) - 1, level.rows);
  const right = clip(Math.ceil(place.x + width * place.step) + 1, level.cols);
  const below = clip(Math.ceil(place.y + height * place.step) + 1, level.rows);
  return { x, y, cols: right - x, rows: below - y };
}

export function painterFor(canvas, wanted) {
  if (wanted === "canvas") return new CanvasPainter(canvas);
  try {
    return new GraphicsPainter(canvas);
  } catch (error) {
    return new CanvasPainter(canvas);
  }
}
