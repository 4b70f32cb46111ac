// All keys on one sheet, on `?`.

import { button, element } from "./dom.js"
import { KEYS } from "./keys.js"

const MOUSE = [
  ["Left drag", "Window: across wider, down darker"],
  ["Middle drag, Shift + left drag", "Move"],
  ["Right drag, wheel", "Zoom"],
]

/** A dialog that lists the keys of a mode. */
export class Legend {
  constructor(mode, project) {
    this.mode = mode
    this.dialog = element(
      "dialog",
      { class: "sheet", "aria-label": "Keys" },
      element("header", {}, element("h2", {}, "Keys"), button({ class: "quiet", onclick: () => this.dialog.close() }, "Close")),
      list(this.rows(project)),
      list(MOUSE),
    )
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close())
    this.nameKeys()
  }

  rows(project) {
    const digits = project.classes.filter((label) => label.key).map((label) => [label.key, label.name])
    if (project.multi_label) digits.push(["0", "None of these"])
    const commands = KEYS.filter(([, , , , where]) => where === "both" || where === this.mode)
    return [
      ...digits,
      ...commands.map(([, name, , text]) => [name, text]),
      ["Ctrl+Z", "Take the last answer back"],
      ["Ctrl+Y", "Give it again"],
      ["?", "These keys"],
    ]
  }

  /** Letters as this keyboard prints them, where the browser tells: keys are bound by place. */
  async nameKeys() {
    const printed = await navigator.keyboard?.getLayoutMap?.().catch(() => null)
    if (!printed) return
    const names = [...this.dialog.querySelectorAll("dt kbd")]
    for (const [code, name] of KEYS) {
      const found = code.startsWith("Key") && names.find((kbd) => kbd.textContent === name)
      if (found && printed.get(code)) found.dataset.printed = printed.get(code).toUpperCase()
    }
    for (const kbd of names) if (kbd.dataset.printed) kbd.textContent = kbd.dataset.printed
  }

  toggle() {
    if (this.dialog.open) this.dialog.close()
    else this.dialog.showModal()
  }
}

function list(rows) {
  return element("dl", {}, ...rows.flatMap(([keys, text]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, text)]))
}
