// One click, one act: fill what is enclosed, take a connected region of like values, and read a range from the image.

import { planeSize } from "../planes.js"
import { floodFrom } from "./flood.js"
import { boxOf } from "./grid.js"

class ClickTool {
  constructor(masks) {
    this.masks = masks
    this.cursor = "crosshair"
  }

  down(at) {
    const { columns, rows } = planeSize(this.masks.facts, at.plane)
    const [x, y] = [Math.floor(at.x), Math.floor(at.y)]
    if (x >= 0 && y >= 0 && x < columns && y < rows) this.click({ ...at, x, y })
    return true
  }

  move() {}

  up() {}

  cancel() {}
}

class FloodTool extends ClickTool {
  click(at) {
    const { masks } = this
    const { plane, index, x, y } = at
    const stroke = masks.begin(this)
    if (!stroke) return
    const size = planeSize(masks.facts, plane)
    const isOpen = this.opening(at, stroke, size)
    if (!isOpen) return
    const most = Math.round(size.rows * size.columns * masks.settings.largestFill)
    const found = floodFrom(x, y, size, isOpen, most)
    const refusal = this.refusal(found, most)
    if (refusal) return masks.say(refusal)
    for (let line = 0; line < size.rows; line++) {
      for (let from = 0; from < size.columns; from++) {
        if (!found.region[line * size.columns + from]) continue
        let to = from + 1
        while (to < size.columns && found.region[line * size.columns + to]) to++
        stroke.line(plane, index, line, from, to, 1)
        from = to
      }
    }
    stroke.grid.note(boxOf(plane, index, [0, 0, size.columns, size.rows]))
    masks.finish(stroke)
  }

  refusal({ isOver }, most) {
    const percent = Math.round(100 * this.masks.settings.largestFill)
    return isOver ? `This region is larger than ${percent} % of the image (${most.toLocaleString("en-GB")} pixels): raise “Largest fill” first.` : ""
  }
}

/** Fills the hole that is clicked into, up to the structure's own pixels. */
export class FillTool extends FloodTool {
  name = "fill"

  opening({ plane, index, x, y }, { grid }, { columns }) {
    const slice = grid.slice(plane, index)
    if (slice && !slice[y * columns + x]) return (place) => !slice[place]
    this.masks.say(slice ? "Click into the hole, where nothing is painted yet." : "Draw a closed outline first, then click into it.")
    return null
  }

  refusal(found, most) {
    return found.meetsEdge ? "This is not enclosed: it is open to the edge of the image." : super.refusal(found, most)
  }
}

/** Takes all pixels inside the range that are connected to the one clicked on. */
export class RegionTool extends FloodTool {
  name = "region"

  opening({ plane, index, x, y, pane }, _stroke, { columns }) {
    const picture = pane.picture()
    if (!picture) return this.masks.say("Wait for the image."), null
    const { low, high } = this.masks.settings.range
    const valueAt = brightness(picture)
    const around = valueAt(y * columns + x)
    const [least, most] = low === null && high === null ? this.masks.rangeAround(around) : [low ?? -Infinity, high ?? Infinity]
    if (around >= least && around <= most) return (place) => valueAt(place) >= least && valueAt(place) <= most
    this.masks.say(`The value here, ${short(around)}, is outside the range: change the range, or take it from here.`)
    return null
  }
}

/** Takes the range from the image: the value clicked on, a tolerance below and above. */
export class PickTool extends ClickTool {
  name = "pick"

  click({ x, y, pane }) {
    const picture = pane.picture()
    if (!picture) return this.masks.say("Wait for the image.")
    const [low, high] = this.masks.rangeAround(brightness(picture)(y * picture.columns + x))
    this.masks.setRange({ low, high })
    this.masks.choose(this.masks.kindBefore ?? "threshold")
  }
}

/** The value of a pixel by its place; of a coloured one its brightness (ITU-R BT.601). */
export function brightness({ values, channels }) {
  if (channels !== 3) return (place) => values[place]
  return (place) => 0.299 * values[3 * place] + 0.587 * values[3 * place + 1] + 0.114 * values[3 * place + 2]
}

function short(number) {
  return Number.isInteger(number) ? String(number) : String(+number.toPrecision(4))
}
