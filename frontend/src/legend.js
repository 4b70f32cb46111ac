// All keys on one sheet, on `?`; a press on a key there gives the command another one.

import { chordText, chordsOf, keyedStructures } from "./chords.js"
import { MANY } from "./classes.js"
import { button, element } from "./dom.js"
import { KEYS, chordOf, holdsIn, keyMap, nameOfChord } from "./keys.js"
import { HU_PRESETS } from "./presets.js"

const MOUSE = [
  ["Left drag", "The tool; without one the window: across wider, down darker"],
  ["Middle drag", "Move; also Shift and left drag"],
  ["Right drag", "Zoom; also Ctrl and left drag"],
  ["Wheel", "Next frame; on a single image, or with Ctrl, zoom"],
  ["Click", "The crosshair of three planes, where no tool is; also drag its lines"],
  ["Alt drag", "The crosshair, whatever the tool"],
]
const MARK = ["On a mark", "Click chooses it; drag its line, a handle, or the middle of a side for a new corner; Alt click takes a corner away"]
const TOUCH = [
  ["One finger", "The tool; without one the window"],
  ["Two fingers", "Zoom and move"],
  ["Three fingers", "From frame to frame"],
]

/** A dialog that lists the keys of a mode, as far as they mean something in this project. */
export class Legend {
  constructor(mode, project, { map = keyMap } = {}) {
    this.mode = mode
    this.project = project
    this.map = map
    this.printed = null
    this.waiting = "" // the command that gets the next key
    this.said = element("p", { class: "told", role: "status" })
    this.body = element("div", { class: "keys" })
    this.dialog = element(
      "dialog",
      { class: "sheet", "aria-label": "Keys" },
      element(
        "header", {},
        element("h2", {}, "Keys"), this.said,
        button({ onclick: () => this.reset() }, "Keys as delivered"),
        button({ autofocus: true, onclick: () => this.dialog.close() }, "Close"),
      ),
      this.body,
    )
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close())
    this.dialog.addEventListener("keydown", (event) => this.key(event), true)
    this.dialog.addEventListener("cancel", (event) => {
      if (!this.waiting) return
      event.preventDefault()
      this.ask("")
    })
    this.dialog.addEventListener("close", () => this.ask(""))
    this.draw()
    this.nameKeys()
  }

  /** Letters as this keyboard prints them, where the browser tells: keys are bound by place. */
  async nameKeys() {
    this.printed = (await globalThis.navigator?.keyboard?.getLayoutMap?.().catch(() => null)) ?? null
    if (this.printed) this.draw()
  }

  groups() {
    const { project } = this
    const paints = project.task === "segmentation"
    const absent = new Set([...(project.assisted ? [] : ["acceptDraft", "rejectDraft"]), ...(project.classes?.length > MANY ? [] : ["search"])])
    const isHere = ([, , command, , where, group]) => holdsIn(this.mode, command, where, group) && (paints || group !== "Painting") && !absent.has(command)
    const commands = KEYS.filter(isHere)
    return new Map([...new Set(commands.map((row) => row[5]))].map((group) => [group, commands.filter((row) => row[5] === group)]))
  }

  draw() {
    const { project } = this
    const offered = (project.classes ?? []).filter(({ retired }) => !retired)
    const chords = [...chordsOf(offered), ...chordsOf(keyedStructures(project.structures ?? []))]
    const classes = chords.filter(([, chord]) => chord).map(([name, chord]) => [chordText(chord), name])
    if (project.multi_label) classes.push(["0", "None of these"])
    const undo = [["Ctrl Z", "Take the last act back"], ["Ctrl Y", "Do it again"], ["?", "These keys"]]
    const windows = [["Shift 1 … 9", `CT: ${HU_PRESETS.map(([name]) => name.toLowerCase()).join(", ")}. Others: the windows and tables of the file`], ["Shift 0", "Window from the values"]]
    const groups = this.groups()
    this.body.replaceChildren(
      ...[...groups].map(([group, rows]) =>
        section(group, [
          ...(group === "Cases and answers" ? classes.map(fixedRow) : []),
          ...rows.map((row) => this.row(row)),
          ...({ [this.mode === "check" ? "Drawing" : "Cases and answers"]: undo, Looking: windows }[group] ?? []).map(fixedRow),
        ]),
      ),
      section("Mouse", [...MOUSE, ...(this.mode === "review" ? [] : [MARK])].map(fixedRow)),
      section("Touch", TOUCH.map(fixedRow)),
    )
  }

  row([, , command, text]) {
    const name = nameOfChord(this.map.chordOf(command), this.printed)
    const key = button(
      { class: this.map.isChanged(command) ? "changed" : null, "data-command": command, title: "Give this another key", "aria-label": `${text}: ${name}. Give it another key`, onclick: () => this.ask(command) },
      element("kbd", {}, this.waiting === command ? "press a key" : name),
    )
    return [key, text]
  }

  /** The next key press is for this command. */
  ask(command) {
    if (this.waiting === command) return
    this.waiting = command
    this.said.textContent = command ? "Press the new key; Esc leaves it as it is." : ""
    this.draw()
    if (command) this.body.querySelector(`[data-command="${command}"]`).focus()
  }

  key(event) {
    if (!this.waiting) return
    event.preventDefault()
    event.stopPropagation()
    if (/^(Control|Shift|Alt|Meta|OS)/.test(event.code)) return // a modifier on its way to a chord
    const command = this.waiting
    if (event.code === "Escape") return this.ask("")
    const simple = !event.ctrlKey && !event.altKey && !event.metaKey && event.key !== "?"
    const told = simple ? this.map.give(command, chordOf(event)) : "Only plain keys and Shift can be given. Choose another one."
    this.ask("")
    this.said.textContent = told
    this.body.querySelector(`[data-command="${command}"]`)?.focus()
  }

  reset() {
    this.map.reset()
    this.ask("")
    this.said.textContent = "All keys are as delivered."
    this.draw()
  }

  toggle() {
    if (this.dialog.open) this.dialog.close()
    else this.dialog.showModal()
  }
}

function fixedRow([keys, text]) {
  return [element("kbd", {}, keys), text]
}

function section(title, rows) {
  return element(
    "section", {},
    element("h3", {}, title),
    element("dl", {}, ...rows.flatMap(([keys, text]) => [element("dt", {}, keys), element("dd", {}, text)])),
  )
}
