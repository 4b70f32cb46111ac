// Plays the frames of a pane.

export const RATES = [1, 60] // frames per second
const USUAL_RATE = 12

export class Cine {
  /** @param {() => object} pane the pane that is looked at */
  constructor(pane, { onChange = () => {} } = {}) {
    this.pane = pane
    this.onChange = onChange
    this.rate = USUAL_RATE
    this.timer = 0
  }

  get playing() {
    return this.timer !== 0
  }

  toggle() {
    if (this.playing) this.stop()
    else this.play()
  }

  play() {
    if (this.playing || !(this.pane().count > 1)) return
    this.due = performance.now()
    this.wait()
    this.onChange()
  }

  stop() {
    if (!this.playing) return
    clearTimeout(this.timer)
    this.timer = 0
    this.onChange()
  }

  setRate(rate) {
    if (Number.isFinite(rate)) this.rate = Math.min(RATES[1], Math.max(RATES[0], Math.round(rate)))
    this.onChange()
  }

  wait() {
    // By the clock, so that a late step does not make all that follow late; after a long pause it does not race.
    const now = performance.now()
    this.due = Math.max(this.due + 1000 / this.rate, now)
    this.timer = setTimeout(() => this.step(), this.due - now)
  }

  step() {
    const pane = this.pane()
    if (!(pane.count > 1)) return this.stop()
    const next = (pane.index + 1) % pane.count
    // A film that has not come yet waits, it does not flicker; a frame that cannot be loaded does not stop it.
    if (pane.plane !== "frame" || pane.volume.isLoaded(next) || !pane.volume.want(next)) pane.setIndex(next)
    this.wait()
  }
}
