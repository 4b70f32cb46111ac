// What both renderers look up: colour maps, the colour of every value in a window, heat maps as pictures.
//
// Colours are RGBA bytes in a little-endian word, as ImageData holds them: alpha, blue, green, red from the left.

import { greyLevels } from "../window.js"

const OPAQUE = 0xff000000
const HEAT_PX = 512 // a map is a few cells wide as often as not: so wide it is at least drawn

// Viridis, magma, inferno and plasma (van der Walt and Smith, 2015, CC0) and cividis (Nuñez, Anderton and Renslow,
// 2018, CC0) at ten even steps; hot metal is black, red, yellow, white in straight lines. In all of them brightness
// only ever rises with the value, so that they are read alike with any colour vision.
const ANCHORS = {
  grey: "000000 ffffff",
  viridis: "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725",
  cividis: "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
  magma: "000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf",
  inferno: "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4",
  plasma: "0d0887 46039f 7201a8 9c179e bd3786 d8576b ed7953 fb9f3a fdca26 f0f921",
  hot: "000000 550000 aa0000 ff0000 ff5500 ffaa00 ffff00 ffff80 ffffff",
}

/** Names of colour maps as on the screen. */
export const COLOUR_MAPS = {
  grey: "Grey", viridis: "Viridis", cividis: "Cividis", magma: "Magma", inferno: "Inferno", plasma: "Plasma", hot: "Hot metal",
}

/** How the values of a table for whole numbers are found: the least value it holds, and how many. */
export const TABLES = { u1: [0, 256], i1: [-128, 256], u2: [0, 65536], i2: [-32768, 65536] }

/** `#rrggbb` as [red, green, blue]. */
export function parts(colour) {
  const number = parseInt(colour.replace("#", ""), 16)
  return [number >> 16, (number >> 8) & 0xff, number & 0xff]
}

export function word([red, green, blue], alpha = 255) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0
}

const made = new Map()

/** The 256 opaque colours of a map, as words; an unknown map is grey. */
export function colourWords(name) {
  if (!ANCHORS[name]) return colourWords("grey")
  if (!made.has(name)) {
    const anchors = ANCHORS[name].split(" ").map(parts)
    const words = new Uint32Array(256)
    for (let level = 0; level < 256; level++) {
      const at = (level / 255) * (anchors.length - 1)
      const below = Math.min(Math.floor(at), anchors.length - 2)
      words[level] = word(anchors[below].map((part, channel) => Math.round(part + (anchors[below + 1][channel] - part) * (at - below))))
    }
    made.set(name, words)
  }
  return made.get(name)
}

/** CSS for a legend: from the least to the greatest value. */
export function gradient(name) {
  return `linear-gradient(to right, ${(ANCHORS[name] ?? ANCHORS.grey).split(" ").map((colour) => `#${colour}`).join(", ")})`
}

/** The colour of every value that a kind of whole numbers can have, from its least one on. */
export function valueWords(kind, { window, inverted, colourMap }) {
  const [least, size] = TABLES[kind]
  const colours = colourWords(colourMap)
  const level = greyLevels(window, inverted)
  const words = new Uint32Array(size)
  for (let at = 0; at < size; at++) words[at] = colours[level(at + least)]
  return words
}

/** A map at another resolution, bilinear between the centres of its cells, its edge cells going on to the edge. */
export function resized(values, fromRows, fromColumns, rows, columns) {
  const place = (at, size, from) => {
    const exact = Math.min(from - 1, Math.max(0, ((at + 0.5) * from) / size - 0.5))
    const below = Math.floor(exact)
    return [below, Math.min(below + 1, from - 1), exact - below]
  }
  const across = Array.from({ length: columns }, (_, at) => place(at, columns, fromColumns))
  const result = new Float32Array(rows * columns)
  for (let row = 0, at = 0; row < rows; row++) {
    const [above, below, down] = place(row, rows, fromRows)
    const [upper, lower] = [above * fromColumns, below * fromColumns]
    for (let column = 0; column < columns; column++, at++) {
      const [left, right, along] = across[column]
      const up = values[upper + left] * (1 - along) + values[upper + right] * along
      const low = values[lower + left] * (1 - along) + values[lower + right] * along
      result[at] = up * (1 - down) + low * down
    }
  }
  return result
}

/**
 * A heat layer as a picture: nothing where it is 0 or below the threshold, opaque where it is 1.
 * @returns {{rows: number, columns: number, words: Uint32Array}} not multiplied by alpha, and without the layer's opacity
 */
export function heatPicture({ rows, columns, values, threshold = 0, colourMap = "viridis" }) {
  const times = Math.max(1, Math.round(HEAT_PX / Math.max(rows, columns)))
  const [tall, wide] = [rows * times, columns * times]
  const drawn = times === 1 ? values : resized(values, rows, columns, tall, wide)
  const colours = colourWords(colourMap)
  const words = new Uint32Array(tall * wide)
  for (let at = 0; at < words.length; at++) {
    const value = drawn[at] > 1 ? 1 : drawn[at]
    // ~OPAQUE takes the colour's own alpha away; a value that is no number is not seen
    if (value > 0 && value >= threshold) words[at] = (colours[Math.round(value * 255)] & ~OPAQUE) | (Math.round(value * 255) << 24)
  }
  return { rows: tall, columns: wide, words }
}

/** How wide an outline is, in canvas pixels. */
export function outlineWidth(ratio = globalThis.devicePixelRatio || 1) {
  return Math.max(1, Math.round(1.5 * ratio))
}

/**
 * What of a mask layer must be drawn anew by who has drawn its `version` before: [x, y, width, height], null for
 * nothing, undefined for everything. `dirty` counts from the version `since`, or else from the one before.
 */
export function changeOf(layer, version) {
  if (layer.version === version) return null
  return layer.dirty && version === (layer.since ?? layer.version - 1) ? layer.dirty : undefined
}
