// What a brush covers on its way, line by line of a plane.

/**
 * Calls `each(y, from, to)` for every line of pixels whose centres lie within a distance of a straight way: a round
 * brush drawn along it leaves no gap, however fast the hand was.
 *
 * @param {[number, number]} start in pixels of the plane
 * @param {[number, number]} end
 * @param {number} radius in pixels across
 * @param {{rows: number, columns: number, tall: number}} plane `tall` is the height of a pixel over its width: a brush
 *   is round on the body, so it covers fewer lines where pixels are tall
 */
export function eachCoveredLine(start, end, radius, { rows, columns, tall }, each) {
  const way = { x: start[0], y: start[1] * tall, dx: end[0] - start[0], dy: (end[1] - start[1]) * tall }
  const [above, below] = start[1] < end[1] ? [start[1], end[1]] : [end[1], start[1]]
  const thin = radius < tall // a brush thinner than a line still paints the line it is on
  const first = Math.max(0, Math.floor(above - radius / tall - 0.5))
  const last = Math.min(rows - 1, Math.ceil(below + radius / tall))
  for (let y = first; y <= last; y++) {
    const isOnWay = thin && y >= Math.floor(above) && y <= Math.floor(below)
    const heights = isOnWay ? [Math.max(above, y), Math.min(below, y + 1)] : [y + 0.5]
    const spans = heights.map((height) => spanAt(way, radius, height * tall)).filter(Boolean)
    if (!spans.length) continue
    // A pixel belongs to the span that its centre lies in; open to the left, so that the smallest brush paints one pixel.
    const from = Math.max(0, Math.floor(Math.min(...spans.map(([low]) => low)) - 0.5) + 1)
    const to = Math.min(columns, Math.floor(Math.max(...spans.map(([, high]) => high)) - 0.5) + 1)
    if (from < to) each(y, from, to)
  }
}

/** Where a horizontal line cuts all that is within `radius` of the way; that shape has no dents, so it is one span. */
function spanAt({ x, y, dx, dy }, radius, height) {
  let low = Infinity
  let high = -Infinity
  for (const [middleX, middleY] of [[x, y], [x + dx, y + dy]]) {
    const rest = radius * radius - (height - middleY) ** 2
    if (rest < 0) continue
    const half = Math.sqrt(rest)
    low = Math.min(low, middleX - half)
    high = Math.max(high, middleX + half)
  }
  const side = sideAt(x, y, dx, dy, radius, height)
  if (side) {
    low = Math.min(low, side[0])
    high = Math.max(high, side[1])
  }
  return low <= high ? [low, high] : null
}

/** The same for the rectangle between the two ends. */
function sideAt(x, y, dx, dy, radius, height) {
  const length = Math.hypot(dx, dy)
  if (!length) return null
  const [alongX, alongY] = [dx / length, dy / length]
  const up = height - y
  let [low, high] = [-Infinity, Infinity]
  const limit = (slope, least, most) => {
    if (Math.abs(slope) < 1e-12) {
      if (least > 0 || most < 0) low = Infinity
      return
    }
    const [one, other] = [least / slope, most / slope]
    low = Math.max(low, Math.min(one, other))
    high = Math.min(high, Math.max(one, other))
  }
  limit(alongX, -up * alongY, length - up * alongY) // between the ends
  limit(alongY, up * alongX - radius, up * alongX + radius) // near the way
  return low <= high ? [x + low, x + high] : null
}
