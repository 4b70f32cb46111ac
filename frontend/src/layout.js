// The panes on the screen: one, three planes of a volume, or two cases side by side.
//
// Tools, layers and painters belong to the case that is read: they are given once and hold for each of its panes,
// also those that come later, and never for a case that is only compared with.

import { element } from "./dom.js"
import { Pane } from "./pane.js"

const EVENTS = ["shown", "frame", "view", "window", "painted"]

export class Layout {
  constructor() {
    this.painters = [] // (context2d, pane) => void, for the panes of the case that is read
    this.makers = new Map() // name -> (pane) => layers
    this.listeners = new Map()
    this.tool = null
    this.loaded = null
    this.panes = []
    this.main = this.addPane()
    this.element = element("div", { class: "panes", "data-layout": "one" }, this.main.element)
  }

  addPane(options = {}) {
    const pane = new Pane({ painters: this.painters, ...options })
    pane.setTool(this.tool)
    for (const name of EVENTS) pane.on(name, () => this.learn(name, pane))
    this.panes.push(pane)
    return pane
  }

  /** Calls back with the pane when something happened in one of the case's panes; returns how to stop that. */
  on(name, listener) {
    if (!this.listeners.has(name)) this.listeners.set(name, new Set())
    this.listeners.get(name).add(listener)
    return () => this.listeners.get(name).delete(listener)
  }

  learn(name, pane) {
    if (name === "shown" || name === "frame") for (const key of this.makers.keys()) this.layOn(pane, key)
    for (const listener of this.listeners.get(name) ?? []) listener(pane)
  }

  show(loaded) {
    this.loaded = loaded
    this.main.show(loaded)
  }

  clear(text, ...actions) {
    this.loaded = null
    for (const pane of this.panes) pane.clear(text, ...actions)
  }

  command(name) {
    return this.main.command(name)
  }

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
    for (const pane of this.panes) pane.hideOverlays(hidden)
  }

  redraw() {
    for (const pane of this.panes) pane.redraw()
  }

  repaintOver() {
    for (const pane of this.panes) pane.repaintOver()
  }

  close() {
    for (const pane of this.panes) pane.close()
  }
}
