// The marks of the case on the screen: which there are, which is chosen, and the tools that draw and edit them.

import { Chord } from "../chords.js"
import { fetchChecked } from "../fetching.js"
import { newId } from "../identity.js"
import { KINDS, isMeasure } from "./model.js"
import { paintMarks } from "./painter.js"
import { MarkPanel } from "./panel.js"
import { EditTool, grasp, lessVertex, toolsOf } from "./tools.js"

export class Marks {
  /**
   * @param {{classes?: object[], structures?: object[]}} project
   * @param {object} on
   *   onChange({case, before, after}): a mark was drawn (before null), changed, or taken away (after null)
   *   onSay(text), onFault(text): a remark; what stays on the screen until read
   *   onTool(kind | null): the reader chose a tool, or laid it down
   *   onChoose(mark): the reader chose a mark
   * @param {{editable?: boolean, kinds?: string[], covers?: boolean, makePanel?: (marks: Marks) => object}} [options]
   *   kinds: which there are tools for; covers: each mark goes black on every frame, and is so shown
   */
  constructor(project, { onChange, onSay, onFault, onTool, onChoose } = {}, { editable = true, kinds = Object.keys(KINDS), covers = false, makePanel = (marks) => new MarkPanel(marks) } = {}) {
    this.onChange = onChange ?? (() => {})
    this.say = onSay ?? (() => {})
    this.fault = onFault ?? (() => {})
    this.onTool = onTool ?? (() => {})
    this.onChoose = onChoose ?? (() => {})
    Object.assign(this, { editable, covers })
    this.classes = project.classes?.length ? project.classes : project.structures ?? []
    this.offered = this.classes.filter((label) => !label.retired)
    this.chord = new Chord(this.offered)
    this.facts = this.layout = null
    this.own = []
    this.theirs = new Map() // reader -> marks, to be looked at only
    this.others = [] // who else has drawn here
    this.hidden = false
    this.forget()
    this.tools = new Map([...toolsOf(this)].filter(([kind]) => kinds.includes(kind)))
    this.kind = null
    this.nextLabel = "" // of the next mark: the class that was last given on this case
    this.painter = (context, pane) => this.facts && pane.facts?.id === this.facts.id && paintMarks(context, pane, this)
    this.panel = makePanel(this)
  }

  forget() {
    this.chosen = "" // id of the selected mark
    this.vertex = -1 // its corner that was clicked on
    this.touched = "" // id of the mark that was last drawn, changed or chosen
    this.draft = this.previewed = null
  }

  // ---- where they are drawn

  /** @param {object} layout the panes of the case that is read: see layout.js */
  attach(layout) {
    this.layout = layout
    this.grab = (place, event) => this.toolAt(place, event)
    this.click = (place) => this.clickAt(place)
    layout.painters.push(this.painter)
    layout.grabs.push(this.grab)
    layout.clicks.push(this.click)
    const stops = [
      layout.main.on("tool", () => this.learnTool()),
      layout.on("frame", (pane) => this.learnFrame(pane)),
      layout.on("pointed", (pane) => this.showCursor(pane)),
    ]
    this.stopListening = () => stops.forEach((stop) => stop())
  }

  detach() {
    this.leave()
    const { layout } = this
    if (!layout) return
    for (const [list, item] of [[layout.painters, this.painter], [layout.grabs, this.grab], [layout.clicks, this.click]]) list.splice(list.indexOf(item), 1)
    this.stopListening()
    this.layout = null
  }

  redraw() {
    this.layout?.repaintOver()
  }

  /** The marks to be seen on a stored frame, what others drew first. */
  visibleOn(frame) {
    return this.hidden ? [] : [...[...this.theirs.values()].flat(), ...this.own].filter((mark) => this.covers || mark.frame === frame)
  }

  /** A mark as it lies while it is dragged. */
  asPreviewed(mark) {
    return this.previewed?.mark === mark.mark ? { ...mark, geometry: this.previewed.geometry, isDraft: true } : mark
  }

  showDraft(draft) {
    this.draft = draft
    this.redraw()
  }

  preview(mark, geometry) {
    this.previewed = mark && { mark: mark.mark, geometry }
    this.redraw()
  }

  /** The pointer tells what it would take hold of. */
  showCursor(pane) {
    const found = pane.pointed && !pane.drag && pane.facts && pane.matrix ? this.toolAt(pane.place(pane.pointed)) : null
    pane.over.style.cursor = found?.cursor ?? ""
  }

  /** What is not on the screen is not chosen: Delete must not take away what nobody sees. */
  learnFrame(pane) {
    const { selected } = this
    if (selected && !this.covers && pane === this.layout.main && pane.index !== selected.frame) this.select("")
  }

  // ---- the case

  /** A case is on the screen, or its marks have changed elsewhere; `list` holds those that count. */
  load(facts, list) {
    const isOther = facts.id !== this.facts?.id
    if (isOther) this.leave()
    this.facts = facts
    this.own = list.map((mark) => ({ ...mark, label: mark.label ?? "" }))
    if (this.previewed && !this.own.some((mark) => mark.mark === this.previewed.mark)) this.previewed = null
    if (!this.selected) this.chosen = ""
    this.vertex = -1
    this.panel.show()
    this.redraw()
  }

