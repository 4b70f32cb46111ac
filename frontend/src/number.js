// A number as an answer: typed, checked against its range, or taken from a measurement.

const FORM = /^[+-]?(\d+([.,]\d*)?|[.,]\d+)$/

/** `3,2` and `3.2` are the same number; NaN for what is none. */
export function parseNumber(text) {
  const trimmed = text.trim().replace("\u2212", "-")
  return FORM.test(trimmed) ? Number(trimmed.replace(",", ".")) : NaN
}

/** What is wrong with the text as an answer, as a sentence; "" where it is one. */
export function faultOf(text, { target, unit, low, high }) {
  const number = parseNumber(text)
  if (Number.isNaN(number)) return `A number reads like 3.2. Received: ${text.trim()}`
  const [least, most] = [low ?? -Infinity, high ?? Infinity]
  if (number >= least && number <= most) return ""
  const range = !Number.isFinite(least) ? `at most ${most}` : !Number.isFinite(most) ? `at least ${least}` : `between ${least} and ${most}`
  return `${capital(target)} is ${range}${unit ? ` ${unit}` : ""}. Received: ${number}`
}

/** A number as text that is read back as the same number. */
export function numberText(value) {
  return value === null || value === undefined ? "" : String(value)
}

/** A quantity to three figures and never coarser than ones, as the other screens write it: `0.0312`, `37.0`, `1235`. */
export function shortNumber(value) {
  const digits = value === 0 ? 0 : Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))))
  return value.toFixed(digits).replace("-", "\u2212")
}

/**
 * What stands beside a case whose model says a number: pairs of a word and a text, the reference first.
 * @param {{reference: {value: number} | null, number: {value: number, low?: number, high?: number, level?: number} | null}} finding
 */
export function findingRows({ reference, number }, unit) {
  const rows = [["Reference", reference ? `${numberText(reference.value)} ${unit}` : "none yet"]]
  if (!number) return rows
  rows.push(["Model", `${shortNumber(number.value)} ${unit}`])
  if (number.low !== undefined) {
    rows.push([`Interval, meant for ${Math.round(100 * number.level)} % of cases`, `${shortNumber(number.low)} to ${shortNumber(number.high)} ${unit}`])
  }
  if (!reference) return rows
  const difference = number.value - reference.value
  return [...rows, ["Model − reference", `${difference > 0 ? "+" : ""}${shortNumber(difference)} ${unit}`]]
}

/** What a project of numbers asks for: {target, unit, low, high} each; it has one, and perhaps further ones. */
export function quantitiesOf(project) {
  return [project, ...(project.further ?? [])]
}

/** The places of the empty fields; none where all are empty: that takes the answer back. */
export function missingOf(texts) {
  const empty = Object.values(texts).flatMap((text, at) => (text.trim() ? [] : [at]))
  return empty.length === Object.keys(texts).length ? [] : empty
}

/** Texts by name as the numbers that are stored, in the order in which the server keeps them; null where all are empty. */
export function answerOfTexts(texts) {
  if (!Object.values(texts).some((text) => text.trim())) return null
  return Object.fromEntries(Object.keys(texts).sort().map((name) => [name, parseNumber(texts[name])]))
}

/** Of several quantities a line each, the quantity first: reference, model with its interval, and their difference. */
export function findingRowsOfSeveral({ reference, numbers }, quantities) {
  return quantities.map(({ target, unit }) => {
    const [said, number] = [reference?.values?.[target], numbers?.[target]]
    const told = [said === undefined ? "no reference" : `reference ${numberText(said)}`]
    if (number) {
      const around = number.low === undefined ? "" : ` (${Math.round(100 * number.level)} %: ${shortNumber(number.low)} to ${shortNumber(number.high)})`
      told.push(`model ${shortNumber(number.value)}${around}`)
      if (said !== undefined) told.push(`difference ${number.value > said ? "+" : ""}${shortNumber(number.value - said)}`)
    }
    return [`${capital(target)}, ${unit}`, told.join("; ")]
  })
}

/** A measurement as a number to store: to a hundredth, as fine as anybody measures on a screen. */
export function rounded(value) {
  return Math.round(value * 100) / 100
}

/**
 * The text after a key that was pressed anywhere on the page, by its place on the keyboard; null: the key is not the number's.
 * @param {{code: string, key: string, shiftKey: boolean}} event
 */
export function typed(text, { code, key, shiftKey }) {
  if (code === "Backspace") return text.slice(0, -1)
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(code)
  if (digit) return shiftKey ? null : text + digit[1]
  // Without a number before them these keys are the window's and the zoom's.
  if (code === "NumpadDecimal" || key === "." || key === ",") return text ? (/[.,]/.test(text) ? text : `${text}.`) : null
  if (code === "NumpadSubtract" || key === "-" || key === "\u2212") return text.startsWith("-") ? text.slice(1) : `-${text}`
  return null
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
