// From an act (an answer, a mark, a stroke) to an event in the queue, forwards and backwards.

import { NOTHING, isAnswer } from "./answers.js"
import { newId, nextMoment } from "./identity.js"
import { fromBase64, toBase64 } from "./masks/runs.js"

/**
 * What an event says of one side of an act, without what all events say; null where there is nothing to say.
 * @param {{kind: "label" | "mark" | "mask", before: any, after: any}} act
 * @param {"before" | "after"} side
 */
export function bodyOf(act, side) {
  if (act.kind === "label") return labelBody(act, side)
  if (act.kind === "mark") return markBody(act, side)
  const frames = Object.fromEntries([...act[side]].map(([frame, runs]) => [frame, toBase64(runs)]))
  return { type: "mask", structure: act.structure, frames }
}

/** A remark or a note without an answer waits for the answer. */
function labelBody(act, side) {
  if (!isAnswer(act.before) && !isAnswer(act.after)) return null
  const { value, unsure, unusable, note, confidence, unusable_reason } = isAnswer(act[side]) ? act[side] : NOTHING
  const body = { type: "label", value, unsure, unusable, note }
  if (confidence) body.confidence = confidence
  if (unusable_reason) body.unusable_reason = unusable_reason
  return body
}

function markBody(act, side) {
  const told = act[side] ?? (side === "after" ? act.before : act.after)
  const { mark, kind, frame, geometry, label } = told
  return { type: "mark", mark, kind, frame, geometry, label: label ?? "", deleted: act[side] === null }
}

/** The frames of a mask event as the grid takes them. */
export function framesOf(event) {
  return new Map(Object.entries(event.frames).map(([frame, runs]) => [Number(frame), fromBase64(runs)]))
}

export class Recorder {
  /**
   * @param {{said: object, history: object, time: object, send: (event: object) => void,
   *   facts: (caseId: number) => object, madeIn: string, version: () => number}} parts
   *   `facts` are what is known of a case, at least its id
   */
  constructor(parts) {
    Object.assign(this, parts)
  }

  /** Something was done: it can be taken back, and it is on its way. */
  do(act, extra = {}) {
    this.history.add(act)
    return this.record(act, "after", extra)
  }

  /** Say one side of an act again; returns the event, or null where nothing had to be sent. */
  record(act, side, extra = {}) {
    const { caseId } = act
    const madeAt = nextMoment(this.said.lastMoment(this.facts(caseId)))
    if (act.kind === "label") this.said.keepAnswer(caseId, act[side], madeAt)
    const body = bodyOf(act, side)
    if (!body) return null
    const event = {
      event: newId(),
      case: caseId,
      ...body,
      schema_version: this.version(),
      made_at: madeAt,
      made_in: this.madeIn,
      active_seconds: this.time.seconds(caseId),
      ...(body.type === "label" ? extra : {}),
    }
    if (act.kind !== "label") this.said.keep(event)
    this.send(event)
    return event
  }

  /** The last act backwards; undefined where there is none. */
  undo() {
    const act = this.history.undo()
    if (act) this.record(act, "before")
    return act
  }

  redo() {
    const act = this.history.redo()
    if (act) this.record(act, "after")
    return act
  }
}