  /** An outline that is half drawn stays, where it can stand as it is. */
  settle() {
    if (this.facts) this.tool(this.kind)?.settle()
  }

  leave() {
    this.settle()
    this.aborter?.abort()
    this.facts = null
    this.own = []
    this.others = []
    this.theirs.clear()
    this.nextLabel = ""
    this.chord.clear()
    this.forget()
    this.panel.show()
    this.redraw()
  }

  list() {
    return [...this.own]
  }

  get selected() {
    return [...this.own, ...[...this.theirs.values()].flat()].find((mark) => mark.mark === this.chosen) ?? null
  }

  isMine(mark) {
    return this.editable && !mark.theirs
  }

  /** The mark that was last drawn, changed or chosen, of those that `fits`; else the last one. */
  newest(fits) {
    const found = this.own.filter(fits)
    return found.find((mark) => mark.mark === this.touched) ?? found.at(-1) ?? null
  }

  /** Why nothing can be drawn now; "" where it can. */
  obstacle() {
    return this.facts ? "" : "Wait for the image."
  }

  // ---- what is done to them

  add({ kind, frame, geometry, label = isMeasure(kind) ? "" : this.nextLabel }) {
    const mark = { mark: newId(), kind, frame, geometry, label }
    this.hidden = false // nobody draws what they do not see
    this.put(null, mark)
    this.select(mark.mark)
    return mark
  }

  /** Another geometry or class. */
  change(id, changed) {
    const before = this.own.find((mark) => mark.mark === id)
    if (!before || !this.editable) return
    const after = { ...before, ...changed }
    if (JSON.stringify([before.geometry, before.label]) !== JSON.stringify([after.geometry, after.label])) this.put(before, after)
  }

  remove(id) {
    const before = this.own.find((mark) => mark.mark === id)
    if (before && this.editable) this.put(before, null)
  }

  put(before, after) {
    const id = (after ?? before).mark
    if (!before) this.own.push(after)
    else if (after) this.own = this.own.map((mark) => (mark.mark === id ? after : mark))
    else this.own = this.own.filter((mark) => mark.mark !== id)
    if (after) this.touched = id
    if (!this.selected) this.chosen = ""
    this.vertex = -1
    this.panel.show()
    this.redraw()
    this.onChange({ case: this.facts.id, before: told(before), after: told(after) })
  }

  select(id) {
    if (id === this.chosen) return
    this.chosen = id
    this.vertex = -1
    this.chord.clear()
    this.panel.show()
    this.redraw()
    if (!this.selected) return
    this.touched = id
    this.onChoose(this.selected)
  }

  /** Choose a mark and go to its frame. */
  goTo(id) {
    const mark = [...this.own, ...[...this.theirs.values()].flat()].find((one) => one.mark === id)
    if (!mark) return
    this.setHidden(false)
    if (!this.covers) this.layout?.main.setFrame(mark.frame)
    this.select(id)
  }

  /** The mark after the chosen one, frame by frame. */
  goToNext() {
    const order = [...this.own].sort((one, other) => one.frame - other.frame)
    if (!order.length) return this.say("There is no mark on this case.")
    this.goTo(order[(order.findIndex((mark) => mark.mark === this.chosen) + 1) % order.length].mark)
  }

  setHidden(hidden) {
    if (hidden) this.select("")
    this.hidden = hidden
    this.panel.show()
    this.redraw()
  }

  /** The same shape on the next frame, which is then looked at. */
  copyToNext() {
    const { selected, facts } = this
    if (!selected) return this.say("Choose the mark to copy: click on its line.")
    const frame = selected.frame + 1
    if (frame >= (facts.frames ?? 1)) return this.say("This is the last frame.")
    this.layout?.main.setFrame(frame)
    const { kind, geometry, label } = selected
    this.add({ kind, frame, geometry, label: this.offered.some(({ name }) => name === label) ? label : "" })
  }

  giveClass(label) {
    const { selected } = this
    if (!selected || !this.isMine(selected)) return
    if (!isMeasure(selected.kind)) this.nextLabel = label
    this.change(selected.mark, { label })
  }

  chooseVertex(at) {
    this.vertex = at
    this.redraw()
  }

  removeVertex(at) {
    const less = lessVertex(this.selected, at)
    if (typeof less === "string") this.say(less)
    else this.change(this.selected.mark, { geometry: less })
  }

  // ---- tools

  tool(kind) {
    return this.tools.get(kind) ?? null
  }

  /** Whether something is half drawn. */
  get isOpen() {
    return Boolean(this.tool(this.kind)?.isOpen)
  }

  /** Take a tool in hand; the same again, or null, lays it down. */
  choose(kind) {
    this.tool(this.kind)?.settle()
    this.kind = kind === this.kind ? null : kind
    this.layout?.setTool(this.tool(this.kind))
    this.panel.showTools()
    this.onTool(this.kind)
  }

