// The brush around the pointer, on every pane of the case.

import { pixelOf, reach } from "./brush.js"

/** Draws it; of a ball also where it cuts the other planes. */
export function paintCursor(masks, context, pane) {
  const { pointer, facts, kind } = masks
  if (!pointer || !facts || !masks.tool(kind)?.isBrush || pane.facts !== pointer.pane.facts || !pane.matrix) return
  const inOther = pane !== pointer.pane || pane.index !== pointer.index
  if (inOther && kind !== "ball") return
  const { size } = masks.settings
  const seen = inOther ? cutOf(facts, size, pointer, pane) : { x: pointer.x, y: pointer.y, radius: radiusIn(facts, size, pane.plane) }
  if (!seen) return
  const [a, b] = pane.matrix
  const [x, y] = pane.toCanvas(seen.x, seen.y)
  const radius = Math.max(1, seen.radius * Math.hypot(a, b))
  for (const [width, colour] of [[3, "rgb(0 0 0 / 60%)"], [1.5, kind === "eraser" ? "#ffffff" : masks.active.colour]]) {
    context.beginPath()
    context.arc(x, y, radius, 0, 2 * Math.PI)
    context.lineWidth = width
    context.strokeStyle = colour
    context.stroke()
  }
}

function radiusIn(facts, size, plane) {
  return reach(facts, plane, 0, size, false)[0][1]
}

/** Where another plane cuts the ball around the pointer. */
function cutOf(facts, size, { plane, index, x, y }, pane) {
  if (plane === pane.plane) return null
  const place = { frame: [x, y, index + 0.5], row: [x, index + 0.5, y], column: [index + 0.5, x, y] }[plane]
  const [own, acrossAt, downAt] = { frame: [2, 0, 1], row: [1, 0, 2], column: [0, 1, 2] }[pane.plane]
  const { across, through } = pixelOf(facts, pane.plane)
  const far = ((pane.index + 0.5 - place[own]) * through) / across
  const rest = radiusIn(facts, size, pane.plane) ** 2 - far ** 2
  return rest > 0 ? { x: place[acrossAt], y: place[downAt], radius: Math.sqrt(rest) } : null
}
