// The panes on the screen: one, three planes of a volume with a crosshair, or two cases side by side.
//
// Tools, layers and painters belong to the case that is read: they are given once and hold for each of its panes,
// also those that come later, and never for a case that is only compared with.

import { Cine } from "./cine.js"
import { choosePreset } from "./commands.js"
import { Comparison } from "./comparison.js"
import { Crosshair } from "./crosshair.js"
import { element } from "./dom.js"
import { LookBar } from "./lookbar.js"
import { Pane } from "./pane.js"

const EVENTS = ["shown", "frame", "view", "window", "painted", "pointed"]

export class Layout {
  /** @param {{cases?: object, listed?: () => number[]}} [options] where cases to compare with come from, and the list */
  constructor({ cases = null, listed = () => [] } = {}) {
    this.cases = cases
    this.listed = listed
    this.painters = [] // (context2d, pane) => void, for the panes of the case that is read
    this.grabs = [] // (place, event) => tool | null: what lies on the image and can be taken hold of
    this.clicks = [] // (place) => boolean: whether a click without a tool was meant for what lies there
    this.makers = new Map() // name -> (pane) => layers
    this.listeners = new Map()
    this.tool = null
    this.loaded = null
    this.hidden = false
    this.mode = "one" // "one", "planes" or "compare"
    this.wanted = "one" // what the reader chose; a single image has no planes
    this.panes = [] // of the case that is read
    this.comparison = new Comparison(this)
    this.crosshair = new Crosshair(() => (this.mode === "planes" ? this.panes : []))
    this.element = element("div", { class: "panes", "data-layout": "one" })
    this.main = this.active = this.addPane()
    this.cine = new Cine(() => this.active, { onChange: () => this.bar.showCine() })
    this.bar = new LookBar(this)
  }

  // ---- panes come and go

  addPane(label = "") {
    const pane = this.makePane({ painters: this.painters, label })
    pane.setTool(this.tool)
    pane.grab = (place, event) => (event.altKey && this.grabCrosshair(place, event)) || this.grabOther(place, event) || this.grabCrosshair(place, event)
    pane.onClick = (place) => this.clicks.some((click) => click(place)) || (this.mode === "planes" && this.crosshair.moveTo(place.voxel))
    for (const name of EVENTS) pane.on(name, () => this.learn(name, pane))
    this.panes.push(pane)
    return pane
  }

  grabCrosshair(place, event) {
    return this.mode === "planes" && this.crosshair.grab(place, event)
  }

  grabOther(place, event) {
    for (const grab of this.grabs) {
      const tool = grab(place, event)
      if (tool) return tool
    }
    return null
  }

  makePane(options) {
    const pane = new Pane(options)
    pane.hideOverlays(this.hidden)
    for (const kind of ["pointerdown", "focusin"]) pane.element.addEventListener(kind, () => this.activate(pane), true)
    pane.on("window", () => pane === this.active && this.bar?.showLook())
    this.element.append(pane.element)
    pane.resize() // now, not with the next frame: what is shown in it at once must fit
    return pane
  }

  removePane(pane) {
    if (!pane) return
    this.panes = this.panes.filter((other) => other !== pane)
    pane.close()
    pane.element.remove()
    if (this.active === pane) this.activate(this.main)
  }

  /** The pane that keys and the bar speak to. */
  activate(pane) {
    if (pane === this.active) return
    this.active = pane
    this.markActive()
    this.bar.showLook()
  }

  markActive() {
    for (const pane of [...this.panes, this.comparison.pane].filter(Boolean)) {
      pane.element.classList.toggle("active", this.mode !== "one" && pane === this.active)
    }
  }

  // ---- who wants to know

  /** Calls back with the pane when something happened in one of the case's panes; returns how to stop that. */
  on(name, listener) {
    if (!this.listeners.has(name)) this.listeners.set(name, new Set())
    this.listeners.get(name).add(listener)
    return () => this.listeners.get(name).delete(listener)
  }

  learn(name, pane) {
    if (name === "shown" || name === "frame") for (const key of this.makers.keys()) this.layOn(pane, key)
    if (name === "frame" && this.mode === "planes") this.crosshair.follow(pane)
    if (name === "window" && this.mode === "planes") this.shareLook(pane)
    for (const listener of this.listeners.get(name) ?? []) listener(pane)
  }

  /** The planes of one volume have one window. */
  shareLook(from) {
    if (this.sharing) return
    this.sharing = true
    for (const pane of this.panes) if (pane !== from && pane.facts) pane.lookAs(from.look)
    this.sharing = false
  }

