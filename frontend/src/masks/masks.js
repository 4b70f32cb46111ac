// The masks of the case on the screen: structures, tools, and what becomes of a stroke.

import { Chord, chordsOf, keyedStructures } from "../chords.js"
import { LoadError } from "../fetching.js"
import { BrushTool } from "./brush.js"
import { paintCursor } from "./cursor.js"
import { FillTool, PickTool, RegionTool, brightness } from "./fill.js"
import { Grid } from "./grid.js"
import { PaneLayers } from "./layers.js"
import { Others } from "./others.js"
import { MaskPanel } from "./panel.js"
import { MaskError, toBase64 } from "./runs.js"
import { clearSlice, copySlice, fillBetween } from "./slices.js"
import { fetchGrid, framesOf, gridOf } from "./stored.js"
import { Stroke } from "./stroke.js"

export const SMALLEST = 1
export const LARGEST = 400
const FIRST_SHARE = 0.04 // of the smaller side: the brush, until the reader gives it a size
const NAME = "masks"
const KEPT_CASES = 50 // as codes: a few kilobytes each

export class Masks {
  /**
   * @param {{structures: {name: string, colour: string, retired?: boolean}[]}} project
   * @param {object} on
   *   onStroke({case, structure, before, after}): an act is complete; before and after map frames to their run-length codes
   *   onFault(text): something stored cannot be shown; it stays on the screen until read
   *   onSay(text): a remark
   *   onTool(kind | null): the reader chose a tool, or laid it down
   * @param {(masks: Masks) => object} [makePanel] what shows it beside the image
   */
  constructor(project, { onStroke, onFault, onSay, onTool } = {}, makePanel = (masks) => new MaskPanel(masks)) {
    this.onStroke = onStroke ?? (() => {})
    this.fault = onFault ?? (() => {})
    this.say = onSay ?? (() => {})
    this.onTool = onTool ?? (() => {})
    const keyed = keyedStructures(project.structures)
    const chords = chordsOf(keyed)
    this.chord = new Chord(keyed, { onWait: (pressed) => this.panel.showWaiting(pressed) })
    this.structures = project.structures.map((structure) => ({
      ...structure,
      key: chords.get(structure.name) ?? "",
      locked: Boolean(structure.retired), hidden: false, fill: 0.35, outline: true,
      grid: null, state: "absent", waiting: [],
    }))
    this.active = this.structures.find((structure) => !structure.retired) ?? this.structures[0]
    this.settings = { size: 15, isOwnSize: false, range: { low: null, high: null }, tolerance: null, rangedBall: false, largestFill: 0.25, keepOff: true }
    this.facts = null
    this.layout = null
    this.others = new Others(this)
    this.panes = new WeakMap() // pane -> PaneLayers
    this.kept = new Map() // case id -> Map(structure -> frames), as last seen here
    this.pointer = null
    this.kind = this.kindBefore = null
    this.open = null // the tool with a stroke under way
    this.tools = new Map(
      [
        new BrushTool(this, { name: "brush" }),
        new BrushTool(this, { name: "eraser", value: 0 }),
        new BrushTool(this, { name: "threshold", ranged: () => true }),
        new BrushTool(this, { name: "ball", ball: true, ranged: () => this.settings.rangedBall }),
        new FillTool(this), new RegionTool(this), new PickTool(this),
      ].map((tool) => [tool.name, tool]),
    )
    this.painter = (context, pane) => paintCursor(this, context, pane)
    this.panel = makePanel(this)
  }

  // ---- where they are drawn

  /** @param {object} layout the panes of the case that is read: see layout.js */
  attach(layout) {
    this.layout = layout
    layout.painters.push(this.painter)
    layout.setLayers(NAME, (pane) => this.layersFor(pane))
    this.stopListening = layout.main.on("tool", () => this.learnTool())
  }

  /** Another part of the page put another tool into the hand. */
  learnTool() {
    if (!this.kind || this.layout.tool === this.tool(this.kind)) return
    this.drop()
  }

  detach() {
    this.leave()
    if (!this.layout) return
    this.layout.setLayers(NAME, null)
    this.layout.painters.splice(this.layout.painters.indexOf(this.painter), 1)
    this.stopListening()
    this.layout = null
  }

  /** What the renderer lays over the picture of a pane: what others painted below, what is painted here above. */
  layersFor(pane) {
    if (!this.panes.has(pane)) this.panes.set(pane, new PaneLayers(pane))
    const own = this.structures.filter((structure) => structure.grid && !structure.hidden)
    return this.panes.get(pane).build(this.facts && pane.facts?.id === this.facts.id ? [...this.others.sources(), ...own] : [])
  }

  /** Who else has painted on the case became known. */
  learnOthers(others) {
    this.others.learn(others)
  }

  /** What the panel says and what the panes show. */
  refresh() {
    this.panel.show()
    this.redraw()
  }

  redraw() {
    this.layout?.refreshLayers(NAME)
  }

