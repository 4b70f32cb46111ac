// Canvas2D: real values through a look-up table into a picture of the image's own size, and that onto the screen.
// It needs no graphics card, which many ward computers lack.

import { greyLevels } from "./window.js"

const OPAQUE = 0xff000000

/** How the values of a table for whole numbers are found: the least value it holds, and how many. */
const TABLES = { u1: [0, 256], i1: [-128, 256], u2: [0, 65536], i2: [-32768, 65536] }

/** Grey or colour pixels of an image in a window, as RGBA (little-endian words). */
export function paintPixels(image, window, inverted, words) {
  const level = greyLevels(window, inverted)
  if (image.channels === 3) paintColour(image, level, words)
  else if (TABLES[image.kind]) paintByTable(image, level, words)
  else paintOneByOne(image, level, words)
}

function paintByTable({ values, kind }, level, words) {
  const [least, size] = TABLES[kind]
  const table = new Uint32Array(size)
  for (let at = 0; at < size; at++) table[at] = OPAQUE | (level(at + least) * 0x010101)
  if (least === 0) for (let at = 0; at < values.length; at++) words[at] = table[values[at]]
  else for (let at = 0; at < values.length; at++) words[at] = table[values[at] - least]
}

function paintOneByOne({ values }, level, words) {
  for (let at = 0; at < values.length; at++) words[at] = OPAQUE | (level(values[at]) * 0x010101)
}

function paintColour({ values, kind }, level, words) {
  const [least, size] = TABLES[kind]
  const table = new Uint8Array(size)
  for (let at = 0; at < size; at++) table[at] = level(at + least)
  for (let at = 0, from = 0; at < words.length; at++, from += 3) {
    const [red, green, blue] = [table[values[from] - least], table[values[from + 1] - least], table[values[from + 2] - least]]
    words[at] = OPAQUE | (blue << 16) | (green << 8) | red
  }
}

/** Draws one image, and maps laid over it, into a canvas. */
export class CanvasRenderer {
  constructor(canvas) {
    this.canvas = canvas
    this.context = canvas.getContext("2d", { alpha: false })
    this.picture = document.createElement("canvas")
    this.painted = null // what the picture shows: image, window and inversion
  }

  resize(width, height) {
    this.canvas.width = width
    this.canvas.height = height
  }

  /**
   * @param {object | null} image {rows, columns, channels, kind, values}
   * @param {{window: object, inverted: boolean, matrix: number[], layers: {picture: HTMLCanvasElement, opacity: number}[]}} look
   *   matrix as `setTransform` takes it, from image pixels to canvas pixels; layers cover the whole image
   */
  draw(image, look) {
    const { context, canvas } = this
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.fillStyle = "#000"
    context.fillRect(0, 0, canvas.width, canvas.height)
    if (!image) return
    this.paint(image, look)
    context.setTransform(...look.matrix)
    context.imageSmoothingEnabled = true
    context.imageSmoothingQuality = "high"
    context.drawImage(this.picture, 0, 0)
    for (const { picture, opacity } of look.layers) {
      context.globalAlpha = opacity
      context.drawImage(picture, 0, 0, image.columns, image.rows)
      context.globalAlpha = 1
    }
  }

  paint(image, { window, inverted }) {
    const wanted = { image, centre: window.centre, width: window.width, inverted }
    if (this.painted && Object.keys(wanted).every((key) => wanted[key] === this.painted[key])) return
    const { picture } = this
    if (picture.width !== image.columns || picture.height !== image.rows || !this.data) {
      picture.width = image.columns
      picture.height = image.rows
      this.target = picture.getContext("2d", { alpha: false })
      this.data = this.target.createImageData(image.columns, image.rows)
      this.words = new Uint32Array(this.data.data.buffer)
    }
    paintPixels(image, window, inverted, this.words)
    this.target.putImageData(this.data, 0, 0)
    this.painted = wanted
  }
}
