// Which digits choose which class. Up to nine classes: one digit each. More: two keys, one after the other, or a search.

const PATIENCE_MS = 2000
const DIGITS = "123456789"

/**
 * The keys of each class: "3" is one key, "04" is 0 and then 4, "27" is 2 and then 7.
 * Up to eighteen classes the first nine keep their one digit and 0 leads to the others; beyond that every class has two
 * digits, and what goes beyond eighty-one is found by the search alone ("").
 * @param {{name: string, key: string}[]} classes those that are offered
 */
export function chordsOf(classes) {
  const bare = classes.filter((label) => !label.key)
  if (!bare.length) return new Map(classes.map((label) => [label.name, label.key]))
  if (classes.length <= DIGITS.length) return new Map(withFreeDigits(classes))
  if (bare.length <= DIGITS.length) {
    return new Map(classes.map((label) => [label.name, label.key || `0${DIGITS[bare.indexOf(label)]}`]))
  }
  return new Map(classes.map((label, at) => [label.name, at < 81 ? DIGITS[Math.floor(at / 9)] + DIGITS[at % 9] : ""]))
}

/** After classes were retired their digits are free again. */
function withFreeDigits(classes) {
  const free = [...DIGITS].filter((digit) => !classes.some((label) => label.key === digit))
  return classes.map((label) => [label.name, label.key || free.shift()])
}

/** The structures that are offered, with their keys: the first nine go by their place, also where one was retired. */
export function keyedStructures(structures) {
  return structures.map(({ name, retired }, at) => ({ name, retired, key: at < DIGITS.length ? DIGITS[at] : "" })).filter(({ retired }) => !retired)
}

/** How a chord is written on a button: `3`, `0 4`. */
export function chordText(chord) {
  return [...chord].join(" ")
}

/** The digits that were pressed so far. */
export class Chord {
  constructor(classes, { onWait = () => {} } = {}) {
    this.chords = new Map([...chordsOf(classes)].filter(([, chord]) => chord).map(([name, chord]) => [chord, name]))
    this.isLong = [...this.chords.keys()].some((chord) => chord.length > 1)
    this.onWait = onWait // told the digits that wait for another, or ""
    this.pressed = ""
    this.timer = 0
  }

  /**
   * The name of a class, "" for none of them (0, or 0 0 where there are chords), or null: not a class, or not yet.
   */
  press(digit) {
    const pressed = this.pressed + digit
    if (this.chords.has(pressed)) return this.end(this.chords.get(pressed))
    if (pressed === (this.isLong ? "00" : "0")) return this.end("")
    if (pressed.length > 1 || !this.leads(pressed)) return this.end(null)
    this.pressed = pressed
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.clear(), PATIENCE_MS)
    this.onWait(pressed)
    return null
  }

  /** Whether a digit alone chooses nothing, but with another. */
  leads(digit) {
    if (this.chords.has(digit)) return false
    return digit === "0" ? this.isLong : [...this.chords.keys()].some((chord) => chord.startsWith(digit))
  }

  /** Another key, another case: what was begun is forgotten. */
  clear() {
    if (!this.pressed) return
    clearTimeout(this.timer)
    this.pressed = ""
    this.onWait("")
  }

  end(result) {
    this.clear()
    return result
  }
}

/** Classes whose name holds the text, those that begin with it first. */
export function searchClasses(classes, text) {
  const plain = (one) => one.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase()
  const wanted = plain(text.trim())
  if (!wanted) return [...classes]
  const rank = (label) => {
    const name = plain(label.name)
    if (name.startsWith(wanted)) return 0
    return name.split(/[\s/_-]+/).some((word) => word.startsWith(wanted)) ? 1 : name.includes(wanted) ? 2 : 3
  }
  return classes
    .map((label) => ({ label, at: rank(label) }))
    .filter(({ at }) => at < 3)
    .sort((one, other) => one.at - other.at)
    .map(({ label }) => label)
}
