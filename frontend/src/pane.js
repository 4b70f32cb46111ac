// One black surface with one picture of a case on it, what lies over the picture, and what its corners say.
//
// What others lay on it: `setLayers(name, layers)` (masks and heat maps, drawn by the renderer), and `painters`,
// called after every paint as (context2d, pane) to draw in canvas pixels on a canvas above the picture.

import { firstFrame } from "./cases.js"
import { runCommand } from "./commands.js"
import { Corners } from "./corners.js"
import { element } from "./dom.js"
import { freshView, toImage, viewMatrix } from "./geometry.js"
import { FrameBar } from "./framebar.js"
import { followPointer } from "./interaction.js"
import { usualView } from "./orientation.js"
import { fromVoxel, pictureOf, planeCount, planeSize, toVoxel } from "./planes.js"
import { makeRenderer } from "./renderers/choose.js"
import { firstWindow } from "./window.js"

export class Pane {
  /** @param {{painters?: Function[], label?: string}} [options] painters may be shared with other panes */
  constructor({ painters = [], label = "" } = {}) {
    this.label = label
    this.painters = painters
    this.canvas = element("canvas", { "aria-hidden": "true" })
    this.over = element("canvas", { class: "over", width: "0", height: "0", "aria-hidden": "true" })
    this.corners = new Corners()
    this.bar = new FrameBar(this)
    this.message = element("div", { class: "message", role: "alert", hidden: true })
    this.element = element(
      "div",
      { class: "stage", tabindex: "0", role: "img", "aria-label": "No image" },
      this.canvas, this.over, ...this.corners.elements, this.bar.element, this.message,
    )
    this.drawing = this.over.getContext("2d")
    this.renderer = makeRenderer(this.canvas, { onRestored: () => this.redraw() })
    this.listeners = new Map()
    this.layers = new Map() // name -> what is laid over the picture
    this.hidden = false // overlays, while a key is held
    this.tool = null
    this.grab = null // (place, event) => tool | null: who comes before the tool
    this.onClick = null // (place) => void: a press without a drag, where no tool is
    this.facts = this.volume = null
    this.plane = "frame"
    this.index = 0
    this.frameOver = 0
    this.view = freshView()
    this.matrix = null
    this.window = this.first = null
    this.inverted = false
    this.smooth = true
    this.colourMap = "grey"
    this.waiting = 0
    this.pointed = null
    this.stopListening = followPointer(this)
    this.observer = new ResizeObserver(() => this.resize())
    this.observer.observe(this.element)
  }

  // ---- who wants to know: "shown", "frame", "view", "window", "painted", "pointed", "tool"

  /** Calls back with this pane when something happened; returns how to stop that. */
  on(name, listener) {
    if (!this.listeners.has(name)) this.listeners.set(name, new Set())
    this.listeners.get(name).add(listener)
    return () => this.listeners.get(name).delete(listener)
  }

  emit(name) {
    for (const listener of this.listeners.get(name) ?? []) listener(this)
  }

  // ---- what is shown

  /** Show a case as its file asks for it; `index` counts the pictures of the plane. */
  show({ facts, volume }, { plane = "frame", index = null } = {}) {
    this.forget()
    Object.assign(this, { facts, volume, plane })
    this.index = index ?? (plane === "frame" ? firstFrame(facts) : planeCount(facts, plane) >> 1)
    this.frameOver = (facts.frames ?? 1) >> 1
    this.message.hidden = true
    this.stopLoading = volume.onLoaded((frame, error) => this.learnLoaded(frame, error))
    this.first = firstWindow(volume.at(firstFrame(facts)) ?? this.picture(), facts.windows)
    this.element.setAttribute("aria-label", [this.label, `Image ${facts.source}`].filter(Boolean).join(": "))
    if (plane === "frame") volume.focus(this.index)
    else if (volume.centre === null) volume.focus(firstFrame(facts))
    this.bar.showLoaded()
    this.reset()
    this.emit("shown")
    this.emit("frame")
  }

  /** Nothing, or the reason for it. */
  clear(text = "", ...actions) {
    this.forget()
    this.facts = this.volume = null
    this.say(text, ...actions)
    this.element.setAttribute("aria-label", text || "Loading")
    this.corners.clear()
    this.bar.element.hidden = true
    this.redraw()
  }

  say(text, ...actions) {
    this.message.replaceChildren(element("p", {}, text), ...actions)
    this.message.hidden = !text
  }

  forget() {
    this.stopLoading?.()
    this.stopLoading = null
    this.layers.clear()
    this.drag?.cancel()
  }

  /** The picture on the screen, or null while it is on its way. */
  picture() {
    return this.volume ? pictureOf(this.volume, this.plane, this.index) : null
  }

  /** How large a picture of this plane is, also before it is loaded. */
  shape() {
    return planeSize(this.facts, this.plane)
  }

  get count() {
    return this.facts ? planeCount(this.facts, this.plane) : 0
  }

  /** The stored frame on the screen; in the other planes the one the pointer or the crosshair was on last. */
  get frame() {
    return this.plane === "frame" ? this.index : this.frameOver
  }

  setFrame(frame) {
    if (this.plane === "frame") this.setIndex(frame)
  }

  /** Another picture of the same plane; beyond the ends nothing happens. */
  setIndex(index) {
    if (!this.facts) return
    const wanted = Math.min(this.count - 1, Math.max(0, Math.round(index)))
    if (wanted === this.index) return
    this.index = wanted
    if (this.plane === "frame") this.volume.focus(wanted)
    this.message.hidden = true
    this.bar.showPlace()
    this.redraw()
    this.emit("frame")
  }

