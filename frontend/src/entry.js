// A number as the answer: a field that every digit goes into, its unit, and what is wrong with it.

import { element } from "./dom.js"
import { faultOf, numberText, parseNumber, rounded, typed } from "./number.js"

export class NumberPart {
  /**
   * `on` holds number(value), the number that the reader confirmed, null where the field was emptied; and done().
   * @param {string} named where several numbers are asked for, what stands before the field
   */
  constructor(project, on, named = "") {
    this.project = project
    this.on = on
    this.named = named
    const said = named ? `number-said-${named}` : "number-said"
    this.stored = null
    this.field = element("input", {
      type: "text", inputmode: "decimal", class: "number", autocomplete: "off", "aria-label": `${project.target} in ${project.unit}`,
      "aria-describedby": said,
      oninput: () => this.check(),
      onblur: () => this.check(),
      onkeydown: (event) => this.ownKey(event),
    })
    this.said = element("p", { id: said, class: "quiet said-number", role: "status" })
    this.element = element("div", { class: "part" }, element("label", { class: "entry" }, named ? element("b", { title: named }, named) : null, this.field, element("span", {}, project.unit)), this.said)
    this.check()
  }

  /** A number is typed digit by digit. */
  begins() {
    return true
  }

  /** A key pressed anywhere; true where it was the number's. */
  key(event) {
    const text = typed(this.field.value, event)
    if (text === null || (text.startsWith("-") && this.project.low >= 0 && this.project.low !== null)) return false
    this.write(text)
    return true
  }

  /** In the field itself: Enter saves and goes on, Escape gives up what was typed. */
  ownKey(event) {
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return
    event.preventDefault()
    if (event.key === "Escape") this.write(numberText(this.stored))
    this.field.blur()
    if (event.key === "Enter") this.on.done()
  }

  write(text, source = "") {
    this.field.value = text
    this.source = source
    this.check()
  }

  /** From a measurement on the image; null: what came from one is there no more. */
  measure(value, kind) {
    if (value !== null) this.write(numberText(rounded(value)), `from the ${kind}`)
    else if (this.source) this.write(numberText(this.stored))
  }

  /** Whether the field holds something that is not stored. */
  get isChanged() {
    return this.field.value.trim() !== numberText(this.stored)
  }

  check() {
    const text = this.field.value
    const fault = text.trim() ? faultOf(text, this.project) : ""
    this.field.setAttribute("aria-invalid", String(Boolean(fault)))
    this.said.classList.toggle("fault", Boolean(fault))
    this.said.textContent = fault || (this.isChanged && text.trim() ? `${this.source ? `${capital(this.source)}; ` : ""}Enter ${this.named ? "goes on" : "saves it"}` : this.hint())
    return !fault
  }

  hint() {
    const { low, high, unit, measure } = this.project
    const range = low != null && high != null ? `${low} to ${high} ${unit}` : low != null ? `at least ${low} ${unit}` : high != null ? `at most ${high} ${unit}` : ""
    return [range, measure ? `draw the ${measure}, or type` : ""].filter(Boolean).join("; ")
  }

  /** Enter: save what stands in the field; false where it cannot be saved. */
  confirm() {
    if (!this.check()) {
      this.field.focus()
      this.field.select()
      return false
    }
    if (this.isChanged) this.on.number(this.field.value.trim() ? parseNumber(this.field.value) : null)
    return true
  }

  show({ value, unusable }, fresh) {
    const told = this.stored
    this.stored = value?.value ?? null
    // Half a number that is being typed, or one that was measured, is not overwritten by news about something else.
    if (fresh || (!this.isTyping() && (unusable || told !== this.stored))) this.field.value = numberText(this.stored)
    if (fresh) this.source = ""
    this.check()
  }

  isTyping() {
    return this.field === this.field.getRootNode().activeElement
  }
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
