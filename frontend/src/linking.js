// Two panes that move as one: frame, place, zoom and window. Pure.

/**
 * Which picture the other side shows when one side went from its anchor to `index`: as far on in millimetres where both
 * know them, else as many pictures.
 */
export function linkedIndex(index, anchor, from, to) {
  const steps = index - anchor.from
  const [one, other] = [from.slice_spacing_mm, to.slice_spacing_mm]
  return Math.round(anchor.to + (one && other ? (steps * one) / other : steps))
}

/** The view of the other side: as near and at the same place, but turned and flipped as it was. */
export function linkedView(view, size, own, ownSize) {
  return {
    ...own,
    zoom: view.zoom,
    panX: (view.panX * ownSize.width) / size.width,
    panY: (view.panY * ownSize.height) / size.height,
  }
}

/** Whether the same window says the same on both: one scanner's grey levels mean nothing on another kind of image. */
export function shareWindow(one, other) {
  return (one.channels ?? 1) === (other.channels ?? 1) && (one.modality ?? "") === (other.modality ?? "")
}

/** Keeps two panes together while `on`. */
export class Link {
  constructor(one, other) {
    this.panes = [one, other]
    this.on = true
    this.busy = false
    this.stops = this.panes.flatMap((pane, at) => {
      const follow = this.panes[1 - at]
      return [
        pane.on("frame", () => this.follow(() => this.scroll(pane, follow))),
        pane.on("view", () => this.follow(() => follow.setView(linkedView(pane.view, pane.size(), follow.view, follow.size())))),
        pane.on("window", () => this.follow(() => shareWindow(pane.facts, follow.facts) && follow.lookAs(pane.look))),
      ]
    })
  }

  /** What is side by side now belongs together from here on. */
  anchor() {
    const [one, other] = this.panes
    this.places = [one.index, other.index]
  }

  setOn(on) {
    this.on = on
    if (on) this.anchor()
  }

  follow(act) {
    if (!this.on || this.busy || !this.places || this.panes.some((pane) => !pane.facts)) return
    this.busy = true // the other side's own event must not come back
    act()
    this.busy = false
  }

  scroll(pane, follow) {
    const at = this.panes.indexOf(pane)
    follow.setIndex(linkedIndex(pane.index, { from: this.places[at], to: this.places[1 - at] }, pane.facts, follow.facts))
  }

  close() {
    for (const stop of this.stops) stop()
  }
}
