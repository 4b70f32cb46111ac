// The explanation of one class on one case: asked for, waited for, laid over the image.

import { LoadError, fetchChecked } from "./cases.js"
import { parseNpy } from "./npy.js"
import { planeCount, planeSize, sliceMask } from "./planes.js"

const POLL_MS = 250
const SLOW_POLL_MS = 1000 // of a job that takes its time
const SOON_MS = 10000
const LONGEST_SILENCE_MS = 60000 // of the worker; a map of a volume may well take minutes
const KEPT = 64

/**
 * A map as layers of a pane: a flat one over the stored frames, one with frames of its own cut as the pane's picture is.
 * @param {{shape: number[], values: Float32Array}} map values from 0 to 1
 */
export function heatLayer(map, key, { plane, index, count }, look) {
  if (map.shape.length === 2) {
    const [rows, columns] = map.shape
    return plane === "frame" ? [{ kind: "heat", key, version: 0, rows, columns, values: map.values, ...look }] : []
  }
  const [frames, rows, columns] = map.shape
  const dims = { frames, rows, columns }
  const at = Math.min(planeCount(dims, plane) - 1, Math.floor(((index + 0.5) * planeCount(dims, plane)) / count))
  const size = planeSize(dims, plane)
  const values = sliceMask(map.values, dims, plane, at)
  return [{ kind: "heat", key: `${key} ${plane} ${at}`, version: 0, rows: size.rows, columns: size.columns, values, ...look }]
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

  /** Goes on asking as long as somebody works on it, however long that takes. */
  async ask(asked, onNote, signal) {
    const begun = Date.now()
    let heardAt = begun
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
      const waited = Date.now() - begun
      heardAt = Math.max(heardAt, Date.now() - 1000 * (answer.silent_seconds ?? Infinity))
      if (Date.now() - heardAt > LONGEST_SILENCE_MS) throw new LoadError("The worker does not answer. Is it running?")
      onNote(noteOf(answer, waited))
      await pause(waited < SOON_MS ? POLL_MS : SLOW_POLL_MS, signal)
      const job = await (await fetchChecked(`/api/v1/jobs/${answer.job}`, { signal })).json()
      answer = job.state === "done" ? await (await fetchChecked("/api/v1/explanations", options)).json() : job
    }
    return answer
  }
}

/** What is told of a job that is not done. */
function noteOf({ state, note, silent_seconds: silent }, waited) {
  if (state !== "queued") return note || "Being made"
  if (note) return note // it was tried before
  return waited > SOON_MS && silent !== null ? "Waiting for other work to end" : "Waiting for the worker"
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
