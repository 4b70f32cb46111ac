// How much is painted, in the unit that the image allows.

/** `12.3 ml` of a volume, `4.5 cm²` of an image with a known scale, else pixels. */
export function amountText(count, { frames = 1, spacing_mm: spacing, slice_spacing_mm: between, spacing_at: at }) {
  if (!count) return "–"
  if (frames > 1 && spacing && between) return `${short((count * spacing[0] * spacing[1] * between) / 1000)} ml`
  if (frames === 1 && spacing) {
    const area = count * spacing[0] * spacing[1]
    return `${area < 100 ? `${short(area)} mm²` : `${short(area / 100)} cm²`}${at === "detector" ? " at detector" : ""}`
  }
  return `${count.toLocaleString("en-GB")} px`
}

/** A diameter of so many pixels, in millimetres where they are known. */
export function sizeText(size, { spacing_mm: spacing } = {}) {
  return spacing ? `${size} px, ${short(size * spacing[1])} mm` : `${size} px`
}

/** Three digits that mean something. */
export function short(number) {
  return Math.abs(number) >= 100 ? Math.round(number).toLocaleString("en-GB") : String(+number.toPrecision(3))
}
