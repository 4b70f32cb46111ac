// The overlay of the case on the screen: off until asked for, then with every case until it is taken away.
// How it is seen is told to Python, which keeps it in the address.

import { quantitiesOf } from "./number.js"
import { Explanations, heatLayer } from "./overlay.js"

const explanations = new Explanations() // shared by every viewer of the page
const TOLD_MS = 300 // a slider that is drawn along is told once it rests

/** What a model of the project can be asked to explain: a class or a quantity. */
export function targetsOf(project) {
  return project.task === "regression" ? quantitiesOf(project).map(({ target }) => target) : project.classes.map(({ name }) => name)
}

export class Explainer {
  /**
   * @param {object} layout
   * @param {{on?: boolean, class?: string, opacity?: number, threshold?: number, colours?: string}} start from the address
   * @param {(look: object) => void} onLooked what the reader has made of it
   */
  constructor(layout, start = {}, onLooked = () => {}) {
    this.layout = layout
    this.onLooked = onLooked
    this.timer = 0
    this.panel = null
    this.on = start.on ?? false
    this.look = { opacity: start.opacity ?? 0.6, threshold: start.threshold ?? 0, colourMap: start.colours || "viridis" }
    this.map = null
    this.asked = null
    this.informed = false // whether the scores of the case were known when it was entered
    this.chosen = start.class || null // the class the reader picked; until then the one with the highest score
    this.aborter = null
  }

  /** What the panel's controls call. */
  controls() {
    return {
      look: this.look,
      toggle: () => this.toggle(),
      opacity: (opacity) => this.setLook({ opacity }),
      threshold: (threshold) => this.setLook({ threshold }),
      colours: (colourMap) => this.setLook({ colourMap }),
      explain: (name) => this.explain(name),
    }
  }

  /** A case is on the screen; again when more is known of it. */
  enter({ facts }, { model, method, project }, finding) {
    if (!model) return
    if (this.asked?.case === facts.id && (this.chosen || !finding || this.informed)) return
    this.informed = Boolean(finding)
    this.leave()
    const scores = Object.entries(finding?.scores ?? {})
    const likeliest = scores.length ? scores.reduce((best, one) => (one[1] > best[1] ? one : best))[0] : targetsOf(project)[0]
    this.asked = { model, case: facts.id, class: this.chosen ?? likeliest, method }
    this.panel.showOverlay(this.on, "", this.asked.class)
    if (this.on) this.load()
  }

  leave() {
    this.aborter?.abort()
    this.asked = this.map = null
    this.layout.setLayers("explanation", null)
  }

  toggle() {
    if (!this.asked) return
    this.on = !this.on
    this.tell()
    this.panel.showOverlay(this.on, "", this.asked.class)
    if (this.on && !this.map) this.load()
    else this.lay()
  }

  /** Another class, for this case and the ones after it. */
  explain(name) {
    this.chosen = name
    this.tell()
    if (!this.asked) return
    this.asked = { ...this.asked, class: name }
    this.map = null
    this.lay()
    if (this.on) this.load()
  }

  setLook(change) {
    this.look = { ...this.look, ...change }
    this.tell()
    this.lay()
  }

  tell() {
    clearTimeout(this.timer)
    const { opacity, threshold, colourMap: colours } = this.look
    this.timer = setTimeout(() => this.onLooked({ on: this.on, class: this.chosen ?? "", opacity, threshold, colours }), TOLD_MS)
  }

  /** The viewer is taken off the page. */
  close() {
    clearTimeout(this.timer)
    this.leave()
  }

  lay() {
    const { map, asked } = this
    const key = JSON.stringify(asked)
    this.layout.setLayers("explanation", this.on && map ? (pane) => heatLayer(map, key, pane, this.look) : null)
  }

  async load() {
    this.aborter?.abort()
    const aborter = (this.aborter = new AbortController())
    const { asked } = this
    const tell = (text) => aborter.signal.aborted || this.panel.showOverlay(this.on, text, asked.class)
    tell("Asking")
    try {
      const { map, check } = await explanations.get(asked, tell, aborter.signal)
      if (aborter.signal.aborted) return
      this.map = map
      tell(check ? check.sentence : "")
      this.lay()
    } catch (error) {
      if (!aborter.signal.aborted) tell(error.message)
    }
  }
}
