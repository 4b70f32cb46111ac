// Above the image: where the reader is in the list, and whether everything is saved. Beside it: tools.

import { at } from "./base.js"
import { button, element } from "./dom.js"
import { paceText } from "./time.js"

const SAY_MS = 5000
const KEPT = "Kept in this tab until you give an answer."
const CHECKING = [
  ["box", "Box", "Draw a box from corner to corner (X)"],
  ["delete", "Delete", "Take the chosen box away (Del)"],
]
const TOOLS = [
  ["undo", "Undo", "Take the last act back (Ctrl+Z)"],
  ["redo", "Redo", "Do it again (Ctrl+Y)"],
  ["legend", "Keys ?", "All keys (?)"],
]

function count(number) {
  return number.toLocaleString("en-GB")
}

/** What the header says of storing: a remark without an answer outweighs what was saved before, and no trouble. */
export function stateSeen({ kind, text } = { kind: "idle", text: "" }, kept = false) {
  return kept && (kind === "idle" || kind === "saved") ? { kind: "kept", text: KEPT } : { kind, text }
}

export class TopBar {
  /** @param {{go: (step: number) => void, jump: (place: number) => void, command: (name: string) => void}} on */
  constructor(on, aside, mode = "label") {
    this.place = element("input", {
      type: "text", inputmode: "numeric", class: "place", "aria-label": "Go to case number", size: "5",
      onfocus: () => this.place.select(),
      onkeydown: (event) => {
        if (event.key === "Escape") this.place.value = this.shown
        if (event.key === "Escape" || event.key === "Enter") this.place.blur()
      },
      onchange: () => this.jump(on),
    })
    this.total = element("span", { class: "total" })
    this.progress = element("span", { class: "progress" })
    this.said = element("span", { class: "told", role: "status" })
    this.state = element("span", { class: "state", role: "status" })
    this.signIn = element("a", { href: at("/sign-in"), target: "_blank", rel: "noopener", hidden: true }, "Sign in")
    this.element = element(
      "header",
      { class: "top" },
      button({ class: "step", title: "Previous case (←)", "aria-label": "Previous case", onclick: () => on.go(-1) }, "‹"),
      this.place, this.total,
      button({ class: "step", title: "Next case (→)", "aria-label": "Next case", onclick: () => on.go(1) }, "›"),
      this.progress, this.said, aside, this.state, this.signIn,
    )
    this.tools = element(
      "div",
      { class: "tools", role: "toolbar", "aria-label": mode === "check" ? "Boxes, undo and keys" : "Undo and keys" },
      ...[...(mode === "check" ? CHECKING : []), ...TOOLS].map(([name, text, title]) => button({ title, "data-tool": name, onclick: () => on.command(name) }, text)),
    )
  }

  jump(on) {
    const number = Number(this.place.value)
    this.place.value = this.shown
    if (Number.isInteger(number)) on.jump(number)
  }

  /** Which drawing tool is in the hand. */
  showTool(kind) {
    this.tools.querySelector('[data-tool="box"]')?.setAttribute("aria-pressed", String(kind === "box"))
  }

  showPlace(index, total) {
    const typing = this.place.getRootNode().activeElement === this.place && this.place.value !== this.shown
    this.shown = String(index + 1)
    if (!typing) this.place.value = this.shown // an answer that was stored meanwhile draws this anew
    this.total.textContent = `of ${total.toLocaleString("en-GB")}`
  }

  /** How far the reader is, how far everybody is, and how fast it goes. */
  showProgress({ labelled, total, labelled_by_anyone: anyone, pace }) {
    const known = typeof labelled === "number" && typeof total === "number" && total > 0
    const mine = known ? `${count(labelled)} of ${count(total)} by me (${Math.floor((100 * labelled) / total)} %)` : ""
    const all = known && typeof anyone === "number" ? `${count(anyone)} by anyone` : ""
    this.progress.textContent = [mine, all, known ? paceText(pace, total - labelled) : ""].filter(Boolean).join(" · ")
    this.progress.title = known ? `${mine} answered, ${all || "others not counted"}. The pace counts active time only.` : ""
  }

  showState(state, text) {
    this.sent = { kind: state.kind, text }
    this.drawState()
    this.signIn.hidden = state.kind !== "signed out" && state.kind !== "other reader"
  }

  /** Whether what is said of the case on the screen is in this tab only: "Saved" beside it would be taken for it. */
  showKept(kept) {
    this.kept = kept
    this.drawState()
  }

  drawState() {
    const { kind, text } = stateSeen(this.sent, this.kept)
    this.state.textContent = this.state.title = text
    this.state.dataset.kind = kind
  }

  /** A remark that goes away by itself, unless it must be read. */
  say(text, stays = false) {
    clearTimeout(this.timer)
    this.said.textContent = this.said.title = text
    this.said.classList.toggle("stays", stays)
    if (!stays) this.fade()
  }

  /** The reader goes on: what stayed has been read, or is soon. */
  fade() {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.said.replaceChildren(), SAY_MS)
  }
}
