// A bar of a round length: millimetres only where spacing is known.

const LONGEST_SHARE = 0.22 // of the pane's width

/** Millimetres between columns and between rows of a picture, or null. */
export function planeSpacing(facts, plane) {
  const { spacing_mm: spacing, slice_spacing_mm: between } = facts
  if (!spacing) return null
  if (plane === "frame") return { across: spacing[1], down: spacing[0] }
  if (!between) return null
  return { across: plane === "row" ? spacing[1] : spacing[0], down: between }
}

/** How long a way to the right on the screen is, per canvas pixel: {size, unit}. */
export function lengthPerPixel(facts, plane, [a, b, c, d]) {
  const determinant = a * d - b * c
  const [x, y] = [d / determinant, -b / determinant]
  const spacing = planeSpacing(facts, plane)
  if (!spacing) return { size: Math.hypot(x, y), unit: "px" }
  return { size: Math.hypot(x * spacing.across, y * spacing.down), unit: "mm" }
}

/** The bar for a pane: {pixels, text}, with 1, 2 or 5 and noughts before the unit. */
export function scaleBar(facts, plane, matrix, width) {
  const { size, unit } = lengthPerPixel(facts, plane, matrix)
  const most = size * width * LONGEST_SHARE
  if (!(most > 0) || !Number.isFinite(most)) return null
  const power = 10 ** Math.floor(Math.log10(most))
  const length = [5, 2, 1].find((step) => step * power <= most) * power
  const told = length >= 1 ? String(Math.round(length)) : String(+length.toPrecision(1))
  const where = unit === "mm" && facts.spacing_at === "detector" ? " at detector" : ""
  return { pixels: length / size, text: `${told} ${unit}${where}` }
}
