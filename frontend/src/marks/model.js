// The shapes readers draw, in image coordinates of a stored frame: x along columns, y along rows, pixel (c, r) covers
// [c, c + 1) x [r, r + 1). Geometries are never changed in place: every change gives a new one. Pure.

/** What each kind is called, whether it encloses pixels, and how many points it takes where it is made of points. */
export const KINDS = {
  box: { title: "Box", closed: true },
  ellipse: { title: "Ellipse", closed: true },
  polygon: { title: "Polygon", closed: true, points: [3, Infinity] },
  freehand: { title: "Freehand", closed: true, points: [3, Infinity] },
  point: { title: "Point", closed: false },
  length: { title: "Length", closed: false, points: [2, 2] },
  angle: { title: "Angle", closed: false, points: [3, 3] },
}

// Coordinates are multiples of this, so that sums of them are exact: x + width never lies beyond the edge by a rounding.
const GRAIN = 1 / 64
const ARC = 72 // points of a drawn ellipse

/** What only measures is no evidence for a class unless somebody says so. */
export function isMeasure(kind) {
  return kind === "length" || kind === "angle"
}

export function isClosed(kind) {
  return KINDS[kind].closed
}

function grained(value) {
  return Math.round(value / GRAIN) * GRAIN
}

function clip(value, most) {
  return Math.min(most, Math.max(0, value))
}

/** The nearest point that lies in the image; `size` is {rows, columns}. */
export function clampPoint([x, y], { rows, columns }) {
  return [clip(grained(x), columns), clip(grained(y), rows)]
}

export function isInside([x, y], { rows, columns }) {
  return x >= 0 && y >= 0 && x <= columns && y <= rows
}

// ---- making

/** The box or the ellipse between two opposite corners, or null where it would have no area. */
export function betweenCorners(kind, from, to, size) {
  const [one, other] = [clampPoint(from, size), clampPoint(to, size)]
  const sides = { left: Math.min(one[0], other[0]), right: Math.max(one[0], other[0]), top: Math.min(one[1], other[1]), bottom: Math.max(one[1], other[1]) }
  if (sides.right === sides.left || sides.bottom === sides.top) return null
  if (kind === "box") return boxOf(sides)
  const [rx, ry] = [(sides.right - sides.left) / 2, (sides.bottom - sides.top) / 2]
  return { x: sides.left + rx, y: sides.top + ry, rx, ry }
}

function boxOf({ left, right, top, bottom }) {
  return { x: left, y: top, width: right - left, height: bottom - top }
}

/** A point or what is made of points, in the image. */
export function ofPoints(kind, points, size) {
  const inside = points.map((point) => clampPoint(point, size))
  return kind === "point" ? { x: inside[0][0], y: inside[0][1] } : { points: inside }
}

/** Whether there are points enough, and not all on one spot. */
export function isWhole(kind, geometry) {
  const [least, most] = KINDS[kind].points ?? [0, 0]
  if (!geometry) return false
  if (!KINDS[kind].points) return true
  const { points } = geometry
  if (points.length < least || points.length > most) return false
  const { left, right, top, bottom } = boundsOf(kind, geometry)
  return isClosed(kind) ? right > left && bottom > top : right > left || bottom > top
}

/** A line with as few points as keep it within `tolerance` of the one that was drawn (Ramer, Douglas and Peucker). */
export function simplified(points, tolerance) {
  if (points.length < 3) return points
  const kept = new Uint8Array(points.length)
  kept[0] = kept[points.length - 1] = 1
  const open = [[0, points.length - 1]]
  while (open.length) {
    const [first, last] = open.pop()
    let far = tolerance
    let at = -1
    for (let one = first + 1; one < last; one++) {
      const distance = toSegment(points[one], points[first], points[last])
      if (distance > far) [far, at] = [distance, one]
    }
    if (at < 0) continue
    kept[at] = 1
    open.push([first, at], [at, last])
  }
  return points.filter((_, one) => kept[one])
}

// ---- asking

/** Points along the shape; the last is joined with the first where the kind is closed. */
export function outline(kind, geometry) {
  if (kind === "box") {
    const { x, y, width, height } = geometry
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
  }
  if (kind === "ellipse") {
    return Array.from({ length: ARC }, (_, at) => onEllipse(geometry, Math.cos((2 * Math.PI * at) / ARC), Math.sin((2 * Math.PI * at) / ARC)))
  }
  return kind === "point" ? [[geometry.x, geometry.y]] : geometry.points
}

