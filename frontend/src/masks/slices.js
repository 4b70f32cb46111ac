// Acts on whole slices, of the pane that is looked at; each is taken back as one.

import { planeCount, planeSize } from "../planes.js"
import { interpolate } from "./interpolate.js"

export function clearSlice(masks) {
  onSlice(masks, (stroke, { plane, index }, size) => {
    stroke.replace(plane, index, null, size)
    return "Nothing is painted on this slice."
  })
}

/** The next slice becomes what this one is, and is looked at. */
export function copySlice(masks) {
  onSlice(masks, (stroke, pane, size) => {
    const { plane, index } = pane
    if (index + 1 >= planeCount(masks.facts, plane)) return "This is the last slice."
    const slice = stroke.grid.slice(plane, index)
    if (!slice) return "Nothing is painted on this slice."
    stroke.replace(plane, index + 1, slice, size)
    pane.setIndex(index + 1)
    return "The next slice is the same already."
  })
}

/** Fill the gaps between painted slices. */
export function fillBetween(masks) {
  let filled = 0
  onSlice(masks, (stroke, { plane }, size) => {
    const painted = stroke.grid.paintedSlices(plane)
    const gaps = painted.slice(1).map((last, at) => [painted[at], last]).filter(([first, last]) => last - first > 1)
    for (const [first, last] of gaps) {
      const [one, other] = [first, last].map((index) => stroke.grid.slice(plane, index))
      interpolate(one, other, last - first - 1, size).forEach((slice, step) => {
        stroke.replace(plane, first + 1 + step, slice, size)
        filled += slice.includes(1)
      })
    }
    if (!gaps.length) return "Paint two slices with empty ones between them first."
    return "Nothing lies between the painted slices: their shapes are too far apart."
  })
  if (filled) masks.say(`Filled ${filled} ${filled === 1 ? "slice" : "slices"} between painted ones. Look at each; Ctrl+Z takes them back.`)
}

/** One act; `work` returns what to say where it changes nothing. */
function onSlice(masks, work) {
  const { pane, facts } = masks
  if (!pane?.facts || !facts) return masks.say("Wait for the image.")
  masks.open?.cancel()
  const stroke = masks.begin()
  if (!stroke) return
  const remark = work(stroke, pane, planeSize(facts, pane.plane))
  if (!masks.finish(stroke)) masks.say(remark)
}
