// Connected regions of a slice, by lines: a whole line is looked at once, not every pixel from each of its neighbours.

/**
 * The region of pixels connected by their sides to (x, y).
 *
 * @param {{rows: number, columns: number}} size
 * @param {(place: number) => boolean} isOpen whether a pixel may belong to it
 * @param {number} most pixels; a larger region is not followed to its end
 * @returns {{region: Uint8Array, count: number, isOver: boolean, meetsEdge: boolean}}
 */
export function floodFrom(x, y, { rows, columns }, isOpen, most = Infinity) {
  const region = new Uint8Array(rows * columns)
  const found = { region, count: 0, isOver: false, meetsEdge: false }
  const waiting = [[x, y]]
  const free = (place) => !region[place] && isOpen(place)
  while (waiting.length) {
    const [startX, line] = waiting.pop()
    const start = line * columns
    if (!free(start + startX)) continue
    let left = startX
    while (left > 0 && free(start + left - 1)) left--
    let right = startX
    while (right < columns - 1 && free(start + right + 1)) right++
    region.fill(1, start + left, start + right + 1)
    found.count += right - left + 1
    if (line === 0 || line === rows - 1 || left === 0 || right === columns - 1) found.meetsEdge = true
    if (found.count > most) return { ...found, isOver: true }
    for (const next of [line - 1, line + 1]) {
      if (next < 0 || next >= rows) continue
      for (let at = left; at <= right; at++) {
        // One pixel of each stretch is enough: the others are found from it.
        if (free(next * columns + at) && (at === left || !free(next * columns + at - 1))) waiting.push([at, next])
      }
    }
  }
  return found
}