  hover(at) {
    this.pointer = at
    this.layout?.repaintOver()
  }

  // ---- the case

  /**
   * A case is on the screen: get what this reader painted before.
   *
   * @param {object} facts of `GET /api/v1/cases/{id}`, of now: a stroke replaces a whole frame, so a structure that they
   *   do not name must not have been painted since
   * @param {{pending?: object[]}} [options] events of type "mask" for this case that wait to be sent: newer than the server's
   */
  async load(facts, { pending = [] } = {}) {
    this.leave()
    this.facts = facts
    if (!this.settings.isOwnSize) this.fitSize()
    this.others.enter(facts.others)
    this.aborter = new AbortController()
    const stored = new Set([...(facts.masks ?? []), ...[...(this.kept.get(facts.id) ?? [])].filter(([, frames]) => frames.size).map(([name]) => name)])
    for (const structure of this.structures) {
      structure.grid = new Grid(facts)
      structure.waiting = pending.filter((event) => event.structure === structure.name).map(({ frames }) => frames)
      if (stored.has(structure.name)) structure.state = "loading"
      else this.settle(structure)
    }
    this.refresh()
    await Promise.all(this.structures.filter(({ state }) => state === "loading").map((structure) => this.fetchStored(structure)))
  }

  leave() {
    this.open?.cancel()
    this.chord.clear()
    this.aborter?.abort()
    this.keep()
    this.facts = this.pointer = null
    this.others.enter()
    for (const structure of this.structures) Object.assign(structure, { grid: null, state: "absent", waiting: [] })
    this.refresh()
  }

  /** What was seen of a case is kept for when there is no connection. */
  keep() {
    if (!this.facts) return
    const { id } = this.facts
    const seen = new Map(this.kept.get(id))
    for (const { name, grid, state } of this.structures) if (state === "ready") seen.set(name, grid.frameRuns())
    this.kept.delete(id)
    if ([...seen.values()].some((frames) => frames.size)) this.kept.set(id, seen)
    if (this.kept.size > KEPT_CASES) this.kept.delete(this.kept.keys().next().value)
  }

  /** What the server has of a structure; again after it failed. */
  async fetchStored(structure) {
    const { facts, aborter } = this
    structure.state = "loading"
    this.panel.show()
    try {
      const grid = await fetchGrid(facts, structure.name, null, aborter.signal)
      if (aborter.signal.aborted) return
      structure.grid = grid
      this.settle(structure)
    } catch (error) {
      if (aborter.signal.aborted) return
      const seen = error instanceof LoadError && this.kept.get(facts.id)?.get(structure.name)
      if (seen) {
        structure.grid = gridOf(facts, seen)
        this.settle(structure)
      } else this.fail(structure, error)
    }
    this.refresh()
  }

  fail(structure, error) {
    structure.state = "failed"
    this.fault(`The mask of ${structure.name} cannot be shown: ${error.message} It is kept as it is; nothing can be painted on it until it is there.`)
  }

  /** Once what is stored is there: what was painted since. */
  settle(structure) {
    structure.state = "ready"
    for (const frames of structure.waiting.splice(0)) this.put(structure, frames)
  }

  put(structure, frames) {
    try {
      for (const [frame, runs] of framesOf(frames)) {
        if (frame < 0 || frame >= structure.grid.frames) throw new MaskError(`This image has no frame ${frame + 1}.`)
        structure.grid.setRuns(frame, runs)
      }
    } catch (error) {
      if (!(error instanceof MaskError)) throw error
      this.fault(`A change of ${structure.name} cannot be shown: ${error.message}`)
    }
  }

  // ---- what is said

  /** Frames as they shall be, for undo and redo. */
  apply(name, frames) {
    const structure = this.find(name)
    if (!structure?.grid) return
    if (structure.state === "ready") this.put(structure, frames)
    else structure.waiting.push(frames)
    const stroke = this.open?.stroke
    // A stroke that is still being drawn goes on from here, and so does what takes it back.
    if (stroke?.structure === name) for (const frame of framesOf(frames).keys()) stroke.before.set(frame, structure.grid.runs(frame))
    this.panel.showVolumes()
    this.redraw()
  }

  /** The body of the event that tells the server. */
  toEvent(structure, frames) {
    const coded = Object.fromEntries([...frames].map(([frame, runs]) => [String(frame), toBase64(runs)]))
    return { type: "mask", structure, frames: coded }
  }

  /** Begin an act on the chosen structure; null where that cannot be, and the reader is told why. */
  begin(tool = null) {
    const structure = this.active
    const obstacle = this.obstacle(structure)
    if (obstacle) return this.say(obstacle), null
    if (structure.hidden) this.change(structure, { hidden: false }) // nobody paints what they do not see
    this.open = tool?.isBrush ? tool : null
    return new Stroke(structure.grid, structure.name, (frame) => this.guard(structure, frame))
  }

