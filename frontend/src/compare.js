// What stands beside the case that is read: another case of the patient, another frame of it, a neighbour in the list,
// or any case by its number.

import { button, element } from "./dom.js"

/** What can be chosen: [value, text]. */
export function choicesOf(facts, listed) {
  const choices = []
  for (const id of facts.same_patient ?? []) choices.push([`case ${id}`, `Same patient: case ${id}`])
  if ((facts.frames ?? 1) > 1) choices.push(["frame", "Another frame of this case"])
  choices.push(["previous", "Previous case of the list"], ["next", "Next case of the list"])
  return choices.filter(([value]) => caseOf(value, facts, listed) !== undefined)
}

/** The id of the case that a choice means here, undefined where there is none. */
export function caseOf(value, facts, listed) {
  if (value === "frame") return facts.id
  const at = listed.indexOf(facts.id)
  if (value === "previous") return at > 0 ? listed[at - 1] : undefined
  if (value === "next") return at >= 0 ? listed[at + 1] : undefined
  const named = /^case (\d+)$/.exec(value)
  return named ? Number(named[1]) : undefined
}

/** The choice over the other pane. */
export class CompareBar {
  /** @param {{choose: (value: string, typed?: boolean) => void, link: () => void, close: () => void}} on */
  constructor(on) {
    this.select = element("select", { "aria-label": "What to compare with", onchange: () => { on.choose(this.select.value); this.select.blur() } })
    this.number = element("input", {
      type: "text", inputmode: "numeric", size: "6", placeholder: "Case no.", "aria-label": "Compare with the case number",
      onkeydown: (event) => (event.key === "Enter" || event.key === "Escape") && this.number.blur(),
      onchange: () => {
        const id = Number(this.number.value)
        this.number.value = ""
        if (Number.isInteger(id) && id > 0) on.choose(`case ${id}`, true)
      },
    })
    this.link = button({ "aria-pressed": "true", title: "Scroll, move, zoom and window both together (K)", onclick: on.link }, "Linked")
    this.element = element(
      "div", { class: "compare-bar" }, this.select, this.number, this.link,
      button({ title: "One pane again (D)", "aria-label": "Close the comparison", onclick: on.close }, "×"),
    )
  }

  show(choices, value, linked) {
    const shown = choices.some(([one]) => one === value) || !value ? choices : [...choices, [value, value.replace("case", "Case")]]
    this.select.replaceChildren(...shown.map(([one, text]) => element("option", { value: one }, text)))
    this.select.value = value
    this.link.setAttribute("aria-pressed", String(linked))
  }
}
