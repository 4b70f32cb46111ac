// The explanation of one class on one case: asked for, waited for, coloured, laid over the image.

import { LoadError, fetchChecked } from "./cases.js"
import { parseNpy } from "./npy.js"

const POLL_MS = 250
const LONGEST_WAIT_MS = 120000
const PICTURE_PX = 384
const KEPT = 64

// Viridis (van der Walt and Smith, 2015, CC0): brightness rises with the value, readable with any colour vision.
const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 73, 137], [49, 104, 142], [38, 130, 142],
  [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
]

/** Red, green and blue of a value from 0 to 1. */
export function colourOf(value) {
  const at = Math.min(1, Math.max(0, value)) * (VIRIDIS.length - 1)
  const below = Math.min(Math.floor(at), VIRIDIS.length - 2)
  return VIRIDIS[below].map((part, channel) => part + (VIRIDIS[below + 1][channel] - part) * (at - below))
}

/** CSS for the legend. */
export function legendGradient() {
  return `linear-gradient(to right, ${VIRIDIS.map((colour) => `rgb(${colour.join(" ")})`).join(", ")})`
}

/** A map at another resolution, bilinear between the centres of its cells, its edge cells going on to the edge. */
export function resizeMap(map, rows, columns) {
  const [fromRows, fromColumns] = map.shape
  const made = new Float32Array(rows * columns)
  const place = (at, size, from) => {
    const exact = Math.min(from - 1, Math.max(0, ((at + 0.5) * from) / size - 0.5))
    const below = Math.floor(exact)
    return [below, Math.min(below + 1, from - 1), exact - below]
  }
  const across = Array.from({ length: columns }, (_, at) => place(at, columns, fromColumns))
  for (let row = 0; row < rows; row++) {
    const [above, below, down] = place(row, rows, fromRows)
    for (let column = 0; column < columns; column++) {
      const [left, right, along] = across[column]
      const mix = (line) =>
        map.values[line * fromColumns + left] * (1 - along) + map.values[line * fromColumns + right] * along
      made[row * columns + column] = mix(above) * (1 - down) + mix(below) * down
    }
  }
  return made
}

/** A map as RGBA bytes: where it is 0, nothing is seen; where it is 1, the colour is opaque. */
export function colourMap(values) {
  const bytes = new Uint8ClampedArray(values.length * 4)
  values.forEach((value, at) => {
    const colour = colourOf(value)
    bytes.set([...colour, 255 * Math.min(1, Math.max(0, value))], at * 4)
  })
  return bytes
}

/** The map of an image as a picture to lay over it. */
export function paintMap(map, image) {
  const longest = Math.max(image.rows, image.columns)
  const rows = Math.max(1, Math.round((PICTURE_PX * image.rows) / longest))
  const columns = Math.max(1, Math.round((PICTURE_PX * image.columns) / longest))
  const picture = document.createElement("canvas")
  picture.width = columns
  picture.height = rows
  const data = new ImageData(colourMap(resizeMap(map, rows, columns)), columns, rows)
  picture.getContext("2d").putImageData(data, 0, 0)
  return picture
}

/** Explanations by model, case and class; the last ones are kept. */
export class Explanations {
  constructor() {
    this.held = new Map()
  }

  /**
   * @param {{model: number, case: number, class: string, method: string}} asked
   * @param {(note: string) => void} onNote while it is being made
   * @param {AbortSignal} signal when the reader has gone on
   * @returns {Promise<{map: object, check: object | null}>}
   */
  async get(asked, onNote, signal) {
    const key = JSON.stringify(asked)
    const known = this.held.get(key)
    if (known) return known
    const told = await this.ask(asked, onNote, signal)
    const buffer = await (await fetchChecked(told.url, { signal })).arrayBuffer()
    const found = { map: parseNpy(buffer), check: told.check ?? null }
    this.held.set(key, found)
    if (this.held.size > KEPT) this.held.delete(this.held.keys().next().value)
    return found
  }

  async ask(asked, onNote, signal) {
    const begun = Date.now()
    const options = {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(asked),
      signal,
    }
    let answer = await (await fetchChecked("/api/v1/explanations", options)).json()
    while (!answer.url) {
      if (answer.state === "failed" || answer.state === "stopped") {
        throw new LoadError([answer.error, answer.remedy].filter(Boolean).join(" ") || "The explanation was not made.")
      }
      if (Date.now() - begun > LONGEST_WAIT_MS) throw new LoadError("The worker does not answer. Is it running?")
      onNote(answer.state === "queued" ? "Waiting for the worker" : answer.note || "Being made")
      await pause(POLL_MS, signal)
      const job = await (await fetchChecked(`/api/v1/jobs/${answer.job}`, { signal })).json()
      answer = job.state === "done" ? await (await fetchChecked("/api/v1/explanations", options)).json() : job
    }
    return answer
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds)
    signal?.addEventListener("abort", () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
}