  obstacle(structure) {
    if (!structure) return "This project has no structures to paint."
    if (!this.facts || structure.state === "absent") return "Wait for the image."
    if (structure.state === "loading") return `Wait until the mask of ${structure.name} is loaded.`
    if (structure.state === "failed") return `The mask of ${structure.name} could not be loaded. Load it again before you paint on it.`
    if (structure.retired) return `${structure.name} is not used any more; what was painted stays.`
    return structure.locked ? `${structure.name} is locked. Unlock it to change it.` : ""
  }

  /** Which pixels of a frame may be painted: null, all of them. */
  guard(structure, frame) {
    if (!this.settings.keepOff) return null
    const kept = this.structures
      .filter((other) => other !== structure && other.locked && other.grid?.countIn(frame))
      .map((other) => other.grid.mask(frame))
    return kept.length ? (place) => !kept.some((mask) => mask[place]) : null
  }

  /** The act is complete. */
  finish(stroke) {
    this.open = null
    const act = stroke.finish()
    this.panel.showVolumes()
    this.redraw()
    if (act) this.onStroke({ case: this.facts.id, ...act })
    return Boolean(act)
  }

  /** The pane that is looked at. */
  get pane() {
    const { pointer, layout } = this
    // Beside the case that is read there may be one that it is only compared with.
    const own = [pointer?.pane, layout?.active].filter((pane) => layout?.panes.includes(pane))
    return own[0] ?? layout?.main ?? null
  }

  // ---- tools and their settings

  tool(kind) {
    return this.tools.get(kind) ?? null
  }

  /** Take a tool in hand; the same again, or null, lays it down. */
  choose(kind) {
    this.open?.cancel()
    this.kindBefore = this.kind === "pick" ? this.kindBefore : this.kind
    this.kind = kind === this.kind ? null : kind
    this.layout?.setTool(this.tool(this.kind))
    this.panel.showTools()
    this.onTool(this.kind)
  }

  /** Lay the tool down, because another part of the page has one in the hand now. */
  drop() {
    this.open?.cancel()
    this.kind = null
    this.panel.showTools()
  }

  /** What a key or a button asks for; false where it is not about masks. */
  command(name) {
    const commands = {
      smaller: () => this.setSize(Math.min(this.settings.size - 1, this.settings.size * 0.85)),
      larger: () => this.setSize(Math.max(this.settings.size + 1, this.settings.size * 1.15)),
      interpolate: () => fillBetween(this),
      clearSlice: () => clearSlice(this),
      copySlice: () => copySlice(this),
      copyToNext: () => copySlice(this),
    }
    if (name === "escape" && this.kind) this.choose(null)
    else if (this.tools.has(name)) this.choose(name)
    else if (commands[name]) commands[name]()
    else return false
    return true
  }

  /** A brush that suits the image. */
  fitSize() {
    this.showSize(FIRST_SHARE * Math.min(this.facts.rows, this.facts.columns))
  }

  setSize(size) {
    this.settings.isOwnSize = true
    this.showSize(size)
  }

  showSize(size) {
    this.settings.size = Math.min(LARGEST, Math.max(SMALLEST, Math.round(size)))
    this.panel.showTools()
    this.layout?.repaintOver()
  }

  setRange(range) {
    Object.assign(this.settings.range, range)
    this.panel.showRange()
  }

  /** [low, high] around a value: the tolerance, or a tenth of the window the reader looks with. */
  rangeAround(value) {
    const tolerance = this.settings.tolerance ?? (this.pane?.window?.width ?? 0) / 10
    const digits = tolerance > 0 ? Math.min(12, Math.max(0, 1 - Math.floor(Math.log10(tolerance)))) : 6
    return [value - tolerance, value + tolerance].map((bound) => +bound.toFixed(digits))
  }

  /** For a brush that paints only inside the range: (frame) => (place) => boolean. */
  rangeTest() {
    const { low, high } = this.settings.range
    const [least, most] = [low ?? -Infinity, high ?? Infinity]
    const volume = this.pane?.volume
    return (frame) => {
      const picture = volume?.at(frame)
      if (!picture) return this.say("Some slices are not loaded yet; they were not painted."), () => false
      const valueAt = brightness(picture)
      return (place) => valueAt(place) >= least && valueAt(place) <= most
    }
  }

  // ---- structures

  find(name) {
    return this.structures.find((structure) => structure.name === name)
  }

  pick(name) {
    this.open?.cancel()
    this.active = this.find(name) ?? this.active
    this.panel.show()
    this.layout?.repaintOver()
  }

  /** Whether a digit, or the second of two, names a structure. */
  pressDigit(digit) {
    const name = this.chord.press(digit)
    if (name) this.pick(name)
    return Boolean(name)
  }

  /** Lock, hide, or show in another way. */
  change(structure, changed) {
    if (structure.retired) delete changed.locked
    this.open?.cancel()
    Object.assign(structure, changed)
    this.refresh()
  }
}
