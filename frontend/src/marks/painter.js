// Draws the marks of a pane's frame on the canvas above its picture: lines, handles, and what each is and measures.
// Everything is placed in canvas pixels, so that text stays upright however the picture is turned or flipped.

import { measureLines } from "./measures.js"
import { handlesOf, isClosed, middlesOf, outline } from "./model.js"

const PLAIN = "#ffd866" // of marks without a class
const HALO = "rgb(0 0 0 / 65%)"
const PLATE = "rgb(8 11 15 / 78%)"
const COVER = "rgb(0 0 0 / 82%)" // of what goes black: what is under it can just be seen
const GAP_PX = 6
const LINE_PX = 15 // from line to line of text
const PAD_PX = 4
const CORNER_PX = [180, 42] // where the pane says what is shown and how

export function colourOf(mark, classes) {
  return classes.find((label) => label.name === mark.label)?.colour ?? PLAIN
}

/** @param {import("./marks.js").Marks} marks */
export function paintMarks(context, pane, marks) {
  if (pane.plane !== "frame" || !pane.matrix) return
  const ratio = globalThis.devicePixelRatio || 1
  const { selected, draft } = marks
  const shown = marks.visibleOn(pane.index).map((mark) => marks.asPreviewed(mark))
  if (draft?.frame === pane.index) shown.push({ ...draft, label: marks.nextLabel, isDraft: true })
  const toCanvas = ([x, y]) => pane.toCanvas(x, y)
  const plates = []
  for (const mark of shown) {
    const line = outline(mark.kind, mark.geometry).map(toCanvas)
    const isChosen = Boolean(selected) && mark.mark === selected.mark
    const colour = colourOf(mark, marks.classes)
    const look = { ratio, colour, isChosen, isTheirs: Boolean(mark.theirs), covers: marks.covers }
    if (mark.kind === "point") paintPoint(context, line[0], look)
    else paintLine(context, line, { ...look, closed: isClosed(mark.kind) && !mark.open })
    if (isChosen && marks.isMine(mark)) {
      paintSpots(context, middlesOf(mark.kind, mark.geometry).map(toCanvas), { ratio, colour, radius: 2.5 })
      paintSpots(context, handlesOf(mark.kind, mark.geometry).map(toCanvas), { ratio, colour: "#ffffff", radius: 3.5, chosen: marks.vertex })
    } else if (mark.kind === "length" || mark.kind === "angle" || mark.open) paintSpots(context, line, { ratio, colour, radius: 2.5 })
    const lines = marks.covers ? [] : textOf(mark, Boolean(isChosen || mark.isDraft), pane)
    if (lines.length && isOnScreen(line, pane.size())) plates.push({ lines, line, colour, isChosen })
  }
  // Text last, the chosen one's first: the others give way.
  const taken = cornersOf(pane.size(), ratio)
  for (const plate of plates.sort((one, other) => Number(other.isChosen) - Number(one.isChosen))) taken.push(paintPlate(context, plate, pane.size(), taken, ratio))
}

/** Class, reader and measure; of a mark with a class the measure of a region only while it is chosen. */
export function textOf(mark, isChosen, pane) {
  const named = [mark.theirs, mark.label].filter(Boolean).join(": ")
  if (mark.open && !isMeasurable(mark)) return named ? [named] : []
  const isMeasure = mark.kind === "length" || mark.kind === "angle"
  const asks = isChosen || isMeasure || (!mark.label && mark.kind !== "box" && mark.kind !== "point")
  const lines = asks ? measureLines(mark.kind, mark.geometry, pane.facts, mark.isDraft ? null : pane.volume?.at(mark.frame), { whole: isChosen }) : []
  return [named, ...lines].filter(Boolean)
}

function isMeasurable({ kind, geometry }) {
  return geometry.points?.length === { length: 2, angle: 3 }[kind]
}

function paintLine(context, line, { ratio, colour, isChosen, isTheirs, closed, covers }) {
  context.beginPath()
  line.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)))
  if (closed) context.closePath()
  if (closed && covers) {
    context.fillStyle = COVER
    context.fill()
  }
  context.lineJoin = "round"
  context.setLineDash(isTheirs ? [6 * ratio, 4 * ratio] : [])
  for (const [width, style] of [[isChosen ? 4.5 : 3.5, HALO], [isChosen ? 2.2 : 1.5, colour]]) {
    context.lineWidth = width * ratio
    context.strokeStyle = style
    context.stroke()
  }
  context.setLineDash([])
}