/** The axes of an ellipse as unit vectors; its angle is in degrees, from the x axis towards the y axis. */
export function axesOf({ angle = 0 }) {
  const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)]
  return [[cos, sin], [-sin, cos]]
}

function onEllipse(geometry, along, across) {
  const [first, second] = axesOf(geometry)
  const { x, y, rx, ry } = geometry
  return [x + along * rx * first[0] + across * ry * second[0], y + along * rx * first[1] + across * ry * second[1]]
}

export function boundsOf(kind, geometry) {
  if (kind === "ellipse") {
    const [first, second] = axesOf(geometry)
    const [wide, high] = [0, 1].map((axis) => Math.hypot(geometry.rx * first[axis], geometry.ry * second[axis]))
    return { left: geometry.x - wide, right: geometry.x + wide, top: geometry.y - high, bottom: geometry.y + high }
  }
  const found = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity }
  for (const [x, y] of outline(kind, geometry)) {
    found.left = Math.min(found.left, x)
    found.right = Math.max(found.right, x)
    found.top = Math.min(found.top, y)
    found.bottom = Math.max(found.bottom, y)
  }
  return found
}

/** Whether a closed shape covers a point; where an outline crosses itself, by the even-odd rule. */
export function covers(kind, geometry, x, y) {
  if (kind === "box") return x >= geometry.x && y >= geometry.y && x < geometry.x + geometry.width && y < geometry.y + geometry.height
  if (kind === "ellipse") {
    const [first, second] = axesOf(geometry)
    const [dx, dy] = [x - geometry.x, y - geometry.y]
    return ((dx * first[0] + dy * first[1]) / geometry.rx) ** 2 + ((dx * second[0] + dy * second[1]) / geometry.ry) ** 2 < 1
  }
  let inside = false
  const { points } = geometry
  for (let at = 0, before = points.length - 1; at < points.length; before = at++) {
    const [[x0, y0], [x1, y1]] = [points[before], points[at]]
    if (y0 <= y !== y1 <= y && x < x0 + ((y - y0) * (x1 - x0)) / (y1 - y0)) inside = !inside
  }
  return inside
}

function toSegment([x, y], [x0, y0], [x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0]
  const long = dx * dx + dy * dy
  const share = long ? Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / long)) : 0
  return Math.hypot(x - x0 - share * dx, y - y0 - share * dy)
}

// ---- handles

/** Where a shape can be taken hold of to change its form. */
export function handlesOf(kind, geometry) {
  if (kind === "box") {
    const { x, y, width, height } = geometry
    return BOX_HANDLES.map(([across, down]) => [x + (across * width) / 2, y + (down * height) / 2])
  }
  if (kind === "ellipse") return ELLIPSE_HANDLES.map(([along, across]) => onEllipse(geometry, along, across))
  return kind === "point" ? [] : geometry.points
}

// Halves of the width and of the height: corners and the middles of sides.
const BOX_HANDLES = [[0, 0], [1, 0], [2, 0], [2, 1], [2, 2], [1, 2], [0, 2], [0, 1]]
const ELLIPSE_HANDLES = [[1, 0], [0, 1], [-1, 0], [0, -1]]

/** The middles of a polygon's sides: pulling at one makes a new corner there. */
export function middlesOf(kind, geometry) {
  if (kind !== "polygon") return []
  const { points } = geometry
  return points.map(([x, y], at) => {
    const [nextX, nextY] = points[(at + 1) % points.length]
    return [(x + nextX) / 2, (y + nextY) / 2]
  })
}

/** The shape after one of its handles was pulled to a point; the same shape where it would vanish. */
export function withHandle(kind, geometry, handle, to, size) {
  const point = clampPoint(to, size)
  if (kind === "box") return withSide(geometry, BOX_HANDLES[handle], point)
  if (kind === "ellipse") {
    const pulled = withAxis(geometry, ELLIPSE_HANDLES[handle], point)
    return isInside([pulled.x, pulled.y], size) ? pulled : geometry
  }
  if (kind === "point") return { x: point[0], y: point[1] }
  const points = geometry.points.map((one, at) => (at === handle ? point : one))
  return isWhole(kind, { points }) ? { points } : geometry
}

