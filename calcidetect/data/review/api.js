// What the page asks of its server, and what went wrong in words for a reader. Addresses are relative to the page's.

// `kind`: "stale" (decided elsewhere meanwhile), "gone" (no server), "refused" (it answered, and said why).
export class Trouble extends Error {
  constructor(kind, text) {
    super(text);
    this.kind = kind;
  }
}

const GONE =
  "The page's server does not answer. Start it again with the same command, and open the address that it prints.";

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    throw new Trouble("gone", GONE);
  }
  if (answer.ok) return answer;
  throw new Trouble(answer.status === 409 ? "stale" : "refused", await reason(answer));
}

async function reason(answer) {
  try {
    const told = await answer.json();
    return told.error ?? told.detail ?? `The server answered ${answer.status}.`;
  } catch (error) {
    const token = answer.status === 403 || answer.status === 404;
    return token
      ? "This address is not valid any more; open the one that the server printed."
      : `The server answered ${answer.status}.`;
  }
}

// A body that breaks off is a server that went away.
async function body(answer, read) {
  try {
    return await answer[read]();
  } catch (error) {
    throw new Trouble("gone", GONE);
  }
}

export async function run() {
  return body(await ask("api/run"), "json");
}

export async function film(id) {
  return body(await ask(`api/films/${id}`), "json");
}

// One level of a film: uint16 values from 0 to 65535 that stand for the signal from `low` to `high`.
export async function pixels(id, level) {
  const answer = await ask(`api/films/${id}/pixels/${level}`);
  const number = (name) => Number(answer.headers.get(`X-${name}`));
  const buffer = await body(answer, "arrayBuffer");
  const [rows, cols] = [number("Rows"), number("Cols")];
  if (buffer.byteLength !== 2 * rows * cols) throw new Trouble("gone", GONE);
  return {
    rows,
    cols,
    pixels: inOrder(buffer),
    levels: number("Levels"),
    range: [number("Low"), number("High")],
    window: [number("Window-Low"), number("Window-High")],
  };
}

// Little-endian on the wire; typed arrays have the order of the machine.
function inOrder(buffer) {
  if (new Uint8Array(new Uint16Array([1]).buffer)[0] === 1) return new Uint16Array(buffer);
  const view = new DataView(buffer);
  return Uint16Array.from({ length: buffer.byteLength / 2 }, (_, k) => view.getUint16(2 * k, true));
}

export async function bone(id, mostPixels) {
  const answer = await ask(`api/films/${id}/bone`);
  const whole = await createImageBitmap(await body(answer, "blob"));
  const share = Math.min(1, mostPixels / Math.max(whole.width, whole.height));
  if (share === 1) return whole;
  const size = { resizeWidth: Math.round(whole.width * share), resizeHeight: Math.round(whole.height * share) };
  return createImageBitmap(whole, { ...size, resizeQuality: "medium" });
}

export async function decide(id, decision) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(decision) };
  return body(await ask(`api/films/${id}/decisions`, options), "json");
}

// An export as a file: its name, and an address of this page for it.
export async function exported(path) {
  const answer = await ask(path);
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "decisions";
  return { name, address: URL.createObjectURL(await body(answer, "blob")) };
}
