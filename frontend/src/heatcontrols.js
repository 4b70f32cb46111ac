// How a heat map lies over the image: on or off, which class, how strong, from which value on, in which colours.

import { keyButton, press } from "./classes.js"
import { element } from "./dom.js"
import { COLOUR_MAPS, gradient } from "./renderers/looks.js"

export const HEAT_MAPS = ["viridis", "cividis", "magma", "inferno", "plasma"] // readable with any colour vision

/** `targets` are the names of what can be explained; `on` holds toggle(), explain(name), opacity(share), threshold(share) and colours(name). */
export class HeatControls {
  constructor(targets, on, look) {
    this.toggle = keyButton("G", "Explanation", () => on.toggle())
    this.target = select("Class that is explained", targets.map((name) => [name, name]), (name) => on.explain(name))
    this.opacity = slider("Opacity of the overlay", look.opacity, (share) => on.opacity(share))
    this.threshold = slider("Least value that is shown", look.threshold, (share) => {
      on.threshold(share)
      this.showScale({ ...this.look, threshold: share })
    })
    this.colours = select("Colours of the overlay", HEAT_MAPS.map((name) => [name, COLOUR_MAPS[name]]), (name) => {
      on.colours(name)
      this.showScale({ ...this.look, colourMap: name })
    })
    this.ramp = element("span", { class: "ramp" }, element("i"))
    this.least = element("span", {}, "0")
    this.said = element("p", { class: "said", role: "status" })
    this.element = element(
      "div",
      { class: "overlay" },
      this.toggle,
      targets.length > 1 ? element("label", {}, "of", this.target) : null,
      element("label", {}, "Opacity", this.opacity),
      element("label", {}, "From", this.threshold),
      element("label", {}, "Colours", this.colours),
      element("div", { class: "legend", role: "img", "aria-label": "Legend: from 0, low, to 1, high" }, this.least, this.ramp, "1"),
      this.said,
    )
    this.showScale(look)
  }

  /** The legend: the part below the threshold is not on the image. */
  showScale(look) {
    this.look = look
    this.ramp.style.background = gradient(look.colourMap)
    this.ramp.firstChild.style.width = `${100 * look.threshold}%`
    this.colours.value = look.colourMap
  }

  show(on, text, className) {
    press(this.toggle, on)
    this.said.textContent = text
    if (className) this.target.value = className
  }
}

function select(label, options, choose) {
  const made = element(
    "select",
    { "aria-label": label, onchange: () => { choose(made.value); made.blur() } },
    ...options.map(([value, text]) => element("option", { value }, text)),
  )
  return made
}

function slider(label, value, change) {
  const made = element("input", {
    type: "range", min: "0", max: "1", step: "0.05", value: String(value), "aria-label": label, oninput: () => change(Number(made.value)),
  })
  return made
}