/** The opposite side stays; a side that is pulled across it changes places with it. */
function withSide(geometry, [across, down], [x, y]) {
  const ends = [geometry.x, geometry.x + geometry.width, geometry.y, geometry.y + geometry.height].map(grained)
  if (across !== 1) ends[across / 2] = x
  if (down !== 1) ends[2 + down / 2] = y
  const [left, right] = ends.slice(0, 2).sort((one, other) => one - other)
  const [top, bottom] = ends.slice(2).sort((one, other) => one - other)
  return right > left && bottom > top ? boxOf({ left, right, top, bottom }) : geometry
}

/** The opposite end of the axis stays. */
function withAxis(geometry, [along, across], point) {
  const axis = axesOf(geometry)[along ? 0 : 1].map((part) => part * (along || across))
  const radius = along ? "rx" : "ry"
  const [fixedX, fixedY] = onEllipse(geometry, -along, -across)
  const long = grained(((point[0] - fixedX) * axis[0] + (point[1] - fixedY) * axis[1]) / 2)
  if (!long) return geometry
  return { ...geometry, x: fixedX + axis[0] * long, y: fixedY + axis[1] * long, [radius]: Math.abs(long) }
}

/** The shape moved as a whole, as far as the image reaches. */
export function moved(kind, geometry, dx, dy, { rows, columns }) {
  const { left, right, top, bottom } = boundsOf(kind, geometry)
  const x = within(grained(dx), Math.min(0, -left), Math.max(0, columns - right))
  const y = within(grained(dy), Math.min(0, -top), Math.max(0, rows - bottom))
  if (geometry.points) return { points: geometry.points.map((point) => [clip(point[0] + x, columns), clip(point[1] + y, rows)]) }
  if (kind !== "box") return { ...geometry, x: clip(geometry.x + x, columns), y: clip(geometry.y + y, rows) }
  const sides = [geometry.x, geometry.x + geometry.width].map((side) => clip(grained(side + x), columns))
  const ends = [geometry.y, geometry.y + geometry.height].map((side) => clip(grained(side + y), rows))
  return boxOf({ left: sides[0], right: sides[1], top: ends[0], bottom: ends[1] })
}

function within(value, least, most) {
  return Math.min(most, Math.max(least, value))
}

/** A polygon with one corner more, after the one of this number. */
export function withVertex(geometry, after, to, size) {
  const point = clampPoint(to, size)
  return { points: [...geometry.points.slice(0, after + 1), point, ...geometry.points.slice(after + 1)] }
}

/** The outline without one of its corners, or null where too few would be left. */
export function withoutVertex(kind, geometry, at) {
  const changed = { points: geometry.points.filter((_, one) => one !== at) }
  return isWhole(kind, changed) ? changed : null
}

// ---- hit testing, in pixels of the canvas

/**
 * What of a shape lies under a point of the canvas: {part: "handle" | "middle", index}, {part: "edge"}, {part: "body"} or null.
 *
 * @param {(x: number, y: number) => [number, number]} toCanvas where a point of the image lies on the canvas
 * @param {{reach: number, handles: boolean}} how `reach` in canvas pixels; handles only of what is chosen
 */
export function hit(kind, geometry, [x, y], toCanvas, { reach, handles }) {
  const near = (point) => {
    const [atX, atY] = toCanvas(...point)
    return Math.hypot(atX - x, atY - y) <= reach
  }
  if (handles) {
    const index = nearest(handlesOf(kind, geometry), [x, y], toCanvas, reach)
    if (index >= 0) return { part: "handle", index }
    const middle = middlesOf(kind, geometry).findIndex(near)
    if (middle >= 0) return { part: "middle", index: middle }
  }
  const line = outline(kind, geometry).map((point) => toCanvas(...point))
  if (line.length === 1) return near(outline(kind, geometry)[0]) ? { part: "edge" } : null
  const sides = isClosed(kind) ? line.length : line.length - 1
  for (let at = 0; at < sides; at++) {
    if (toSegment([x, y], line[at], line[(at + 1) % line.length]) <= reach) return { part: "edge" }
  }
  return isClosed(kind) && covers("polygon", { points: line }, x, y) ? { part: "body" } : null
}

function nearest(points, [x, y], toCanvas, reach) {
  let [found, far] = [-1, reach]
  points.forEach((point, at) => {
    const [atX, atY] = toCanvas(...point)
    const distance = Math.hypot(atX - x, atY - y)
    if (distance <= far) [found, far] = [at, distance]
  })
  return found
}
