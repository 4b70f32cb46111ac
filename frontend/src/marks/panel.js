// Beside the image: the tools that draw marks, and the marks of the case.

import { chordText, chordsOf } from "../chords.js"
import { button, element, icon } from "../dom.js"
import { keyMap, nameOfChord } from "../keys.js"
import { measureLines, quantityText } from "./measures.js"
import { KINDS } from "./model.js"
import { colourOf } from "./painter.js"

const ICONS = {
  box: "M2.5 4h11v8h-11Z",
  ellipse: "M8 3.5c3.3 0 6 2 6 4.5s-2.7 4.5-6 4.5S2 10.5 2 8s2.7-4.5 6-4.5Z",
  polygon: "M8 2.3 13.7 6.6 11.6 13.3H4.4L2.3 6.6Z",
  freehand: "M3 9.5C1.6 6 4 2.5 7.5 3s2 2.5 4.5 3 2.5 5-.5 5.5-2.5-1-4.5.5-3.3.5-4-2.5Z",
  point: "M8 1.5v4M8 10.5v4M1.5 8h4M10.5 8h4M8 7.2a.8.8 0 1 0 0 1.6.8.8 0 0 0 0-1.6Z",
  length: "M3 13 13 3M1.3 11.3l3.4 3.4M11.3 1.3l3.4 3.4",
  angle: "M14 13H2.5L11 3M6.7 8.2c1.8.9 2.7 2.7 2.6 4.8",
}
const EYE = "M1 8s2.6-4.5 7-4.5S15 8 15 8s-2.6 4.5-7 4.5S1 8 1 8Zm7-2a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z"
const BIN = "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4"
const HOW = {
  box: "Drag from corner to corner",
  ellipse: "Drag from corner to corner of what is around it",
  polygon: "Click corner by corner; Enter or a double click closes it, Backspace takes the last corner back",
  freehand: "Draw around it; it closes by itself",
  point: "Click on it",
  length: "Drag from end to end, or click both",
  angle: "Click the end of one arm, the corner, and the end of the other",
}

export class MarkPanel {
  /** @param {import("./marks.js").Marks} marks */
  constructor(marks) {
    this.marks = marks
    this.chords = chordsOf(marks.offered)
    this.tools = new Map([...marks.tools.keys()].map((kind) => [kind, this.toolButton(kind)]))
    this.list = element("div", { class: "list", role: "group", "aria-label": "Marks on this case" })
    this.hide = button({ class: "toggle", title: "Hide all marks", "aria-label": "Hide all marks", onclick: () => marks.setHidden(!marks.hidden) }, icon(EYE))
    this.classes = element("select", {
      "aria-label": "Class of the chosen mark",
      onchange: () => {
        marks.giveClass(this.classes.value)
        this.classes.blur() // the keys are the viewer's again
      },
    })
    this.next = button({ title: `Copy to the next frame (${keyOf("copyToNext")})`, onclick: () => marks.command("copyToNext") }, "To next frame")
    this.said = element("p", { class: "quiet", role: "status" })
    this.acts = element("div", { class: "acts" }, this.classes, this.next)
    this.others = element("div", { class: "others" })
    this.element = element(
      "section",
      { class: "marks", "aria-label": "Marks and measurements" },
      element("header", {}, element("h2", {}, "Marks and measurements"), this.hide),
      marks.editable ? element("div", { class: "kinds", role: "toolbar", "aria-label": "Drawing" }, ...this.tools.values()) : null,
      this.acts, this.list, this.said, this.others,
    )
    this.show()
    this.showTools()
  }

  toolButton(kind) {
    const key = keyOf(kind)
    return button(
      { "data-kind": kind, title: `${KINDS[kind].title} (${key}): ${lower(HOW[kind])}`, "aria-label": KINDS[kind].title, "aria-pressed": "false", "aria-keyshortcuts": key || null, onclick: () => this.marks.command(kind) },
      icon(ICONS[kind]),
    )
  }

