// Several numbers as one answer: a field each; Enter goes to the next field, and from the last one it saves.

import { element } from "./dom.js"
import { NumberPart } from "./entry.js"
import { answerOfTexts, missingOf, quantitiesOf } from "./number.js"

export class NumbersPart {
  /** `on` holds numbers(values), all of them by name or null where the fields were emptied; and done(). */
  constructor(project, on) {
    this.on = on
    this.at = 0
    this.parts = quantitiesOf(project).map((quantity, at) => new NumberPart(quantity, { done: () => this.enter(at) }, quantity.target))
    this.parts.forEach((part, at) => part.field.addEventListener("focus", () => this.stand(at)))
    this.said = element("p", { class: "quiet said-number", role: "status" })
    this.element = element("div", { class: "part numbers" }, ...this.parts.map((part) => part.element), this.said)
    this.stand(0)
  }

  /** The field that digits go into, wherever they are pressed. */
  stand(at) {
    this.at = at
    this.parts.forEach((part, place) => part.element.classList.toggle("current", place === at))
  }

  /** A number is typed digit by digit. */
  begins() {
    return true
  }

  key(event) {
    return this.parts[this.at].key(event)
  }

  /** Enter in a field. */
  enter(at) {
    this.stand(at)
    if (at < this.parts.length - 1 && this.parts[at].check()) this.parts[at + 1].field.focus()
    else this.on.done()
  }

  /** Enter anywhere: on to the next field while something new is being given; false until all of it is saved. */
  confirm() {
    if (this.isChanged && this.at < this.parts.length - 1 && this.parts[this.at].check()) {
      this.stand(this.at + 1)
      return false
    }
    return this.commit() || this.ask()
  }

  /** Save what stands in the fields; false where it is no answer: then `said` says why, and digits go where it lacks. */
  commit() {
    const wrong = this.parts.findIndex((part) => !part.check())
    if (wrong >= 0) return this.refuse(wrong, this.parts[wrong].said.textContent)
    const missing = missingOf(this.texts())
    if (missing.length) {
      const names = missing.map((at) => this.parts[at].project.target)
      return this.refuse(missing[0], `Half an answer is none: give ${names.join(", ")} too, or mark the image unusable.`)
    }
    this.said.textContent = ""
    if (this.isChanged) this.on.numbers(answerOfTexts(this.texts()))
    return true
  }

  refuse(at, sentence) {
    this.said.textContent = sentence
    this.said.classList.add("fault")
    this.stand(at)
    return false
  }

  /** Where something is wrong or missing, the reader is led into the field. */
  ask() {
    this.parts[this.at].field.focus()
    this.parts[this.at].field.select()
    return false
  }

  /** What stands in each field, by name. */
  texts() {
    return Object.fromEntries(this.parts.map((part) => [part.project.target, part.field.value]))
  }

  get isChanged() {
    return this.parts.some((part) => part.isChanged)
  }

  show({ value, unusable }, fresh) {
    for (const part of this.parts) {
      const number = value?.values?.[part.project.target]
      part.show({ value: number === undefined ? null : { value: number }, unusable }, fresh)
    }
    if (fresh || !this.isChanged) this.said.textContent = ""
    this.said.classList.toggle("fault", Boolean(this.said.textContent))
    if (fresh) this.stand(0)
  }
}
