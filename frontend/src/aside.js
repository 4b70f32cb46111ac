// What the server refused is kept in this browser until its reader has looked at it: sent again, downloaded or discarded.

import { button, element } from "./dom.js"
import { newId } from "./identity.js"

export class Aside {
  /** `on` holds again(event): send it once more, as a new one. */
  constructor(on) {
    this.on = on
    this.rows = []
    this.open = button({ class: "aside-count", hidden: true, title: "What the server refused; it is kept in this browser", onclick: () => this.show() })
    this.list = element("ul", {})
    this.dialog = element(
      "dialog",
      { class: "sheet", "aria-label": "Put aside" },
      element("header", {}, element("h2", {}, "Not accepted by the server"), button({ class: "quiet", onclick: () => this.dialog.close() }, "Close")),
      element("p", {}, "This was refused and does not count. It is kept in this browser until you send it again or discard it."),
      this.list,
      element(
        "div",
        { class: "pair" },
        button({ onclick: () => this.download() }, "Download all"),
        button({ onclick: () => this.discardAll() }, "Discard all"),
      ),
    )
  }

  /** @param {object} store @param {string} owner */
  async read(store, owner) {
    this.store = store
    this.owner = owner
    await this.refresh()
  }

  async refresh() {
    if (!this.store) return
    this.rows = await this.store.listAside(this.owner).catch(() => [])
    this.open.hidden = !this.rows.length
    this.open.textContent = `${this.rows.length} put aside`
    this.list.replaceChildren(...this.rows.map((row) => this.line(row)))
    if (!this.rows.length && this.dialog.open) this.dialog.close()
  }

  line(row) {
    return element(
      "li",
      {},
      element("p", {}, element("b", {}, `Case ${row.event.case}: ${toldText(row.event)}`), ` ${row.reason}`),
      element("div", { class: "pair" }, button({ onclick: () => this.again(row) }, "Send again"), button({ onclick: () => this.discard([row]) }, "Discard")),
    )
  }

  show() {
    this.dialog.showModal()
  }

  /** As a new event, under the classes as they are now; kept before the old one goes. */
  async again(row) {
    await this.on.again({ ...row.event, event: newId() })
    await this.discard([row])
  }

  async discardAll() {
    if (confirm(`Discard ${this.rows.length} ${this.rows.length === 1 ? "change" : "changes"} for good?`)) await this.discard(this.rows)
  }

  async discard(rows) {
    await this.store.dropAside(rows.map((row) => row.place))
    await this.refresh()
  }

  download() {
    const text = JSON.stringify(this.rows.map(({ event, reason }) => ({ reason, ...event })), null, 2)
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: "readroom-put-aside.json" })
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  }
}

/** What an event says, in a few words. */
export function toldText(event) {
  if (event.type === "mark") return event.deleted ? `${event.kind} deleted` : event.label ? `${event.kind}, ${event.label}` : event.kind
  if (event.type === "mask") return `painted ${event.structure}`
  if (event.unusable) return "unusable"
  if (!event.value) return "answer taken back"
  if (typeof event.value.value === "number") return String(event.value.value)
  return (event.value.classes ?? event.value.structures ?? []).join(", ") || "none of these"
}
