// The three ways to cut a volume: "frame" as it is stored, "row" and "column" across the stored frames. Pure.
//
// A volume lies in memory frame by frame, each row by row. In the plane "row" columns go across and frames down;
// in the plane "column" rows go across and frames down.

export const PLANES = ["frame", "row", "column"]

/** Rows and columns of the pictures of a plane; `tall` is the height of a pixel over its width, 1 where unknown. */
export function planeSize(facts, plane) {
  const { rows, columns, frames = 1, spacing_mm: spacing, slice_spacing_mm: between } = facts
  if (plane === "row") return { rows: frames, columns, tall: spacing && between ? between / spacing[1] : 1 }
  if (plane === "column") return { rows: frames, columns: rows, tall: spacing && between ? between / spacing[0] : 1 }
  return { rows, columns, tall: spacing ? spacing[0] / spacing[1] : 1 }
}

/** How many pictures a plane has. */
export function planeCount(facts, plane) {
  return { frame: facts.frames ?? 1, row: facts.rows, column: facts.columns }[plane]
}

/**
 * Where a point of a picture lies in the volume: [column, row, frame], all three continuous as x and y are.
 * Slice i covers [i, i + 1) and its middle is i + 0.5, so `Math.floor` of each gives the voxel.
 */
export function toVoxel(plane, index, x, y) {
  const middle = index + 0.5
  if (plane === "row") return [x, middle, y]
  if (plane === "column") return [middle, x, y]
  return [x, y, middle]
}

/** The picture of a plane in which a point of the volume lies, and where in it. */
export function fromVoxel(plane, column, row, frame) {
  if (plane === "row") return { index: Math.floor(row), x: column, y: frame }
  if (plane === "column") return { index: Math.floor(column), x: row, y: frame }
  return { index: Math.floor(frame), x: column, y: row }
}

/** Where the values of a picture lie in a volume: `start`, and the steps to the next column and the next row. */
function walk({ frames, rows, columns }, plane, index) {
  if (plane === "row") return { high: frames, wide: columns, start: index * columns, across: 1, down: rows * columns }
  if (plane === "column") return { high: frames, wide: rows, start: index, across: columns, down: rows * columns }
  return { high: rows, wide: columns, start: index * rows * columns, across: 1, down: columns }
}

/** One slice of a volume as an array of its own, `channels` values for each pixel. */
function cut(values, dims, plane, index, channels) {
  const { high, wide, start, across, down } = walk(dims, plane, index)
  const made = new values.constructor(high * wide * channels)
  for (let row = 0, to = 0; row < high; row++) {
    let from = (start + row * down) * channels
    if (across === 1) {
      made.set(values.subarray(from, from + wide * channels), to)
      to += wide * channels
    } else {
      for (let column = 0; column < wide; column++, from += across * channels) {
        for (let channel = 0; channel < channels; channel++) made[to++] = values[from + channel]
      }
    }
  }
  return made
}

/** One slice of a mask; `dims` is {frames, rows, columns}. */
export function sliceMask(values, dims, plane, index) {
  return cut(values, dims, plane, index, 1)
}

/** Puts a slice back into a mask. */
export function writeSlice(values, dims, plane, index, slice) {
  const { high, wide, start, across, down } = walk(dims, plane, index)
  for (let row = 0, from = 0; row < high; row++) {
    let to = start + row * down
    for (let column = 0; column < wide; column++, to += across) values[to] = slice[from++]
  }
}

/**
 * A picture of a volume, or null where nothing of it is loaded. Stored frames are views of the volume's own memory;
 * the other planes are copies, with a new `key` as more frames come in.
 */
export function pictureOf(volume, plane, index) {
  if (plane === "frame") return volume.at(index)
  if (!volume.values) return null
  const { facts, channels, kind } = volume
  const { rows, columns, tall } = planeSize(facts, plane)
  const version = volume.isComplete() ? "" : `:${volume.loaded}`
  return {
    key: `${volume.key}:${plane}:${index}${version}`,
    rows, columns, tall, channels, kind,
    values: cut(volume.values, facts, plane, index, channels),
  }
}