  /** Marks anew; who went along them by Tab stays where they are. */
  show() {
    const { marks } = this
    const focused = this.element?.getRootNode().activeElement?.dataset?.place
    if (this.element) this.element.hidden = !marks.editable && !marks.own.length && !marks.others.length
    const numbers = new Map()
    const rows = [...marks.own, ...[...marks.theirs.values()].flat()].map((mark) => {
      const owner = `${mark.theirs ?? ""} ${mark.kind}`
      numbers.set(owner, (numbers.get(owner) ?? 0) + 1)
      return this.row(mark, `${KINDS[mark.kind].title} ${numbers.get(owner)}`)
    })
    this.list.replaceChildren(...rows)
    if (focused) this.list.querySelector(`[data-place="${CSS.escape(focused)}"]`)?.focus()
    this.list.hidden = !rows.length
    this.hide.hidden = !rows.length
    this.hide.setAttribute("aria-pressed", String(marks.hidden))
    this.others.replaceChildren(...(marks.others.length ? [element("h2", {}, "Drawn by others")] : []), ...marks.others.map((other) => this.otherRow(other)))
    this.showChosen()
  }

  row(mark, name) {
    const { marks } = this
    const { facts } = marks
    const isChosen = mark.mark === marks.chosen
    const measure = facts ? quantityText(mark.kind, mark.geometry, facts) : ""
    const place = (facts?.frames ?? 1) > 1 ? `frame ${mark.frame + 1}` : ""
    const title = [mark.theirs, mark.label || name].filter(Boolean).join(": ")
    const choose = button(
      { class: "mark", "data-kind": mark.kind, "data-place": mark.mark, "aria-pressed": String(isChosen), title: [name, mark.label, measure, place].filter(Boolean).join(", "), onclick: () => marks.goTo(mark.mark) },
      icon(ICONS[mark.kind]), element("b", {}, title), element("small", {}, [measure.replace(" at detector", ""), place && String(mark.frame + 1)].filter(Boolean).join(" · ")),
    )
    const row = element(
      "div", { class: "row" }, choose,
      marks.isMine(mark) ? button({ class: "toggle", title: `Delete ${name.toLowerCase()}${isChosen ? ` (${keyOf("delete")})` : ""}`, "aria-label": `Delete ${name.toLowerCase()}`, onclick: () => marks.remove(mark.mark) }, icon(BIN)) : null,
    )
    row.style.setProperty("--colour", colourOf(mark, marks.classes))
    return row
  }

  otherRow({ reader, marks: count }) {
    const shown = this.marks.theirs.has(reader)
    return element(
      "div", { class: "row" }, element("span", { title: reader }, `${reader} (${count})`),
      button({ class: "toggle", title: `Show the marks of ${reader}`, "aria-label": `Show the marks of ${reader}`, "aria-pressed": String(shown), onclick: () => this.marks.toggleReader(reader) }, icon(EYE)),
    )
  }

  /** What is chosen: what it measures, and its class. What there is to press keeps its place, whatever is chosen. */
  showChosen() {
    const { marks } = this
    const { selected, facts } = marks
    const mine = Boolean(selected) && marks.isMine(selected)
    const lines = selected && facts ? measureLines(selected.kind, selected.geometry, facts, marks.layout?.main.volume?.at(selected.frame)) : []
    const keys = mine && marks.offered.length ? "A digit gives its class, Esc lets go of it." : ""
    this.said.replaceChildren(...[...lines, keys].filter(Boolean).flatMap((text, at) => (at ? [element("br"), text] : [text])))
    this.classes.hidden = !marks.offered.length
    this.next.hidden = (facts?.frames ?? 1) < 2
    this.acts.hidden = !marks.editable || !marks.own.length || (this.classes.hidden && this.next.hidden)
    this.classes.disabled = this.next.disabled = !mine
    if (!mine) return this.classes.replaceChildren(element("option", {}, "Class of the chosen mark"))
    const names = marks.offered.map(({ name }) => name)
    const retired = selected.label && !names.includes(selected.label) ? [selected.label] : []
    this.classes.replaceChildren(
      element("option", { value: "" }, "0  no class"),
      ...[...names, ...retired].map((name) => element("option", { value: name }, `${chordText(this.chords.get(name) ?? "")}  ${name}`.trim())),
    )
    this.classes.value = selected.label
  }

  showTools() {
    for (const [kind, made] of this.tools) made.setAttribute("aria-pressed", String(kind === this.marks.kind))
  }
}

function keyOf(command) {
  return nameOfChord(keyMap.chordOf(command))
}

function lower(text) {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
