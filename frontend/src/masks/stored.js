// Masks as the server tells them: frames by number, each as the run-length code in base64.

import { fetchChecked } from "../fetching.js"
import { Grid } from "./grid.js"
import { MaskError, fromBase64 } from "./runs.js"

/** Frames of an event or an answer as they are held here: Map(frame -> code). */
export function framesOf(frames) {
  if (frames instanceof Map) return frames
  return new Map(Object.entries(frames ?? {}).map(([frame, text]) => [Number(frame), fromBase64(text)]))
}

/** A structure's grid from its frames. */
export function gridOf(facts, frames) {
  const grid = new Grid(facts)
  for (const [frame, runs] of frames) {
    if (!Number.isInteger(frame) || frame < 0 || frame >= grid.frames) throw new MaskError(`This image has no frame ${frame + 1}.`)
    grid.setRuns(frame, runs)
  }
  return grid
}

/**
 * What a reader has painted of a structure, oneself where `reader` is null.
 *
 * @throws {LoadError | MaskError} it cannot be had, or is not a mask of this case
 */
export async function fetchGrid(facts, structure, reader, signal) {
  const whose = reader === null ? "" : `?reader=${encodeURIComponent(reader)}`
  const path = `/api/v1/cases/${facts.id}/masks/${encodeURIComponent(structure)}${whose}`
  const told = await (await fetchChecked(path, { signal })).json()
  const [frames, rows, columns] = [told.frames_total, told.rows, told.columns]
  if (rows !== facts.rows || columns !== facts.columns || frames !== (facts.frames ?? 1)) {
    throw new MaskError(`It has ${columns} × ${rows} pixels in ${frames} frames, the image ${facts.columns} × ${facts.rows} in ${facts.frames ?? 1}.`)
  }
  // A stroke holds a whole frame: on what somebody else painted, who signed in here meanwhile, it would take that over.
  if (reader === null && told.reader !== facts.reader) throw new MaskError(`It is ${told.reader}'s, who has signed in in this browser.`)
  return gridOf(facts, framesOf(told.frames))
}
