// What mouse, pen and wheel do on a pane, as OHIF: left drag is the tool (the window by default), middle drag moves,
// right drag zooms, the wheel goes from frame to frame and zooms where there is one only.

import { Drag } from "./drag.js"
import { zoomAt } from "./geometry.js"
import { Touches } from "./touch.js"

const ZOOM_PER_WHEEL = 0.0016
const LINE_PX = 20 // of a wheel that counts in lines
const NOTCH_PX = 100 // of a mouse wheel, roughly
const FRAME_PX = 33 // what a touchpad sends in small parts is summed up to this
const DRAGS = ["tool", "pan", "zoom"] // by mouse button; Shift moves and Ctrl zooms where there is one button only

/** How many frames a wheel has turned; keeps what is less than one. */
export class WheelSteps {
  constructor() {
    this.rest = 0
  }

  add(pixels) {
    if (Math.sign(pixels) !== Math.sign(this.rest)) this.rest = 0
    if (Math.abs(pixels) >= NOTCH_PX / 2) {
      this.rest = 0
      return Math.sign(pixels) * Math.max(1, Math.round(Math.abs(pixels) / NOTCH_PX / 1.2))
    }
    this.rest += pixels
    const steps = Math.trunc(this.rest / FRAME_PX)
    this.rest -= steps * FRAME_PX
    return steps || 0
  }
}

/** Lets the pointer change what a pane shows; returns how to stop that. */
export function followPointer(pane) {
  const surface = pane.over
  const wheel = new WheelSteps()
  const touches = new Touches(pane)
  const place = (event) => {
    const box = surface.getBoundingClientRect()
    const ratio = surface.width / box.width || 1
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio]
  }
  const kindOf = (event) => {
    if (event.button === 0 && event.shiftKey) return "pan"
    if (event.button === 0 && (event.ctrlKey || event.metaKey)) return "zoom"
    return DRAGS[event.button]
  }
  const listeners = {
    pointerdown(event) {
      if (!pane.facts || !pane.matrix) return
      event.preventDefault()
      pane.element.focus({ preventScroll: true })
      surface.setPointerCapture(event.pointerId)
      if (event.pointerType === "touch") return touches.down(event, place(event))
      const kind = kindOf(event)
      if (!kind || pane.drag) return
      pane.drag = new Drag(pane, kind, place(event), event)
    },
    pointermove(event) {
      if (event.pointerType === "touch") return touches.move(event, place(event))
      const at = place(event)
      pane.point(at)
      if (!pane.drag) {
        if (pane.tool?.hover && pane.facts && pane.matrix) pane.tool.hover(pane.place(at), event)
        return
      }
      // A tool gets every point of a fast stroke, also those between two frames of the screen.
      const passed = pane.drag.tool ? event.getCoalescedEvents?.() ?? [] : []
      for (const one of passed.length ? passed : [event]) pane.drag?.move(place(one), one)
    },
    pointerup(event) {
      if (event.pointerType === "touch") return touches.up(event, place(event))
      pane.drag?.up(place(event), event)
    },
    pointercancel(event) {
      if (event.pointerType === "touch") return touches.cancel(event)
      pane.drag?.cancel()
    },
    pointerleave(event) {
      if (pane.drag || event.pointerType === "touch") return
      pane.point(null)
      pane.tool?.hover?.(null, event)
    },
    wheel(event) {
      event.preventDefault()
      if (!pane.facts || !pane.matrix) return
      if (pane.tool?.wheel?.(event)) return
      const pixels = event.deltaY * (event.deltaMode === 1 ? LINE_PX : 1)
      if (pane.count > 1 && !event.ctrlKey && !event.metaKey) return pane.setIndex(pane.index + wheel.add(pixels))
      pane.setView(zoomAt(pane.view, pane.size(), ...place(event), Math.exp(-pixels * ZOOM_PER_WHEEL)))
    },
    contextmenu: (event) => event.preventDefault(),
    auxclick: (event) => event.preventDefault(),
  }
  for (const [name, listener] of Object.entries(listeners)) surface.addEventListener(name, listener, { passive: false })
  return () => {
    for (const [name, listener] of Object.entries(listeners)) surface.removeEventListener(name, listener)
  }
}
