// From real values to grey levels, step by step as core/images/render.py does it: a reader sees what a network sees.

const LOW_PERCENT = 0.1
const HIGH_PERCENT = 99.9
export const NARROWEST = 1e-6 // of a constant image

/** The window an image is first seen with: the file's, else 0.1 % to 99.9 % of its values; colour as stored. */
export function firstWindow(image, windows) {
  if (image.channels === 3) {
    const most = image.kind === "u1" ? 255 : 65535
    return { name: "as stored", centre: most / 2, width: most }
  }
  if (windows && windows.length) return windows[0]
  return autoWindow(image)
}

/** 0.1 % to 99.9 % of the values. */
export function autoWindow(image) {
  const [low, high] = image.kind.startsWith("f") ? sortedPercentiles(image.values) : countedPercentiles(image.values)
  return { name: "0.1 % to 99.9 %", centre: (low + high) / 2, width: Math.max(high - low, NARROWEST) }
}

function countedPercentiles(values) {
  let least = Infinity
  let most = -Infinity
  for (let at = 0; at < values.length; at++) {
    const value = values[at]
    if (value < least) least = value
    if (value > most) most = value
  }
  const counts = new Uint32Array(most - least + 1)
  for (let at = 0; at < values.length; at++) counts[values[at] - least]++
  return [LOW_PERCENT, HIGH_PERCENT].map((percent) => {
    const rank = (percent / 100) * (values.length - 1)
    let seen = 0
    let level = 0
    while (level < counts.length - 1 && (seen += counts[level]) <= rank) level++
    return level + least
  })
}

function sortedPercentiles(values) {
  const ranks = [LOW_PERCENT, HIGH_PERCENT].map((percent) => (percent / 100) * (values.length - 1))
  const places = ranks.flatMap((rank) => [Math.floor(rank), Math.min(Math.floor(rank) + 1, values.length - 1)])
  const [low, aboveLow, high, aboveHigh] = valuesAt(places, values instanceof Float32Array ? values : Float32Array.from(values))
  return [low + (aboveLow - low) * (ranks[0] % 1), high + (aboveHigh - high) * (ranks[1] % 1)]
}

/**
 * The singles that would stand at these places if they were sorted. They are counted by the upper half of their bits, and
 * in the halves that matter by the lower: 50 ms for 4 megapixels, where sorting takes ten times as long.
 */
function valuesAt(places, values) {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const order = (word) => (word ^ ((word >> 31) | 0x80000000)) >>> 0 // rises with the value
  const upper = new Uint32Array(0x10000)
  for (let at = 0; at < words.length; at++) upper[order(words[at]) >>> 16]++
  const wanted = places.map((place) => halfAt(upper, place))
  const halves = new Map(wanted.map(({ at }) => [at, new Uint32Array(0x10000)]))
  const matters = new Uint8Array(0x10000)
  for (const at of halves.keys()) matters[at] = 1
  for (let at = 0; at < words.length; at++) {
    const place = order(words[at])
    if (matters[place >>> 16]) halves.get(place >>> 16)[place & 0xffff]++
  }
  return wanted.map(({ at, rest }) => {
    const place = at * 0x10000 + halfAt(halves.get(at), rest).at
    return new Float32Array(Uint32Array.of(place & 0x80000000 ? place ^ 0x80000000 : ~place).buffer)[0]
  })
}

function halfAt(counts, place) {
  let at = 0
  let rest = place
  while (rest >= counts[at]) rest -= counts[at++]
  return { at, rest }
}

/**
 * Which grey level (0 to 255) a value has in a window; arithmetic in single precision and rounding to even, as NumPy.
 * `inverted` is for MONOCHROME1, or for the reader's wish, but not for both.
 *
 * A window may have a curve, by which grey rises instead of straight: "sigmoid" (DICOM PS3.3 C.11.2.1.3.1), or the table
 * of a file, [[entries, level], ...], which is spread over the window; below it the first entry counts, above it the last.
 */
export function greyLevels({ centre, width, curve = null }, inverted) {
  const wide = Math.max(width, NARROWEST)
  const low = centre - wide / 2
  if (Array.isArray(curve)) return levelsOfTable(curve, low, wide, inverted)
  const single = Math.fround
  const scale = curve === "sigmoid"
    ? (value) => single(clip(1 / (1 + Math.exp((-4 * (value - centre)) / wide))))
    : wide < 1
      ? (value) => single(clip((value - low) / wide))
      : (value) => single(clip(single(single(single(value) - single(low)) / single(wide))))
  return (value) => {
    const level = roundToEven(single(scale(value) * 255))
    return inverted ? 255 - level : level
  }
}

/** What is between two entries goes by the nearer one. */
function levelsOfTable(runs, low, wide, inverted) {
  const table = new Uint8Array(runs.reduce((sum, [entries]) => sum + entries, 0))
  let start = 0
  for (const [entries, level] of runs) table.fill(inverted ? 255 - level : level, start, (start += entries))
  const scale = table.length / wide
  return (value) => {
    const at = Math.floor((value - low) * scale + 0.5)
    return at > 0 ? table[Math.min(at, table.length - 1)] : table[0]
  }
}

/** Whether two windows show every value alike. */
export function sameWindow(one, other) {
  if (one.centre !== other.centre || one.width !== other.width) return false
  const [here, there] = [one.curve ?? null, other.curve ?? null]
  return here === there || (Array.isArray(here) && Array.isArray(there) && String(here) === String(there))
}

function clip(share) {
  return share > 0 ? Math.min(share, 1) : 0 // also where it is no number
}

function roundToEven(number) {
  const below = Math.floor(number)
  const rest = number - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}

// Singles in their order: as whole numbers their bits rise with the value, from -Infinity to Infinity.
const asBits = new Int32Array(1)
const asSingle = new Float32Array(asBits.buffer)
const LEAST = -0x7f800000
const GREATEST = 0x7f800000

function singleAt(place) {
  asBits[0] = place < 0 ? -place | 0x80000000 : place
  return asSingle[0]
}

/**
 * From which value on each grey level is reached, as 256 singles: a value has the level of the last step not above it.
 * It is for windows in which grey only rises, so for none with a table. A shader that compares with these gives the levels of `greyLevels` (not inverted), whatever its own division rounds to.
 */
export function levelSteps(window) {
  const level = greyLevels(window, false)
  const steps = new Float32Array(256).fill(Infinity)
  steps[0] = -Infinity
  let least = LEAST
  for (let at = 1; at < 256 && level(singleAt(GREATEST)) >= at; at++) {
    let most = GREATEST
    while (least < most) {
      const middle = Math.floor((least + most) / 2)
      if (level(singleAt(middle)) >= at) most = middle
      else least = middle + 1
    }
    steps[at] = singleAt(least)
  }
  return steps
}
