// The classes as buttons with their keys; where there are many, with chords and a search.

import { Chord, chordText, chordsOf, searchClasses } from "./chords.js"
import { button, element } from "./dom.js"

export const MANY = 9

export class ClassPart {
  /** `on` holds choose(name) and none(). */
  constructor(project, on) {
    this.project = project
    this.on = on
    this.offered = project.classes.filter((label) => !label.retired)
    const chords = chordsOf(this.offered)
    this.chord = new Chord(this.offered, { onWait: (pressed) => this.showWaiting(pressed) })
    this.chords = chords
    this.buttons = new Map(this.offered.map((label) => [label.name, this.classButton(label, chordText(chords.get(label.name)), on)]))
    const noneKey = this.chord.isLong ? "0 0" : "0"
    this.none = project.multi_label ? keyButton(noneKey, "None of these", () => on.none()) : null
    this.many = this.offered.length > MANY
    this.search = this.many ? this.searchField() : null
    this.retired = element("p", { class: "quiet retired", hidden: true })
    this.classes = element("div", { class: this.many ? "classes many" : "classes", role: "group" }, ...this.buttons.values(), this.none)
    this.element = element("div", { class: "part" }, this.search, this.classes, this.retired)
  }

  classButton(label, keys, on) {
    const made = keyButton(keys, label.name, () => on.choose(label.name))
    made.style.setProperty("--colour", label.colour)
    made.querySelector("b").append(element("i"))
    return made
  }

  searchField() {
    const field = element("input", {
      type: "search", class: "search", placeholder: "Search a class ( / )", "aria-label": "Search a class", autocomplete: "off", spellcheck: "false",
      oninput: () => this.narrow(field.value),
      onblur: () => this.leaveSearch(),
      onkeydown: (event) => this.searchKey(event, field),
    })
    return field
  }

  searchKey(event, field) {
    if (event.isComposing) return
    const found = searchClasses(this.offered, field.value)
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1
      this.markFound(found, (this.at + step + found.length) % Math.max(1, found.length))
    } else if (event.key === "Enter") {
      const chosen = found[this.at]
      if (!chosen || !field.value.trim()) return
      field.blur()
      this.on.choose(chosen.name)
    } else if (event.key === "Escape") field.blur()
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  focusSearch() {
    this.search?.focus()
  }

  leaveSearch() {
    this.search.value = ""
    this.narrow("")
  }

  /** Show the classes that match; Enter takes the marked one. */
  narrow(text) {
    const found = searchClasses(this.offered, text)
    const names = new Set(found.map((label) => label.name))
    for (const [name, made] of this.buttons) made.hidden = !names.has(name)
    this.markFound(text.trim() ? found : [], 0)
  }

  markFound(found, at) {
    this.at = at
    for (const [name, made] of this.buttons) made.classList.toggle("found", found[at]?.name === name)
    if (found[at]) this.buttons.get(found[at].name).scrollIntoView({ block: "nearest" })
  }

  /** Whether a digit is the first of two. */
  begins(digit) {
    return this.chord.leads(digit)
  }

  /** A digit: chooses a class, or begins to. */
  press(digit) {
    const name = this.chord.press(digit)
    if (name) this.on.choose(name)
    else if (name === "" && this.project.multi_label) this.on.none()
  }

  /** The classes that the digits so far may still mean stay bright. */
  showWaiting(pressed) {
    this.classes.classList.toggle("waiting", Boolean(pressed))
    for (const [name, made] of this.buttons) made.classList.toggle("possible", Boolean(pressed) && this.chords.get(name).startsWith(pressed))
  }

  show({ value }, fresh) {
    if (fresh) this.chord.clear() // what was begun was meant for the case before
    const chosen = value?.classes ?? []
    for (const [name, made] of this.buttons) press(made, chosen.includes(name))
    if (this.none) press(this.none, Boolean(value) && chosen.length === 0)
    const gone = chosen.filter((name) => !this.buttons.has(name))
    this.retired.hidden = !gone.length
    this.retired.textContent = gone.length ? `You answered ${gone.join(", ")}, which is no longer offered.` : ""
  }
}

/** A button with the key that does the same. */
export function keyButton(key, text, onclick, properties = {}) {
  return button(
    { class: "key", "aria-pressed": "false", "aria-keyshortcuts": key || null, onclick, ...properties },
    element("kbd", {}, key || "·"), element("b", {}, text),
  )
}

export function press(made, pressed) {
  made.setAttribute("aria-pressed", String(pressed))
}
