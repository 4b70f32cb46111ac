// What a mark measures: a length, an angle or an area, in millimetres where the spacing is known, and the values inside. Pure.

import { axesOf, boundsOf, isClosed } from "./model.js"

const PER_UNIT = { mm: 1, cm: 10, "mm²": 1, "cm²": 100, "°": 1 } // as many of what is measured

/** Length, angle or area of a shape as {what, value, unit, at}, or null for a point. `at` says where millimetres hold. */
export function quantityOf(kind, geometry, facts) {
  const { spacing_mm: spacing } = facts
  const [down, across] = spacing ?? [1, 1]
  const [long, square] = spacing ? ["mm", "mm²"] : ["px", "px²"]
  const at = spacing && facts.spacing_at === "detector" ? "at detector" : ""
  if (kind === "length") {
    const [[x0, y0], [x1, y1]] = geometry.points
    return { what: "length", value: Math.hypot((x1 - x0) * across, (y1 - y0) * down), unit: long, at }
  }
  if (kind === "angle") return { what: "angle", value: angleOf(geometry.points, across, down), unit: "°", at: "" }
  if (!isClosed(kind)) return null
  return { what: "area", value: areaOf(kind, geometry) * across * down, unit: square, at }
}

/** Degrees between the two arms, as they lie in the patient: pixels may be longer than wide. */
function angleOf([one, vertex, other], across, down) {
  const [ax, ay] = [(one[0] - vertex[0]) * across, (one[1] - vertex[1]) * down]
  const [bx, by] = [(other[0] - vertex[0]) * across, (other[1] - vertex[1]) * down]
  return (Math.atan2(Math.abs(ax * by - ay * bx), ax * bx + ay * by) * 180) / Math.PI
}

/** In pixels. */
function areaOf(kind, geometry) {
  if (kind === "box") return geometry.width * geometry.height
  if (kind === "ellipse") return Math.PI * geometry.rx * geometry.ry
  const { points } = geometry
  const [x, y] = points[0] // as origin: small numbers keep their digits
  const twice = points.reduce((sum, [x0, y0], at) => {
    const [x1, y1] = points[(at + 1) % points.length]
    return sum + (x0 - x) * (y1 - y) - (x1 - x) * (y0 - y)
  }, 0)
  return Math.abs(twice) / 2
}

/**
 * Mean, standard deviation (of these pixels, as NumPy), least and most of the values whose pixel has its middle inside;
 * null where there is none, or where pixels have colours. Values that are no number are left out.
 */
export function valuesIn(kind, geometry, picture) {
  if (!picture || picture.channels !== 1 || !isClosed(kind)) return null
  const known = remembered(geometry)
  if (known.has(picture.key)) return known.get(picture.key)
  const found = summary(picture, [...spansOf(kind, geometry, picture)])
  known.set(picture.key, found)
  return found
}

const memory = new WeakMap() // geometry -> Map(key of a picture -> summary): geometries never change

function remembered(geometry) {
  if (!memory.has(geometry)) memory.set(geometry, new Map())
  return memory.get(geometry)
}

function summary({ values, columns }, spans) {
  let [count, sum, least, most] = [0, 0, Infinity, -Infinity]
  for (const [row, first, last] of spans) {
    for (let at = row * columns + first; at < row * columns + last; at++) {
      const value = values[at]
      if (!Number.isFinite(value)) continue
      count += 1
      sum += value
      if (value < least) least = value
      if (value > most) most = value
    }
  }
  if (!count) return null
  const mean = sum / count
  let squares = 0
  for (const [row, first, last] of spans) {
    for (let at = row * columns + first; at < row * columns + last; at++) {
      if (Number.isFinite(values[at])) squares += (values[at] - mean) ** 2
    }
  }
  return { count, mean, sd: Math.sqrt(squares / count), least, most }
}

/** The pixels inside, row by row as [row, first, beyond the last]. */
function* spansOf(kind, geometry, { rows, columns }) {
  const { top, bottom } = boundsOf(kind, geometry)
  for (let row = Math.max(0, Math.floor(top)); row < Math.min(rows, Math.ceil(bottom)); row++) {
    const crossings = crossingsOf(kind, geometry, row + 0.5)
    for (let at = 0; at + 1 < crossings.length; at += 2) {
      const first = Math.max(0, Math.ceil(crossings[at] - 0.5))
      const last = Math.min(columns, Math.ceil(crossings[at + 1] - 0.5))
      if (last > first) yield [row, first, last]
    }
  }
}