/** A ring with a cross: what lies under it stays to be seen. */
function paintPoint(context, [x, y], { ratio, colour, isChosen, isTheirs }) {
  const [radius, arm] = [5 * ratio, 10 * ratio]
  context.beginPath()
  context.arc(x, y, radius, 0, 2 * Math.PI)
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + dx * radius, y + dy * radius)
    context.lineTo(x + dx * arm, y + dy * arm)
  }
  context.setLineDash(isTheirs ? [3 * ratio, 2 * ratio] : [])
  for (const [width, style] of [[isChosen ? 4.5 : 3.5, HALO], [isChosen ? 2.4 : 1.5, colour]]) {
    context.lineWidth = width * ratio
    context.strokeStyle = style
    context.stroke()
  }
  context.setLineDash([])
}

function paintSpots(context, spots, { ratio, colour, radius, chosen = -1 }) {
  spots.forEach(([x, y], at) => {
    context.beginPath()
    context.arc(x, y, (at === chosen ? radius + 2 : radius) * ratio, 0, 2 * Math.PI)
    context.fillStyle = at === chosen ? PLAIN : colour
    context.fill()
    context.lineWidth = ratio
    context.strokeStyle = "#000000"
    context.stroke()
  })
}

/** Text beside a shape: below it, else above, to the right or to the left, wherever it fits and covers no other text. */
function paintPlate(context, { lines, line, colour }, size, taken, ratio) {
  context.font = `${12 * ratio}px system-ui, sans-serif`
  context.textBaseline = "middle"
  const width = Math.max(...lines.map((text) => context.measureText(text).width)) + 2 * PAD_PX * ratio
  const height = (lines.length * LINE_PX + 2) * ratio
  const place = placeText(line, { width, height }, size, taken, GAP_PX * ratio)
  context.fillStyle = PLATE
  context.fillRect(place.x, place.y, width, height)
  context.fillStyle = colour
  context.fillRect(place.x, place.y, 2 * ratio, height)
  lines.forEach((text, at) => {
    context.fillStyle = "#ffffff"
    context.fillText(text, place.x + PAD_PX * ratio, place.y + (at * LINE_PX + LINE_PX / 2 + 1) * ratio)
  })
  return { ...place, width, height }
}

/** Text of what is not on the screen would name something else. */
export function isOnScreen(line, { width, height }) {
  const [xs, ys] = [0, 1].map((axis) => line.map((point) => point[axis]))
  return Math.max(...xs) >= 0 && Math.min(...xs) <= width && Math.max(...ys) >= 0 && Math.min(...ys) <= height
}

function cornersOf(size, ratio) {
  const [width, height] = CORNER_PX.map((side) => side * ratio)
  return [0, size.width - width].flatMap((x) => [0, size.height - height].map((y) => ({ x, y, width, height })))
}

/** Where a plate of text goes: {x, y} of its upper left corner. */
export function placeText(line, { width, height }, size, taken, gap) {
  const [xs, ys] = [0, 1].map((axis) => line.map((point) => point[axis]))
  // What is only partly on the screen gets its text where it is seen.
  const [left, right] = [Math.min(...xs), Math.max(...xs)].map((x) => Math.min(size.width, Math.max(0, x)))
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)].map((y) => Math.min(size.height, Math.max(0, y)))
  const candidates = [
    [left, bottom + gap], [left, top - gap - height], [right + gap, top], [left - gap - width, top],
    [right + gap, bottom - height], [left, bottom + 2 * gap + height], [left, top - 2 * (gap + height)],
  ].map(([x, y]) => ({ x, y }))
  const fits = ({ x, y }) => x >= 0 && y >= 0 && x + width <= size.width && y + height <= size.height
  const isFree = ({ x, y }) => taken.every((other) => x >= other.x + other.width || other.x >= x + width || y >= other.y + other.height || other.y >= y + height)
  const found = candidates.find((place) => fits(place) && isFree(place)) ?? candidates.find(fits) ?? candidates[0]
  return { x: Math.min(Math.max(0, size.width - width), Math.max(0, found.x)), y: Math.min(Math.max(0, size.height - height), Math.max(0, found.y)) }
}