  /** Lay the tool down, because another part of the page has one in the hand now. */
  drop() {
    this.tool(this.kind)?.settle()
    this.kind = null
    this.panel.showTools()
  }

  learnTool() {
    if (this.kind && this.layout.tool !== this.tool(this.kind)) this.drop()
  }

  /** What a press here takes hold of, before the tool in the hand; null: nothing. */
  toolAt(place, event) {
    const inHand = this.layout.tool
    if (!this.facts || this.hidden || this.isOpen || (inHand && inHand !== this.tool(this.kind))) return null
    const found = grasp(this, place, event)
    if (!found) return null
    const isChosen = found.mark.mark === this.chosen
    const isMine = this.isMine(found.mark)
    // With a tool in the hand the next shape may begin anywhere but at what is chosen.
    if (inHand) return isChosen && isMine && found.part !== "body" ? new EditTool(this, found) : null
    return found.part !== "body" || (isChosen && isMine) ? new EditTool(this, found) : null
  }

  /** A press without a drag chooses what lies there, or nothing; true where there was something. */
  clickAt(place) {
    const found = this.facts && !this.hidden ? grasp(this, place) : null
    this.select(found?.mark.mark ?? "")
    return Boolean(found)
  }

  // ---- keys

  /** A key that belongs to what is being drawn or is chosen; true where it was taken. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || !this.facts) return false
    const tool = this.tool(this.kind)
    if (this.isOpen && tool.close && /^(Numpad)?Enter$/.test(event.code)) return tool.close(), true
    if (event.code === "Backspace" && this.isOpen && tool.back) return tool.back(), true
    if (event.code === "Backspace" && this.vertex >= 0 && this.selected) return this.removeVertex(this.vertex), true
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)
    return Boolean(digit) && !event.repeat && this.pressDigit(digit[1])
  }

  /** A digit gives the chosen mark its class, 0 takes it away; false where none is chosen. */
  pressDigit(digit) {
    if (!this.selected || !this.isMine(this.selected) || !this.offered.length) return false
    const name = this.chord.press(digit)
    if (name !== null) this.giveClass(name)
    return true
  }

  /** What a key or a button asks for; false where it is not about marks. */
  command(name) {
    const commands = {
      delete: () => this.deleteChosen(),
      copyToNext: () => this.copyToNext(),
      nextMark: () => this.goToNext(),
    }
    if (name === "escape") return this.escape()
    if (!this.editable || (!this.tools.has(name) && !commands[name])) return false
    if (!this.facts) this.say("Wait for the image.")
    else if (this.tools.has(name)) this.choose(name)
    else commands[name]()
    return true
  }

  deleteChosen() {
    const { selected } = this
    if (selected && this.isMine(selected)) this.remove(selected.mark)
    else this.say(selected ? `This mark is ${selected.theirs}'s; it can only be looked at.` : "Choose the mark to delete: click on its line.")
  }

  /** Step by step: what is half drawn, what is chosen, the tool. False where there is nothing to give up. */
  escape() {
    const drag = this.layout?.panes.find((pane) => pane.drag?.tool?.name === "edit")?.drag
    if (drag) drag.cancel()
    else if (this.isOpen) this.tool(this.kind).giveUp()
    else if (this.chosen) this.select("")
    else if (this.kind) this.choose(null)
    else return false
    return true
  }

  // ---- what others drew

  /** Who else has drawn on the case became known, for example after the reader's own answer. */
  learnOthers(others = []) {
    const drawn = others.filter(({ marks }) => marks)
    if (!this.facts || JSON.stringify(drawn) === JSON.stringify(this.others)) return
    this.others = drawn
    this.panel.show()
  }

  /** Another reader's marks, where this reader may see them; again takes them away. */
  async toggleReader(reader) {
    const { facts } = this
    if (this.theirs.delete(reader)) {
      if (!this.selected) this.chosen = ""
      this.panel.show()
      return this.redraw()
    }
    this.aborter ??= new AbortController()
    if (this.aborter.signal.aborted) this.aborter = new AbortController()
    const { signal } = this.aborter
    try {
      const { marks } = await (await fetchChecked(`/api/v1/cases/${facts.id}/marks?reader=${encodeURIComponent(reader)}`, { signal })).json()
      if (signal.aborted) return
      this.theirs.set(reader, marks.filter(({ kind }) => KINDS[kind]).map((mark) => ({ ...mark, mark: `${reader}: ${mark.mark}`, theirs: reader })))
      this.hidden = false
      this.panel.show()
      this.redraw()
    } catch (error) {
      if (!signal.aborted) this.fault(`The marks of ${reader} cannot be shown: ${error.message}`)
    }
  }
}

/** What is told of a mark, and kept in the history. */
function told(mark) {
  if (!mark) return null
  const { mark: id, kind, frame, geometry, label } = mark
  return { mark: id, kind, frame, geometry, label }
}
