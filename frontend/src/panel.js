// Beside the image: the classes, what else there is to say, and in review what a model says.

import { button, element } from "./dom.js"
import { legendGradient } from "./overlay.js"

/** Buttons for the answer. `on` holds choose(name), none(), unsure(), unusable(), note(text). */
export class AnswerPanel {
  constructor(project, mode, on) {
    this.project = project
    const question = mode === "review" ? "My answer" : project.multi_label ? "Which of these?" : "Which one?"
    this.classes = new Map(project.classes.map((label) => [label.name, this.classButton(label, on)]))
    this.none = project.multi_label ? keyButton("0", "None of these", () => on.none()) : null
    this.unsure = keyButton("U", "Unsure", () => on.unsure())
    this.unusable = keyButton("Q", "Unusable", () => on.unusable())
    this.note = element("textarea", {
      id: "note", rows: "2", maxlength: "10000", placeholder: "Note (N)", "aria-label": "Note", spellcheck: "true",
      onblur: () => on.note(this.note.value),
      onkeydown: (event) => {
        if (event.key !== "Escape" && (event.key !== "Enter" || event.shiftKey || event.isComposing)) return
        event.preventDefault()
        this.note.blur()
      },
    })
    this.element = element(
      "section",
      { class: "answer", "aria-label": "Answer" },
      element("h2", {}, question),
      element("div", { class: "classes", role: "group" }, ...this.classes.values(), this.none),
      element("div", { class: "marks", role: "group" }, this.unsure, this.unusable),
      this.note,
    )
  }

  classButton(label, on) {
    const made = keyButton(label.key, label.name, () => on.choose(label.name))
    made.style.setProperty("--colour", label.colour)
    made.querySelector("b").append(element("i"))
    return made
  }

  /** Show an answer; without an image nothing can be said about it. */
  show(answer, ready) {
    const chosen = answer.value?.classes ?? []
    for (const [name, made] of this.classes) press(made, chosen.includes(name))
    if (this.none) press(this.none, Boolean(answer.value) && chosen.length === 0)
    press(this.unsure, answer.unsure)
    press(this.unusable, answer.unusable)
    if (this.note !== this.note.getRootNode().activeElement) this.note.value = answer.note
    this.element.classList.toggle("waiting", !ready)
    for (const made of this.element.querySelectorAll(".key")) made.setAttribute("aria-disabled", String(!ready))
  }
}

/** Reference, scores and overlay. `on` holds toggle(), opacity(share), explain(name). */
export class ModelPanel {
  constructor(project, hasModel, on) {
    this.project = project
    this.reference = element("p", { class: "reference" })
    this.scores = element("div", { class: "scores" })
    this.overlay = hasModel ? this.overlayControls(on) : null
    this.element = element("section", { class: "model", "aria-label": "Reference and model" }, this.reference, this.scores, this.overlay)
  }

  overlayControls(on) {
    this.toggle = keyButton("G", "Explanation", () => on.toggle())
    this.target = element(
      "select",
      { "aria-label": "Class that is explained", onchange: () => { on.explain(this.target.value); this.target.blur() } },
      ...this.project.classes.map((label) => element("option", { value: label.name }, label.name)),
    )
    this.slider = element("input", {
      type: "range", min: "0", max: "1", step: "0.05", value: "0.6", "aria-label": "Opacity of the overlay",
      oninput: () => on.opacity(Number(this.slider.value)),
    })
    this.ramp = element("span", { class: "ramp" })
    this.ramp.style.background = legendGradient()
    this.said = element("p", { class: "said", role: "status" })
    return element(
      "div",
      { class: "overlay" },
      this.toggle,
      element("label", {}, "of", this.target),
      element("label", {}, "Opacity", this.slider),
      element("div", { class: "legend" }, "low", this.ramp, "high"),
      this.said,
    )
  }

  /** @param {{reference: object | null, scores: Record<string, number>} | null} finding */
  showFinding(finding) {
    this.element.hidden = !finding && !this.overlay
    const reference = finding?.reference
    this.reference.replaceChildren(
      ...(finding ? [element("span", {}, "Reference"), reference ? reference.classes.join(", ") || "none of them" : "none yet"] : []),
    )
    const colours = new Map(this.project.classes.map((label) => [label.name, label.colour]))
    this.scores.replaceChildren(...Object.entries(finding?.scores ?? {}).map(([name, score]) => scoreBar(name, score, colours.get(name))))
  }

  showOverlay(on, text, className) {
    if (!this.overlay) return
    press(this.toggle, on)
    this.said.textContent = text
    if (className) this.target.value = className
  }
}

function scoreBar(name, score, colour) {
  const bar = element("i")
  bar.style.width = `${100 * score}%`
  bar.style.background = colour ?? "currentColor"
  return element("div", { class: "score" }, element("span", { title: name }, name), element("div", {}, bar), element("span", {}, score.toFixed(3)))
}

function keyButton(key, text, onclick) {
  return button(
    { class: "key", "aria-pressed": "false", "aria-keyshortcuts": key || null, onclick },
    element("kbd", {}, key || "·"), element("b", {}, text),
  )
}

function press(made, pressed) {
  made.setAttribute("aria-pressed", String(pressed))
}
