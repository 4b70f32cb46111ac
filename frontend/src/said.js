// What this reader has said on each case, as far as this browser knows: what the server told, newer things said here or
// in another tab, and what still waits to be sent.

import { NOTHING, answerOf } from "./answers.js"

const known = new Map() // owner -> Said

/**
 * What a reader has said on this page. It outlives the viewer, as the cases do: the facts of a case that was loaded before
 * the last answer to it would tell the viewer that comes after a restart of the server an answer that is over.
 */
export function saidBy(owner) {
  if (!known.has(owner)) known.set(owner, new Said())
  return known.get(owner)
}

export class Said {
  constructor() {
    this.labels = new Map() // case id -> {answer, madeAt}
    this.marks = new Map() // case id -> Map(mark -> {mark, kind, frame, geometry, label, deleted, madeAt})
    this.strokes = new Map() // case id -> events of masks that the server has not acknowledged yet
    this.painted = new Map() // case id -> structures on which anything was painted here
  }

  /** Take up an event, whoever made it; an older one changes nothing. Returns whether it told anything new. */
  keep(event) {
    if (event.type === "label") return this.keepAnswer(event.case, answerOf(event), event.made_at)
    if (event.type === "mark") return this.keepMark(event)
    this.forgetStroke(event) // one that waits is told again to each viewer
    this.strokes.set(event.case, [...this.strokesOf(event.case), event])
    this.painted.set(event.case, new Set([...(this.painted.get(event.case) ?? []), event.structure]))
    return true
  }

  keepAnswer(caseId, answer, madeAt) {
    if (this.labels.get(caseId)?.madeAt >= madeAt) return false
    this.labels.set(caseId, { answer, madeAt })
    return true
  }

  keepMark({ case: caseId, mark, kind, frame, geometry, label, deleted, made_at: madeAt }) {
    if (!this.marks.has(caseId)) this.marks.set(caseId, new Map())
    const known = this.marks.get(caseId)
    if (known.get(mark)?.madeAt >= madeAt) return false
    known.set(mark, { mark, kind, frame, geometry, label, deleted: Boolean(deleted), madeAt })
    return true
  }

  /** The server has it: from now on it tells of the stroke itself. */
  acknowledged(event) {
    if (event.type === "mask") this.forgetStroke(event)
  }

  /** The server will not have it, so it does not count. */
  refused(event) {
    if (event.type === "mask") this.forgetStroke(event)
    if (event.type === "label" && this.labels.get(event.case)?.madeAt === event.made_at) this.labels.delete(event.case)
    const marks = this.marks.get(event.case)
    if (event.type === "mark" && marks?.get(event.mark)?.madeAt === event.made_at) marks.delete(event.mark)
  }

  forgetStroke(event) {
    const left = (this.strokes.get(event.case) ?? []).filter((one) => one.event !== event.event)
    this.strokes.set(event.case, left)
  }

  /** The answer to a case: what was said here, unless the server knows a newer one. */
  answer({ id, my_label: stored }) {
    const local = this.labels.get(id)
    if (stored && (!local || stored.made_at > local.madeAt)) return answerOf(stored)
    return local?.answer ?? NOTHING
  }

  /** The marks of a case that count, in the order they were first made. */
  marksOf({ id, marks: stored = [] }) {
    const counted = new Map(stored.map((mark) => [mark.mark, { ...mark, madeAt: mark.made_at }]))
    for (const [name, mark] of this.marks.get(id) ?? []) {
      if (!(counted.get(name)?.madeAt > mark.madeAt)) counted.set(name, { ...counted.get(name), ...mark })
    }
    return [...counted.values()].filter((mark) => !mark.deleted)
  }

  /** The facts with the masks that were painted since they were asked for. */
  withPainted(facts) {
    return { ...facts, masks: [...new Set([...(facts.masks ?? []), ...(this.painted.get(facts.id) ?? [])])] }
  }

  strokesOf(caseId) {
    return [...(this.strokes.get(caseId) ?? [])]
  }

  /** When the last thing on this case was said, so that the next is said later. */
  lastMoment({ id, my_label: stored, marks = [], painted_at: paintedAt }) {
    const moments = [
      stored?.made_at,
      paintedAt, // perhaps on another computer, whose clock is ahead of this one
      this.labels.get(id)?.madeAt,
      ...marks.map((mark) => mark.made_at),
      ...[...(this.marks.get(id)?.values() ?? [])].map((mark) => mark.madeAt),
      ...this.strokesOf(id).map((event) => event.made_at),
    ]
    return moments.filter(Boolean).sort().at(-1)
  }
}
