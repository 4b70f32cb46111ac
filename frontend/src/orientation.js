// Which way the patient lies in a picture, from the affine: (column, row, frame, 1) -> patient millimetres in
// DICOM's directions (PS3.3 C.7.6.2.1.1: x to the patient's left, y to the back, z to the head). Pure.

import { freshView, viewMatrix } from "./geometry.js"

const LETTERS = [["R", "L"], ["A", "P"], ["F", "H"]] // of the negative and the positive end of each axis
const SMALLEST_SHARE = 0.3 // of a direction, for a second letter: about 17°
const WEIGHTS = [1, 0.7, 0.5] // of letters told without numbers: each is still named
const OBLIQUE = 0.94 // cosine of about 20°
const NAMES = ["Sagittal", "Coronal", "Axial"]
const UNKNOWN = { frame: "Frames", row: "Across rows", column: "Across columns" }
// Seen as on film: patient left on the right (axial from the feet), head up, face to the left.
const RIGHT = [[0, 1, 0], [1, 0, 0], [1, 0, 0]] // what points to the right of the screen, by the plane's normal
const DOWN = [[0, 0, -1], [0, 0, -1], [0, 1, 0]]

function unit(vector) {
  const size = Math.hypot(...vector)
  return size > 0 ? vector.map((part) => part / size) : null
}

function dot(one, other) {
  return one.reduce((sum, part, at) => sum + part * other[at], 0)
}

/** A direction in a picture as a direction in the patient, or null where nothing is known of it. */
export function patientDirection(affine, plane, across, down) {
  const [column, row, frame] = { frame: [across, down, 0], row: [across, 0, down], column: [0, across, down] }[plane]
  return unit([0, 1, 2].map((axis) => affine[axis][0] * column + affine[axis][1] * row + affine[axis][2] * frame))
}

/** The letters of a direction, the strongest first: "L", "PH"; "" where it is unknown. */
export function lettersOf(direction) {
  if (!direction) return ""
  return direction
    .map((part, axis) => [Math.abs(part), LETTERS[axis][part > 0 ? 1 : 0]])
    .filter(([share]) => share >= SMALLEST_SHARE)
    .sort(([one], [other]) => other - one)
    .map(([, letter]) => letter)
    .join("")
}

/** What letters say as an affine, for an image that has none, as projections: {row, column} are where these lead. */
export function affineOfLetters(orientation) {
  if (!orientation) return null
  const [row, column] = [orientation.row, orientation.column].map(directionOf)
  return [0, 1, 2].map((axis) => [row[axis], column[axis], 0, 0])
}

/** "AF" as a direction: each letter weaker than the one before it. */
function directionOf(letters) {
  const ends = LETTERS.map(([negative, positive]) => [letters.indexOf(negative), letters.indexOf(positive)])
  return ends.map(([negative, positive]) => (positive >= 0 ? WEIGHTS[positive] : negative >= 0 ? -WEIGHTS[negative] : 0))
}

/** What stands at the edges of a picture drawn with a matrix: {left, right, top, bottom}, or null without an affine. */
export function edgeLetters(affine, plane, [a, b, c, d]) {
  if (!affine) return null
  const determinant = a * d - b * c
  const right = patientDirection(affine, plane, d / determinant, -b / determinant)
  const bottom = patientDirection(affine, plane, -c / determinant, a / determinant)
  const other = (direction) => direction && direction.map((part) => -part)
  return { right: lettersOf(right), left: lettersOf(other(right)), bottom: lettersOf(bottom), top: lettersOf(other(bottom)) }
}

/** The axis of the patient that a plane is cut across: 0 sagittal, 1 coronal, 2 axial; with how squarely. */
function normalOf(affine, plane) {
  const across = patientDirection(affine, plane, 1, 0)
  const down = patientDirection(affine, plane, 0, 1)
  if (!across || !down) return null
  const normal = unit([0, 1, 2].map((axis) => {
    const [next, last] = [(axis + 1) % 3, (axis + 2) % 3]
    return across[next] * down[last] - across[last] * down[next]
  }))
  if (!normal) return null
  const shares = normal.map(Math.abs)
  const axis = shares.indexOf(Math.max(...shares))
  return { axis, share: shares[axis] }
}

/** "Axial", "Oblique coronal"; without an affine what is known: along which of the stored axes it is cut. */
export function planeName(affine, plane) {
  const normal = affine && normalOf(affine, plane)
  if (!normal) return UNKNOWN[plane]
  const name = NAMES[normal.axis]
  return normal.share < OBLIQUE ? `Oblique ${name.toLowerCase()}` : name
}

/** The view in which a picture is hung as on film; as stored where the affine is unknown. */
export function usualView(affine, plane) {
  const normal = affine && normalOf(affine, plane)
  if (!normal) return freshView()
  let best = freshView()
  let most = -Infinity
  for (const turns of [0, 1, 2, 3]) {
    for (const flipX of [false, true]) {
      const view = { ...freshView(), turns, flipX }
      const [a, b, c, d] = viewMatrix({ rows: 1, columns: 1 }, { width: 1, height: 1 }, view)
      const determinant = a * d - b * c
      const right = patientDirection(affine, plane, d / determinant, -b / determinant)
      const down = patientDirection(affine, plane, -c / determinant, a / determinant)
      const fits = dot(right, RIGHT[normal.axis]) + dot(down, DOWN[normal.axis])
      if (fits > most + 1e-6) [best, most] = [view, fits]
    }
  }
  return best
}