/** Where the outline crosses the middle of a row, from left to right. */
function crossingsOf(kind, geometry, y) {
  if (kind === "box") return y >= geometry.y && y < geometry.y + geometry.height ? [geometry.x, geometry.x + geometry.width] : []
  if (kind === "ellipse") return ellipseCrossings(geometry, y)
  const { points } = geometry
  const found = []
  for (let at = 0, before = points.length - 1; at < points.length; before = at++) {
    const [[x0, y0], [x1, y1]] = [points[before], points[at]]
    if (y0 <= y !== y1 <= y) found.push(x0 + ((y - y0) * (x1 - x0)) / (y1 - y0))
  }
  return found.sort((one, other) => one - other)
}

function ellipseCrossings(geometry, y) {
  const [first, second] = axesOf(geometry)
  const { rx, ry } = geometry
  const dy = y - geometry.y
  // (u/rx)² + (v/ry)² = 1 along the row, as a x² + 2 b x + c = 0 of the distance x from the middle
  const a = (first[0] / rx) ** 2 + (second[0] / ry) ** 2
  const b = dy * ((first[0] * first[1]) / rx ** 2 + (second[0] * second[1]) / ry ** 2)
  const c = dy ** 2 * ((first[1] / rx) ** 2 + (second[1] / ry) ** 2) - 1
  const root = b * b - a * c
  if (root <= 0) return []
  const half = Math.sqrt(root) / a
  return [geometry.x - b / a - half, geometry.x - b / a + half]
}

// ---- as text

/** `12.3 mm at detector`, `30.0°`; "" for a point. */
export function quantityText(kind, geometry, facts) {
  const found = quantityOf(kind, geometry, facts)
  if (!found) return ""
  const { value, unit, at } = found
  const number = value >= 1000 && found.what === "area" ? Math.round(value).toLocaleString("en-GB") : value.toFixed(value < 10 && unit !== "°" ? 2 : 1)
  return [unit === "°" ? `${number}°` : `${number} ${unit}`, at].filter(Boolean).join(" ")
}

/** What stands beside a mark, line by line: its measure, then what lies inside. */
export function measureLines(kind, geometry, facts, picture, { whole = true } = {}) {
  const lines = [quantityText(kind, geometry, facts)]
  const inside = valuesIn(kind, geometry, picture)
  const unit = facts.modality === "CT" ? " HU" : ""
  if (inside) {
    lines.push(`Mean ${short(inside.mean)}${unit}, SD ${short(inside.sd)}`)
    if (whole) lines.push(`${short(inside.least)} to ${short(inside.most)}, ${inside.count.toLocaleString("en-GB")} px`)
  }
  if (kind === "point" && picture) lines.push(valueText(geometry, picture, unit))
  return lines.filter(Boolean)
}

function valueText({ x, y }, { values, rows, columns, channels }, unit) {
  const [column, row] = [Math.min(columns - 1, Math.floor(x)), Math.min(rows - 1, Math.floor(y))]
  const start = (row * columns + column) * channels
  return `${column}, ${row}: ${Array.from(values.slice(start, start + channels), short).join(" ")}${channels === 1 ? unit : ""}`
}

function short(value) {
  const sized = Math.abs(value) >= 1000 ? Math.round(value) : Math.abs(value) >= 10 ? +value.toFixed(1) : +value.toPrecision(3)
  return String(sized).replace("-", "−")
}

// ---- as an answer

/** Whether a kind gives the quantity that a project derives its number from. */
export function gives(kind, measure) {
  return measure === "area" ? isClosed(kind) : kind === measure
}

/** What a mark says as a number in the project's unit; null where it says none, or the image has no scale. */
export function numberFrom(kind, geometry, facts, { measure, unit }) {
  if (!measure || !gives(kind, measure)) return null
  if (measure !== "angle" && !facts.spacing_mm) return null
  return quantityOf(kind, geometry, facts).value / PER_UNIT[unit]
}
