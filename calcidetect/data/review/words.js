// Plain words for what the program calls things.

export const KINDS = {
  calcification: "calcification",
  tracheal: "tracheal calcification",
  vascular: "vascular calcification",
  costal_cartilage: "costal cartilage",
  sesamoid: "sesamoid bone",
  ossified: "ossification",
  metal: "metal",
  other: "other",
};

export const STATES = { undecided: "to decide", accepted: "accepted", rejected: "rejected" };

export const SPACINGS = {
  calibrated: "calibrated in the file",
  pixel_spacing: "pixel spacing of the file",
  demagnified: "detector pitch, corrected for magnification",
  detector: "at the detector; the object itself is smaller",
  given: "given by the user",
};

export const FLAGS = {
  touches_bone: "touches bone",
  several_parts: "several parts",
  at_field_edge: "at the edge of the exposed field",
  no_spacing: "no pixel spacing",
  unlike_films: "looks like no film that the program knows",
  coloured: "picture in many colours",
  no_bone: "no bone found",
  not_searched: "not searched",
  turned: "chest on its side or upside down, read upright",
  two_limbs: "two limbs, or one in two views",
  region_overruled: "body part of the header overruled",
};

// Of nearly every film; nothing that a reader need be told.
const USUAL = new Set(["marker", "shutter", "text", "frame", "edge", "no_spacing"]);

export function unusual(flags) {
  return (flags ?? []).filter((flag) => !USUAL.has(flag)).map(plain);
}

export function plain(flag) {
  return FLAGS[flag] ?? flag.replaceAll("_", " ");
}

const RANKS = { least: "darkest", quarter: "darker quarter", median: "middle", most: "brightest", both: "both sides" };
const PLANES = {
  level: "brightness",
  spread: "variation",
  difference: "brighter than around",
  relative_difference: "brighter than around, relative",
  above_surroundings: "above its surroundings",
  bright: "brightest nearby",
  dark: "darkest nearby",
  above_lowest: "above the darkest nearby",
  opened: "thickness",
  local_rank: "rank nearby",
  ridge: "ridge",
  valley: "valley",
  gradient: "slope",
  coherence: "one direction of texture",
  texture: "texture",
  rank: "rank on the film",
  skin: "distance to skin",
  range: "range nearby",
};

// From the most particular name to the most general; the first that fits says it.
const FEATURES = [
  [/^contrast_mean$/, () => "mean contrast"],
  [/^contrast_highest$/, () => "highest contrast"],
  [/^contrast_spread$/, () => "how uneven it is"],
  [/^sigmas_(mean|highest)$/, (how) => `${how} contrast against tissue texture`],
  [/^noise$/, () => "texture of the tissue here"],
  [/^film_(level|share_mean)$/, () => "brightness on this film"],
  [/^film_share_highest$/, () => "brightest spot on this film's scale"],
  [/^radius_mm$/, () => "size"],
  [/^long_mm$/, () => "length"],
  [/^elongation$/, () => "how slim it is"],
  [/^fullness$/, () => "how compact it is"],
  [/^raggedness$/, () => "how ragged its rim is"],
  [/^edge_steepness$/, () => "how sharp its edge is"],
  [/^relief$/, () => "middle brighter than rim"],
  [/^bone_(chance|share)/, () => "looks like bone itself"],
  [/^bone_distance_mm$/, () => "distance to bone"],
  [/^skin_distance_mm$/, () => "distance to skin"],
  [/^field_edge_mm$/, () => "distance to the edge of the exposed field"],
  [/^drop_(\w+?)_(.+)$/, (rank, at) => `falls off around it, ${RANKS[rank] ?? rank} (${ring(at)})`],
  [/^even_(\w+?)_(.+)$/, (_, at) => `stands out evenly on all sides (${ring(at)})`],
  [/^bone_ring(?:_most)?_(.+)$/, (at) => `bone around it (${ring(at)})`],
  [
    /^(above|spread|bone|body)_([\d.]+)mm$/,
    (what, mm) =>
      `${{ above: "brighter than", spread: "variation", bone: "bone", body: "body" }[what]} within ${mm} mm`,
  ],
  [/^neighbours_([\d.]+)mm$/, (mm) => `other candidates within ${mm} mm`],
  [/^(here|around|fine)_([a-z_]+?)([\d.]*)$/, (where, what, size) => plane(where, what, size)],
  [/^blob_best_scale$/, () => "size as a round spot"],
  [/^blob/, () => "round spot against its surroundings"],
  [/^texture_/, () => "grain of its texture"],
  [/^profile_(\w+?)_([\d.]+)mm$/, (rank, mm) => `${RANKS[rank] ?? rank} ${mm} mm away`],
  [/^bone_\w+_around_([\d.]+)mm$/, (mm) => `bone ${mm} mm away`],
  [/^lung_distance_mm$/, () => "distance to lung"],
  [/^lung_/, () => "lung nearby"],
  [/^lead_([\d.]+)mm$/, (mm) => `stronger than rivals within ${mm} mm`],
  [/^equals_([\d.]+)mm$/, (mm) => `rivals as strong within ${mm} mm`],
  [/^rank/, () => "rank among the film's candidates"],
  [/^metal_mm$/, () => "distance to metal"],
  [/^film_pixel_mm$/, () => "how fine the film's pixels are"],
  [/^chest_down$/, () => "how far down the chest it lies"],
  [/^chest_aside$/, () => "how far from the midline of the chest it lies"],
  [/^harmonic1_(.+)$/, (at) => `like an edge (${ring(at)})`],
  [/^harmonic2_(.+)$/, (at) => `like a ridge (${ring(at)})`],
  [/^harmonic(\d)_(.+)$/, (times, at) => `brighter and darker ${times} times around it (${ring(at)})`],
  [/^brighter_(below|outwards)_(.+)$/, (side, at) => `brighter ${side} (${ring(at)})`],
  [/^ridge_across_(.+)$/, (at) => `a ridge that runs across (${ring(at)})`],
  [/^ridge_slanting_(.+)$/, (at) => `a ridge that runs at a slant (${ring(at)})`],
  [/^over_strongest$/, () => "against the film's strongest candidates"],
];

function ring(at) {
  if (at.endsWith("mm")) return `${at.slice(0, -2)} mm away`;
  return at.startsWith("plus") ? `${at.slice(4)} mm outside` : `${at.slice(1)} times its size`;
}

function plane(where, what, size) {
  const place = { here: "at it", around: "around it", fine: "in fine detail" }[where];
  return `${PLANES[what] ?? what.replaceAll("_", " ")} ${place}${size ? `, ${size} mm` : ""}`;
}

// What a feature of the scorer measures.
export function feature(name) {
  for (const [pattern, words] of FEATURES) {
    const found = pattern.exec(name);
    if (found) return words(...found.slice(1));
  }
  return name.replaceAll("_", " ");
}
