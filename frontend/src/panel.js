// Beside the image: the answer, what else there is to say about it, and in review what a model says.

import { MOST_CONFIDENT, REASONS } from "./answers.js"
import { ClassPart, keyButton, press } from "./classes.js"
import { button, element } from "./dom.js"
import { NumbersPart } from "./entries.js"
import { NumberPart } from "./entry.js"
import { targetsOf } from "./explainer.js"
import { HeatControls } from "./heatcontrols.js"
import { findingRows, findingRowsOfSeveral, quantitiesOf } from "./number.js"

/**
 * Buttons and fields for the answer. `on` holds choose(name), none(), number(value), numbers(values), unsure(), unusable(), reason(text),
 * confidence(number) and note(text). `part` is what answers the project's question: classes, a number or structures.
 */
export class AnswerPanel {
  constructor(project, mode, on, part = partOf(project, on)) {
    this.project = project
    this.on = on
    this.part = part
    this.unsure = keyButton("U", "Unsure", () => on.unsure())
    this.unusable = keyButton("Q", "Unusable", () => on.unusable())
    this.reasons = this.reasonList(on)
    this.confidence = this.confidenceRow(on)
    this.note = element("textarea", {
      id: "note", rows: "2", maxlength: "10000", placeholder: "Note (N)", "aria-label": "Note", spellcheck: "true",
      onblur: () => on.note(this.note.value),
      onkeydown: (event) => leaves(event) && this.note.blur(),
    })
    this.element = element(
      "section",
      { class: "answer", "aria-label": "Answer" },
      project.task === "segmentation" ? null : element("h2", {}, mode === "review" ? "My answer" : questionOf(project)),
      this.part.element,
      element("div", { class: "remarks", role: "group" }, this.unsure, this.unusable),
      this.reasons,
      this.confidence,
      this.note,
    )
  }

  confidenceRow(on) {
    this.levels = Array.from({ length: MOST_CONFIDENT }, (_, at) =>
      button({ "aria-pressed": "false", "aria-label": `Confidence ${at + 1} of ${MOST_CONFIDENT}`, onclick: () => on.confidence(at + 1) }, String(at + 1)),
    )
    const title = element("span", { title: "How sure you are, from 1 (a guess) to 5 (certain); Shift U goes up by one" }, element("kbd", {}, "⇧U"), " Confidence")
    return element("div", { class: "confidence", role: "group", "aria-label": "Confidence" }, title, ...this.levels)
  }

  reasonList(on) {
    this.reasonButtons = new Map(REASONS.map((reason, at) => [reason, keyButton(String(at + 1), reason, () => on.reason(reason))]))
    this.reasonText = element("input", {
      type: "text", maxlength: "200", placeholder: "Other reason (0)", "aria-label": "Other reason why the image cannot be used",
      onblur: () => this.armed && this.reasonText.value.trim() && on.reason(this.reasonText.value.trim()),
      onkeydown: (event) => leaves(event) && this.reasonText.blur(),
    })
    return element("div", { class: "reasons", role: "group", "aria-label": "Why not?", hidden: true }, ...this.reasonButtons.values(), this.reasonText)
  }

  /** Whether digits give reasons now: after "unusable" until a reason was given or the case is left. */
  arm(armed) {
    this.armed = armed
    this.reasons.hidden = !armed
    this.part.element.hidden = armed
  }

  /** A digit while a reason is asked for. */
  pressReason(digit) {
    if (digit === "0") this.reasonText.focus()
    else if (REASONS[digit - 1]) this.on.reason(REASONS[digit - 1])
  }

  /**
   * Show an answer; without an image nothing can be said about it.
   * @param {boolean} fresh whether this is another case, so that nothing half typed belongs to it
   */
  show(answer, ready, fresh = false) {
    if (fresh) this.arm(false)
    this.part.show(answer, fresh)
    press(this.unsure, answer.unsure)
    press(this.unusable, answer.unusable)
    this.unusable.title = answer.unusable_reason ? `Because of ${answer.unusable_reason}` : "The image cannot be used"
    this.unusable.querySelector("b").textContent = answer.unusable_reason ? `Unusable: ${answer.unusable_reason}` : "Unusable"
    for (const [reason, made] of this.reasonButtons) press(made, answer.unusable_reason === reason)
    if (!this.armed) this.reasonText.value = ""
    this.levels.forEach((made, at) => press(made, answer.confidence === at + 1))
    if (fresh || this.note !== this.note.getRootNode().activeElement) this.note.value = answer.note
    this.note.disabled = !ready // what is written before the image is there would go with it
    this.element.classList.toggle("waiting", !ready)
    for (const made of this.element.querySelectorAll(".key")) made.setAttribute("aria-disabled", String(!ready))
  }
}

function partOf(project, on) {
  if (project.task !== "regression") return new ClassPart(project, on)
  return project.further?.length ? new NumbersPart(project, on) : new NumberPart(project, on)
}

function questionOf(project) {
  if (project.task === "regression" && project.further?.length) return "Numbers"
  if (project.task === "regression") return project.target.charAt(0).toUpperCase() + project.target.slice(1)
  return project.multi_label ? "Which of these?" : "Which one?"
}

/** Escape and Enter leave a field; Shift+Enter is a new line. */
function leaves(event) {
  if (event.key !== "Escape" && (event.key !== "Enter" || event.shiftKey || event.isComposing)) return false
  event.preventDefault()
  return true
}

/** Reference, scores (or the number) and overlay. `on` holds what `HeatControls` asks for, and how it begins as `look`. */
export class ModelPanel {
  constructor(project, hasModel, on) {
    this.project = project
    this.reference = element("p", { class: "reference" })
    this.scores = element("div", { class: "scores" })
    this.overlay = hasModel ? new HeatControls(targetsOf(project), on, on.look) : null
    this.element = element("section", { class: "model", "aria-label": "Reference and model" }, this.reference, this.scores, this.overlay?.element)
  }

  /** @param {{reference: object | null, scores: Record<string, number>, number?: object | null, numbers?: object | null} | null} finding */
  showFinding(finding) {
    this.element.hidden = !finding && !this.overlay
    if (this.project.task === "regression") return this.showNumber(finding)
    const reference = finding?.reference
    this.reference.replaceChildren(
      ...(finding ? [element("span", {}, "Reference"), reference ? reference.classes.join(", ") || "none of them" : "none yet"] : []),
    )
    const colours = new Map(this.project.classes.map((label) => [label.name, label.colour]))
    this.scores.replaceChildren(...Object.entries(finding?.scores ?? {}).map(([name, score]) => scoreBar(name, score, colours.get(name))))
  }

  /** Reference and prediction in the unit, the interval around the prediction, and by how much they differ. */
  showNumber(finding) {
    const several = this.project.further?.length
    const rows = !finding ? [] : several ? findingRowsOfSeveral(finding, quantitiesOf(this.project)) : findingRows(finding, this.project.unit)
    const [reference, ...told] = rows.map(([name, text]) => [element("span", {}, name), text])
    this.reference.replaceChildren(...(reference ?? []))
    this.scores.replaceChildren(...told.map((parts) => element("p", { class: "reference" }, ...parts)))
  }

  showOverlay(on, text, className) {
    this.overlay?.show(on, text, className)
  }
}

function scoreBar(name, score, colour) {
  const bar = element("i")
  bar.style.width = `${100 * score}%`
  bar.style.background = colour ?? "currentColor"
  return element("div", { class: "score" }, element("span", { title: name }, name), element("div", {}, bar), element("span", {}, score.toFixed(3)))
}