  // ---- cases

  show(loaded) {
    const before = this.loaded
    this.cine.stop()
    this.loaded = loaded
    this.comparison.wait()
    if (before && before.volume !== loaded.volume) before.volume.rest()
    this.main.show(loaded)
    this.arrange(this.wanted)
    this.keepShown()
    this.bar.showCase()
  }

  clear(text, ...actions) {
    this.cine.stop()
    this.loaded?.volume.rest()
    this.loaded = null
    this.crosshair.at = null
    for (const pane of this.panes.slice(1)) pane.clear()
    this.comparison.pane?.clear()
    this.main.clear(text, ...actions)
    this.bar.showCase()
  }

  /** What is on the screen is not given up for memory. */
  keepShown() {
    if (this.cases) this.cases.shown = new Set([this.loaded?.facts.id, this.comparison.pane?.facts?.id].filter((id) => id !== undefined))
  }

  canShowPlanes() {
    return (this.loaded?.facts.frames ?? 1) > 1
  }

  // ---- layouts

  setMode(mode) {
    this.wanted = mode
    if (this.loaded) this.arrange(mode)
  }

  arrange(wanted) {
    const mode = wanted === "planes" && !this.canShowPlanes() ? "one" : wanted
    if (this.mode !== mode) {
      this.dropPlanes()
      if (this.mode === "compare") this.comparison.close()
      this.mode = mode
      this.element.dataset.layout = mode
    }
    if (mode === "planes") this.showPlanes()
    if (mode === "compare") this.comparison.show()
    this.markActive()
    this.bar.showCase()
  }

  showPlanes() {
    const { facts } = this.loaded
    if (this.panes.length === 1) for (const plane of ["row", "column"]) this.addPane().element.dataset.plane = plane
    for (const [at, plane] of [[1, "row"], [2, "column"]]) {
      this.panes[at].show(this.loaded, { plane })
      this.sharing = true
      this.panes[at].lookAs(this.main.look)
      this.sharing = false
    }
    this.crosshair.at = null
    if (!this.painters.includes(this.crosshair.painter)) this.painters.push(this.crosshair.painter)
    this.crosshair.moveTo([facts.columns / 2, facts.rows / 2, this.main.index + 0.5])
  }

  dropPlanes() {
    this.crosshair.at = null
    for (const pane of this.panes.slice(1)) this.removePane(pane)
    if (this.mode === "planes") {
      this.mode = "one"
      this.element.dataset.layout = "one"
    }
  }

  // ---- commands

  /** What a key or a button asks for; false where it is not about looking. */
  command(name, digit) {
    const own = {
      preset: () => choosePreset(this.active, digit),
      play: () => this.cine.toggle(),
      planes: () => this.canShowPlanes() && this.setMode(this.mode === "planes" ? "one" : "planes"),
      compare: () => this.setMode(this.mode === "compare" ? "one" : "compare"),
      link: () => this.comparison.toggleLink(),
      fullScreen: () => this.toggleFullScreen(),
      escape: () => this.active.drag?.cancel(),
    }
    if (!own[name]) return this.active.command(name)
    if (this.loaded) own[name]()
    return true
  }

  async toggleFullScreen() {
    const whole = this.element.closest(".viewer") ?? this.element
    if (document.fullscreenElement) return document.exitFullscreen()
    await whole.requestFullscreen?.().catch(() => {}) // a browser that forbids it says so itself
  }

  // ---- what others lay on the case that is read

  setTool(tool) {
    this.tool = tool
    for (const pane of this.panes) pane.setTool(tool)
  }

  /** Layers under a name: `make(pane)` gives them for what a pane shows, asked again whenever that changes. */
  setLayers(name, make) {
    if (make) this.makers.set(name, make)
    else this.makers.delete(name)
    this.refreshLayers(name)
  }

  /** What `make` gives has changed. */
  refreshLayers(name) {
    for (const pane of this.panes) this.layOn(pane, name)
  }

  layOn(pane, name) {
    pane.setLayers(name, (pane.facts && this.makers.get(name)?.(pane)) || [])
  }

  hideOverlays(hidden) {
    this.hidden = hidden
    for (const pane of [...this.panes, this.comparison.pane]) pane?.hideOverlays(hidden)
  }

  redraw() {
    for (const pane of this.panes) pane.redraw()
  }

  repaintOver() {
    for (const pane of this.panes) pane.repaintOver()
  }

  close() {
    this.cine.stop()
    this.bar.close()
    this.loaded?.volume.rest()
    this.comparison.close()
    for (const pane of this.panes) pane.close()
  }
}
