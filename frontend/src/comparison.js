// The other side of two panes: a case beside the one that is read.

import { CompareBar, caseOf, choicesOf } from "./compare.js"
import { Link, linkedView, shareWindow } from "./linking.js"

const NOTHING = "There is no other case to compare with. A case number leads to any of this project."

export class Comparison {
  constructor(layout) {
    this.layout = layout
    this.pane = null
    this.link = null
    this.chosen = "" // by the reader; "" is the first there is
    this.asked = null // the latest request; an answer to an older one is late
  }

  open() {
    const { layout } = this
    this.pane = layout.makePane({ label: "Compared with" })
    this.link = new Link(layout.main, this.pane)
    this.bar = new CompareBar({
      choose: (value, typed) => this.choose(value, typed),
      link: () => this.toggleLink(),
      close: () => layout.setMode("one"),
    })
    this.pane.element.append(this.bar.element)
  }

  /** A case of the patient holds for the case that is read only, one given by its number for all. */
  choose(value, typed = false) {
    this.chosen = typed || !value.startsWith("case") ? value : ""
    this.show(value)
  }

  /** Another case comes: until it is there the two sides do not follow each other. */
  wait() {
    if (this.link) this.link.places = null
  }

  async show(value = this.chosen) {
    if (!this.pane) this.open()
    const { facts } = this.layout.loaded
    const listed = this.layout.listed()
    const choices = choicesOf(facts, listed)
    const chosen = caseOf(value, facts, listed) === undefined ? choices[0]?.[0] ?? "" : value
    const asked = (this.asked = {})
    this.bar.show(choices, chosen, this.link.on)
    this.wait()
    if (!chosen) return this.pane.clear(NOTHING)
    try {
      const loaded = await this.load(caseOf(chosen, facts, listed))
      if (this.asked === asked) this.put(loaded)
    } catch (error) {
      if (this.asked === asked) this.pane.clear(error.message)
    }
  }

  load(id) {
    const { loaded, cases } = this.layout
    if (id === loaded.facts.id) return loaded
    this.pane.clear()
    return cases.get(id)
  }

  put(loaded) {
    const { main, loaded: read } = this.layout
    const same = loaded.facts.id === read.facts.id
    if (loaded.facts.project !== read.facts.project) return this.pane.clear("That case is of another project.")
    this.pane.show(loaded, { index: same ? Math.min(loaded.volume.frames - 1, main.index + 1) : null })
    if (same) loaded.volume.focus(main.index)
    if (this.link.on) this.lookAlike(same)
    this.link.anchor()
    this.layout.keepShown()
  }

  /** What is linked begins alike, where the same window means the same: one case, or Hounsfield units. */
  lookAlike(same) {
    const { pane } = this
    const { main } = this.layout
    if (same || (main.facts.modality === "CT" && shareWindow(main.facts, pane.facts))) pane.lookAs(main.look)
    pane.setView(linkedView(main.view, main.size(), same ? main.view : pane.view, pane.size()))
  }

  toggleLink() {
    if (!this.link) return
    this.link.setOn(!this.link.on)
    this.bar.link.setAttribute("aria-pressed", String(this.link.on))
  }

  close() {
    if (!this.pane) return
    this.asked = null
    this.link.close()
    if (this.pane.volume !== this.layout.loaded?.volume) this.pane.volume?.rest()
    this.layout.removePane(this.pane)
    this.pane = this.link = null
    this.layout.keepShown()
  }
}
