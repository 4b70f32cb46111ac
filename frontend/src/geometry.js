// Where an image lies on the screen: turned, flipped, zoomed, moved. Matrices are [a, b, c, d, e, f] as in Canvas.

const SMALLEST_ZOOM = 0.02
const LARGEST_ZOOM = 64
const MARGIN = 0.985 // of the stage, so that the edge of an image is seen as such

/** A view that fits. `zoom` is relative to "fits the stage", `pan` is in canvas pixels from the stage's centre. */
export function freshView() {
  return { zoom: 1, panX: 0, panY: 0, turns: 0, flipX: false, flipY: false }
}

/** Canvas pixels for one image pixel when the image just fits; `tall` is the height of a pixel over its width. */
export function fitScale(image, stage, turns) {
  const tall = image.tall ?? 1
  const [width, height] = turns % 2 ? [image.rows * tall, image.columns] : [image.columns, image.rows * tall]
  return Math.min(stage.width / width, stage.height / height) * MARGIN
}

/** From image pixels to canvas pixels. Flips are of what is seen, so they come after the turn. */
export function viewMatrix(image, stage, view) {
  const scale = fitScale(image, stage, view.turns) * view.zoom
  const tall = image.tall ?? 1
  const [cos, sin] = [[1, 0], [0, 1], [-1, 0], [0, -1]][view.turns % 4]
  const [across, down] = [view.flipX ? -1 : 1, view.flipY ? -1 : 1]
  const a = across * cos * scale
  const b = down * sin * scale
  const c = -across * sin * scale * tall
  const d = down * cos * scale * tall
  const [middleX, middleY] = [image.columns / 2, image.rows / 2]
  const e = stage.width / 2 + view.panX - a * middleX - c * middleY
  const f = stage.height / 2 + view.panY - b * middleX - d * middleY
  return [a, b, c, d, e, f]
}

/** Where a point of the canvas lies in the image, in image pixels. */
export function toImage([a, b, c, d, e, f], x, y) {
  const determinant = a * d - b * c
  return [(d * (x - e) - c * (y - f)) / determinant, (a * (y - f) - b * (x - e)) / determinant]
}

/** The view zoomed so that the point (x, y) of the canvas stays where it is. */
export function zoomAt(view, stage, x, y, factor) {
  const zoom = Math.min(LARGEST_ZOOM, Math.max(SMALLEST_ZOOM, view.zoom * factor))
  const real = zoom / view.zoom
  const [fromX, fromY] = [x - stage.width / 2, y - stage.height / 2]
  return { ...view, zoom, panX: fromX - (fromX - view.panX) * real, panY: fromY - (fromY - view.panY) * real }
}

/** A quarter turn clockwise of what is seen: an image seen flipped once turns the other way in its own frame. */
export function turned(view) {
  const mirrored = view.flipX !== view.flipY
  return { ...view, turns: (view.turns + (mirrored ? 3 : 1)) % 4, panX: 0, panY: 0 }
}