  setPlane(plane, index) {
    if (!this.facts || (plane === this.plane && index === this.index)) return
    this.plane = plane
    this.index = Math.min(planeCount(this.facts, plane) - 1, Math.max(0, index))
    this.view = this.usualView()
    this.bar.showLoaded()
    this.redraw()
    this.emit("frame")
    this.emit("view")
  }

  learnLoaded(frame, error) {
    const seen = this.plane !== "frame" || frame === this.index
    if (error && this.plane === "frame" && frame === this.index) this.say(error.message)
    if (!error && seen && this.plane === "frame") this.message.hidden = true
    if (!error && seen) this.redraw()
    this.barStale = true
    this.repaintOver()
  }

  // ---- how it is shown

  reset() {
    this.setView(this.usualView())
    this.lookAs({ window: this.first, inverted: false })
  }

  usualView() {
    return usualView(this.facts.affine, this.plane)
  }

  /** What a key or a button asks for; false where it is not about looking. */
  command(name) {
    return runCommand(this, name)
  }

  setView(view) {
    this.view = view
    this.redraw()
    this.emit("view")
  }

  setWindow(window) {
    this.lookAs({ window })
  }

  /** How values are shown, apart from where: to be given to another pane. */
  get look() {
    const { window, inverted, colourMap, smooth } = this
    return { window, inverted, colourMap, smooth }
  }

  /** Changes some of the look. */
  lookAs(change) {
    Object.assign(this, change)
    this.redraw()
    this.emit("window")
  }

  // ---- what lies over it

  /** Masks or heat maps under one name, in the order the names first came; [] takes them away. */
  setLayers(name, layers) {
    this.layers.set(name, layers)
    this.redraw()
  }

  /** Hide everything that lies over the picture, while a key is held. */
  hideOverlays(hidden) {
    if (hidden === this.hidden) return
    this.hidden = hidden
    this.redraw()
  }

  /** A tool takes the left button, or one finger; null gives it back to the window. */
  setTool(tool) {
    if (tool === this.tool) return
    this.drag?.cancel()
    this.tool?.hover?.(null)
    this.tool = tool
    this.element.style.cursor = tool?.cursor ?? ""
    this.repaintOver()
    this.emit("tool")
  }

  // ---- places

  size() {
    return { width: this.over.width, height: this.over.height }
  }

  /** Where a point of the canvas lies in the picture. */
  toImage(canvasX, canvasY) {
    return toImage(this.matrix, canvasX, canvasY)
  }

  toCanvas(x, y) {
    const [a, b, c, d, e, f] = this.matrix
    return [a * x + c * y + e, b * x + d * y + f]
  }

  /** What a tool is told of a place of the canvas. */
  place(canvas) {
    const [x, y] = this.toImage(...canvas)
    const { plane, index } = this
    const voxel = toVoxel(plane, index, x, y)
    const frame = Math.min((this.facts.frames ?? 1) - 1, Math.max(0, Math.floor(voxel[2])))
    return { x, y, frame, voxel, plane, index, canvas, pane: this }
  }

  /** Go to the picture in which a point of the volume lies. */
  reveal([column, row, frame]) {
    if (!this.facts) return
    this.frameOver = Math.floor(frame)
    this.setIndex(fromVoxel(this.plane, column, row, frame).index)
  }

  // ---- drawing

  resize() {
    const ratio = window.devicePixelRatio || 1
    const [width, height] = [this.element.clientWidth, this.element.clientHeight].map((side) => Math.round(side * ratio))
    if (!width || !height || (width === this.over.width && height === this.over.height)) return
    this.over.width = width
    this.over.height = height
    this.renderer.resize(width, height)
    this.paint() // at once: a canvas that changes its size is blank until then
  }

  /** Draw all of it with the next frame of the screen, however often this is called before. */
  redraw() {
    this.stale = true
    this.repaintOver()
  }

  /** Only the painters: cheap, for what follows the pointer. */
  repaintOver() {
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0
      if (this.barStale) this.bar.showLoaded()
      this.barStale = false
      if (this.stale) this.paint()
      else this.paintOver()
    })
  }

  paint() {
    this.stale = false
    if (!this.over.width) return
    const picture = this.picture()
    this.matrix = this.facts ? viewMatrix(this.shape(), this.size(), this.view) : null
    // A frame that is still on its way is black: another one in its place would be read as this one.
    this.renderer.draw(picture, {
      window: this.window,
      inverted: this.inverted !== (this.facts?.photometric === "MONOCHROME1"),
      matrix: this.matrix,
      smooth: this.smooth,
      colourMap: this.colourMap,
      layers: this.hidden || !picture ? [] : [...this.layers.values()].flat(),
    })
    this.corners.describe(this, picture)
    this.paintOver()
    if (picture) this.emit("painted")
  }

  paintOver() {
    const { drawing, over } = this
    drawing.setTransform(1, 0, 0, 1, 0, 0)
    drawing.clearRect(0, 0, over.width, over.height)
    if (!this.matrix || !this.facts || this.hidden) return
    for (const painter of this.painters) {
      drawing.save()
      painter(drawing, this)
      drawing.restore()
    }
  }

  /** The pointer is at a place of the canvas, or nowhere. */
  point(at) {
    this.pointed = at
    if (this.facts && this.matrix && at && this.plane !== "frame") this.frameOver = this.place(at).frame
    this.corners.point(this, at)
    this.emit("pointed")
  }

  close() {
    this.forget()
    this.stopListening()
    this.observer.disconnect()
    cancelAnimationFrame(this.waiting)
    this.renderer.close?.()
  }
}
