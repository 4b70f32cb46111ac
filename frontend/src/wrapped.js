// Stands in for renderers/choose.js until that is there.

import { CanvasRenderer } from "./renderer.js"

export function makeRenderer(canvas) {
  const renderer = new CanvasRenderer(canvas)
  return { name: "canvas", resize: (w, h) => renderer.resize(w, h), draw: (picture, look) => renderer.draw(picture, look), close() {} }
}
