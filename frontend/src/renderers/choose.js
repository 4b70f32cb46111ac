import { CanvasRenderer } from "./canvas.js"

/** A renderer for a canvas. */
export function makeRenderer(canvas) {
  return new CanvasRenderer(canvas)
}
