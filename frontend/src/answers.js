// What a reader says about a case, and how to take it back. Pure: the queue stores, the viewer shows.

/** An answer that says nothing: stored, it withdraws what was said before. */
export const NOTHING = Object.freeze({ value: null, unsure: false, unusable: false, note: "" })

/** Whether this counts as an answer. */
export function isAnswer(answer) {
  return Boolean(answer) && (answer.value !== null || answer.unusable)
}

/** The answer after a class was chosen: in single-label projects the one class, in multi-label ones in or out. */
export function choose(answer, name, project) {
  const before = answer ?? NOTHING
  if (!project.multi_label) return { ...before, value: { classes: [name] }, unusable: false }
  const chosen = new Set(before.value?.classes ?? [])
  if (!chosen.delete(name)) chosen.add(name)
  const classes = project.classes.map((label) => label.name).filter((known) => chosen.has(known))
  return { ...before, value: { classes }, unusable: false }
}

/** None of the classes: an answer too, in multi-label projects. */
export function chooseNone(answer) {
  return { ...(answer ?? NOTHING), value: { classes: [] }, unusable: false }
}

/** The image cannot be read; pressed again, that is taken back. */
export function toggleUnusable(answer) {
  const before = answer ?? NOTHING
  return before.unusable ? { ...before, unusable: false } : { ...before, value: null, unusable: true }
}

export function toggleUnsure(answer) {
  const before = answer ?? NOTHING
  return { ...before, unsure: !before.unsure }
}

export function isSame(one, other) {
  const [first, second] = [one ?? NOTHING, other ?? NOTHING]
  return (
    JSON.stringify(first.value) === JSON.stringify(second.value) &&
    first.unsure === second.unsure &&
    first.unusable === second.unusable &&
    first.note === second.note
  )
}

/** An answer on its way to the server. */
export function makeEvent(caseId, answer, { event, madeAt, madeIn, schemaVersion }) {
  return {
    event,
    type: "label",
    case: caseId,
    value: answer.value,
    unsure: answer.unsure,
    unusable: answer.unusable,
    note: answer.note,
    schema_version: schemaVersion,
    made_at: madeAt,
    made_in: madeIn,
  }
}

/** What was done, so that it can be undone and done again, across cases. */
export class History {
  constructor() {
    this.done = []
    this.undone = []
  }

  /** @param {{caseId: number, before: object, after: object}} act */
  add(act) {
    this.done.push(act)
    this.undone = []
  }

  /** The act to take back, or undefined. */
  undo() {
    const act = this.done.pop()
    if (act) this.undone.push(act)
    return act
  }

  redo() {
    const act = this.undone.pop()
    if (act) this.done.push(act)
    return act
  }
}
