// Shapes between painted slices, by their distance maps: S. P. Raya and J. K. Udupa, Shape-based interpolation of
// multidimensional objects, IEEE Transactions on Medical Imaging 9 (1990) 32-42, doi:10.1109/42.52980. The distances are
// exact here (theirs are city-block): P. F. Felzenszwalb and D. P. Huttenlocher, Distance transforms of sampled
// functions, Theory of Computing 8 (2012) 415-428, doi:10.4086/toc.2012.v008a019.

const FAR = 1e20

/**
 * How far each pixel is from the outline, in widths of a pixel: positive inside, negative outside.
 *
 * @param {Uint8Array} slice
 * @param {{rows: number, columns: number, tall: number}} size
 */
export function signedDistance(slice, size) {
  const toOutside = squaredDistance(slice, 0, size)
  const toInside = squaredDistance(slice, 1, size)
  // The outline runs half way between the centres of a pixel inside and one outside.
  return Float32Array.from(slice, (value, at) => (value ? Math.sqrt(toOutside[at]) - 0.5 : 0.5 - Math.sqrt(toInside[at])))
}

/** The squared distance of each pixel to the nearest one of a value. */
function squaredDistance(slice, value, { rows, columns, tall }) {
  const found = Float64Array.from(slice, (own) => (own === value ? 0 : FAR))
  const longest = Math.max(rows, columns)
  const room = { line: new Float64Array(longest), made: new Float64Array(longest), parabolas: new Int32Array(longest), edges: new Float64Array(longest + 1) }
  for (let x = 0; x < columns; x++) alongLine(found, x, columns, rows, tall, room)
  for (let y = 0; y < rows; y++) alongLine(found, y * columns, 1, columns, 1, room)
  return found
}

/** The lower envelope of the parabolas over one line. */
function alongLine(values, start, step, count, wide, { line, made, parabolas, edges }) {
  let any = false
  for (let at = 0; at < count; at++) {
    line[at] = values[start + at * step]
    any ||= line[at] < FAR
  }
  if (!any) return
  let last = -1
  const square = wide * wide
  for (let at = 0; at < count; at++) {
    if (line[at] >= FAR) continue
    let edge = -Infinity
    while (last >= 0) {
      const other = parabolas[last]
      edge = (line[at] - line[other] + square * (at * at - other * other)) / (2 * square * (at - other))
      if (edge > edges[last]) break
      last--
    }
    if (last < 0) edge = -Infinity
    last++
    parabolas[last] = at
    edges[last] = edge
    edges[last + 1] = Infinity
  }
  for (let at = 0, which = 0; at < count; at++) {
    while (edges[which + 1] < at) which++
    made[at] = square * (at - parabolas[which]) ** 2 + line[parabolas[which]]
  }
  for (let at = 0; at < count; at++) values[start + at * step] = made[at]
}

/**
 * The slices between two painted ones.
 *
 * @param {Uint8Array} first slice, painted
 * @param {Uint8Array} last
 * @param {number} between how many slices lie between them
 * @returns {Uint8Array[]}
 */
export function interpolate(first, last, between, size) {
  const part = partOf([first, last], size)
  const distances = [first, last].map((slice) => signedDistance(cutOut(slice, part, size), part))
  return Array.from({ length: between }, (_, step) => {
    const share = (step + 1) / (between + 1)
    const made = new Uint8Array(size.rows * size.columns)
    for (let y = 0, at = 0; y < part.rows; y++) {
      const row = (y + part.top) * size.columns + part.left
      for (let x = 0; x < part.columns; x++, at++) {
        if ((1 - share) * distances[0][at] + share * distances[1][at] > 0) made[row + x] = 1
      }
    }
    return made
  })
}

/** The part of the slices where something is painted in one of them, and a pixel around it. */
function partOf(slices, { rows, columns, tall }) {
  let [left, top, right, bottom] = [columns, rows, -1, -1]
  for (const slice of slices) {
    for (let y = 0; y < rows; y++) {
      const line = slice.subarray(y * columns, (y + 1) * columns)
      const from = line.indexOf(1)
      if (from < 0) continue
      left = Math.min(left, from)
      right = Math.max(right, line.lastIndexOf(1))
      top = Math.min(top, y)
      bottom = y
    }
  }
  left = Math.max(0, left - 1)
  top = Math.max(0, top - 1)
  return { left, top, columns: Math.min(columns, right + 2) - left, rows: Math.min(rows, bottom + 2) - top, tall }
}

function cutOut(slice, { left, top, columns, rows }, size) {
  const made = new Uint8Array(rows * columns)
  for (let y = 0; y < rows; y++) {
    const start = (y + top) * size.columns + left
    made.set(slice.subarray(start, start + columns), y * columns)
  }
  return made
}
