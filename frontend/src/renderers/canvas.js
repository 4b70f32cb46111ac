// Canvas2D: real values through a look-up table into a picture of what is visible, and that onto the screen.
// It needs no graphics card, which many ward computers lack.

import { greyLevels } from "../window.js"
import { halvings, isCrisp, levels, visiblePart } from "./levels.js"
import { TABLES, colourWords, heatPicture, outlineWidth, valueWords } from "./looks.js"
import { MaskSheet } from "./sheet.js"

const MARGIN_PX = 96 // painted around what is visible, so that not every step of a drag paints anew
const KEPT_HEATS = 24
const OPAQUE = 0xff000000

/** A part [left, top, right, bottom] of a picture in a window, as RGBA words. */
export function paintPixels(picture, look, words, part = [0, 0, picture.columns, picture.rows]) {
  const { values, kind, channels, columns } = picture
  const [left, top, right, bottom] = part
  const [least] = TABLES[kind] ?? [0]
  const table = TABLES[kind] && valueWords(kind, channels === 3 ? { ...look, colourMap: "grey" } : look)
  const level = table ? null : greyLevels(look.window, look.inverted)
  const colours = colourWords(look.colourMap)
  for (let row = top, at = 0; row < bottom; row++) {
    let from = (row * columns + left) * channels
    const end = (row * columns + right) * channels
    if (channels === 3 && table) {
      for (; from < end; from += 3, at++) {
        const blue = table[values[from + 2] - least] & 0xff
        words[at] = OPAQUE | (blue << 16) | ((table[values[from + 1] - least] & 0xff) << 8) | (table[values[from] - least] & 0xff)
      }
    } else if (channels === 3) {
      for (; from < end; from += 3, at++) words[at] = OPAQUE | (level(values[from + 2]) << 16) | (level(values[from + 1]) << 8) | level(values[from])
    } else if (table && least === 0) for (; from < end; from++, at++) words[at] = table[values[from]]
    else if (table) for (; from < end; from++, at++) words[at] = table[values[from] - least]
    else for (; from < end; from++, at++) words[at] = colours[level(values[from])]
  }
}

/** Draws one picture and the layers over it into a canvas. The matrix may hold quarter turns and flips, no others. */
export class CanvasRenderer {
  /** @param {{software?: boolean}} [options] no graphics card: the canvases stay in memory, where they are written */
  constructor(canvas, { software = false } = {}) {
    this.name = "canvas"
    this.canvas = canvas
    this.kind = { willReadFrequently: software }
    this.context = canvas.getContext("2d", { ...this.kind, alpha: false })
    this.part = document.createElement("canvas") // the visible part of the picture, in its window
    this.partContext = this.part.getContext("2d", { ...this.kind, alpha: false })
    this.painted = null // what the part shows
    this.sheets = [] // of masks that follow each other in the layers
    this.heats = new Map()
  }

  resize(width, height) {
    this.canvas.width = width
    this.canvas.height = height
  }

  draw(picture, look) {
    const { context, canvas } = this
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.fillStyle = "#000"
    context.fillRect(0, 0, canvas.width, canvas.height)
    if (!picture || !canvas.width || !canvas.height) return
    const times = halvings(look.matrix)
    const [left, top] = this.paint(levels.get(picture, times), picture, look, times)
    const [across, down] = times.map((one) => 2 ** one)
    context.setTransform(...look.matrix)
    context.imageSmoothingEnabled = !isCrisp(look)
    context.imageSmoothingQuality = "low" // bilinear, as the other renderer; the averages are in the picture already
    // A halved picture of an odd side covers half a pixel more than is there.
    const wide = Math.min(this.part.width, picture.columns / across - left)
    const tall = Math.min(this.part.height, picture.rows / down - top)
    if (wide > 0 && tall > 0) context.drawImage(this.part, 0, 0, wide, tall, left * across, top * down, wide * across, tall * down)
    this.drawLayers(picture, look)
  }

  /** Brings the visible part up to date; returns where in the picture it begins. */
  paint(level, { key }, look, times) {
    const { width, height } = this.canvas
    const { window, inverted, matrix, colourMap = "grey" } = look
    const wanted = { key, times: String(times), centre: window.centre, width: window.width, curve: window.curve, inverted, colourMap }
    const needed = visiblePart(level, matrix, width, height, times, 2)
    const { painted } = this
    if (painted && Object.keys(wanted).every((name) => wanted[name] === painted.as[name]) && holds(painted.part, needed)) return painted.part
    const part = visiblePart(level, matrix, width, height, times, MARGIN_PX)
    const [wide, tall] = [part[2] - part[0], part[3] - part[1]]
    if (!wide || !tall) return part
    if (this.part.width !== wide || this.part.height !== tall || !this.data) {
      this.part.width = wide
      this.part.height = tall
      this.data = new ImageData(wide, tall)
      this.words = new Uint32Array(this.data.data.buffer)
    }
    paintPixels(level, { window, inverted, colourMap }, this.words, part)
    this.partContext.putImageData(this.data, 0, 0)
    this.painted = { as: wanted, part }
    return part
  }

  drawLayers(picture, look) {
    const { context } = this
    const layers = look.layers ?? []
    let sheet = 0
    for (let at = 0; at < layers.length; at++) {
      if (layers[at].kind === "heat") {
        this.drawHeat(layers[at], picture, look)
        continue
      }
      const masks = [layers[at]]
      while (layers[at + 1]?.kind === "mask") masks.push(layers[++at])
      this.sheets[sheet] ??= new MaskSheet(this.kind)
      context.setTransform(1, 0, 0, 1, 0, 0)
      context.globalAlpha = 1
      this.sheets[sheet++].draw(context, picture, masks, look.matrix, outlineWidth())
    }
    this.sheets.length = Math.min(this.sheets.length, Math.max(1, sheet)) // each is as large as the canvas
  }

  drawHeat(layer, picture, { matrix }) {
    const { context } = this
    const key = `${layer.key} ${layer.version} ${layer.threshold} ${layer.colourMap}`
    let made = this.heats.get(key)
    if (!made) {
      const { rows, columns, words } = heatPicture(layer)
      made = document.createElement("canvas")
      made.width = columns
      made.height = rows
      made.getContext("2d", this.kind).putImageData(new ImageData(new Uint8ClampedArray(words.buffer), columns, rows), 0, 0)
    }
    this.heats.delete(key)
    this.heats.set(key, made)
    if (this.heats.size > KEPT_HEATS) this.heats.delete(this.heats.keys().next().value)
    context.setTransform(...matrix)
    context.imageSmoothingEnabled = true
    context.imageSmoothingQuality = "low"
    context.globalAlpha = layer.opacity ?? 1
    context.drawImage(made, 0, 0, picture.columns, picture.rows)
    context.globalAlpha = 1
  }

  close() {
    this.painted = this.data = this.words = null
    this.sheets = []
    this.heats.clear()
    this.part.width = this.part.height = 0
  }
}

function holds([left, top, right, bottom], [from, above, to, below]) {
  return left <= from && top <= above && right >= to && bottom >= below
}
