// What the mouse does on the image, as OHIF: left drag sets the window, middle drag moves, right drag and wheel zoom.

import { zoomAt } from "./geometry.js"

const ZOOM_PER_PX = 0.006
const ZOOM_PER_WHEEL = 0.0016
const LINE_PX = 20 // of a wheel that counts in lines
const DRAGS = ["window", "pan", "zoom"] // by mouse button; Shift moves and Ctrl zooms where there is one button only

/** The window after a drag of (x, y) canvas pixels: to the right wider, downwards brighter values into the middle. */
export function draggedWindow(start, first, x, y) {
  const step = Math.max(first.width, start.width / 8) / 500
  const floor = first.width / 10000
  return { name: "set by hand", centre: start.centre + y * step, width: Math.max(floor, start.width + x * step) }
}

/** The view after a drag of (x, y) canvas pixels. */
export function draggedView(kind, start, stage, from, x, y) {
  if (kind === "pan") return { ...start, panX: start.panX + x, panY: start.panY + y }
  return zoomAt(start, stage, from[0], from[1], Math.exp(-y * ZOOM_PER_PX))
}

/** Lets the pointer change what `stage` shows; returns how to stop that. */
export function followPointer(stage) {
  const { canvas } = stage
  let drag = null
  const place = (event) => {
    const box = canvas.getBoundingClientRect()
    const ratio = canvas.width / box.width || 1
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio]
  }
  const kindOf = (event) => {
    if (event.button === 0 && event.shiftKey) return "pan"
    if (event.button === 0 && event.ctrlKey) return "zoom"
    return DRAGS[event.button]
  }
  const listeners = {
    pointerdown(event) {
      const kind = kindOf(event)
      if (!kind || !stage.image) return
      event.preventDefault()
      stage.element.focus({ preventScroll: true })
      canvas.setPointerCapture(event.pointerId)
      drag = { kind, from: place(event), view: stage.view, window: stage.window }
      stage.element.dataset.drag = kind
    },
    pointermove(event) {
      const at = place(event)
      stage.point(at)
      if (!drag) return
      const [x, y] = [at[0] - drag.from[0], at[1] - drag.from[1]]
      if (drag.kind === "window") stage.setWindow(draggedWindow(drag.window, stage.first, x, y))
      else stage.setView(draggedView(drag.kind, drag.view, stage.size(), drag.from, x, y))
    },
    pointerup: end,
    pointercancel: end,
    pointerleave: () => drag || stage.point(null),
    wheel(event) {
      event.preventDefault()
      if (!stage.image) return
      const pixels = event.deltaY * (event.deltaMode === 1 ? LINE_PX : 1)
      stage.setView(zoomAt(stage.view, stage.size(), ...place(event), Math.exp(-pixels * ZOOM_PER_WHEEL)))
    },
    contextmenu: (event) => event.preventDefault(),
    auxclick: (event) => event.preventDefault(),
  }
  function end() {
    drag = null
    delete stage.element.dataset.drag
  }
  for (const [name, listener] of Object.entries(listeners)) canvas.addEventListener(name, listener, { passive: false })
  return () => {
    for (const [name, listener] of Object.entries(listeners)) canvas.removeEventListener(name, listener)
  }
}
