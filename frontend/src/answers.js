// What a reader says about a case as a whole. Pure: the recorder keeps it, the panel shows it.

/** An answer that says nothing: stored, it withdraws what was said before. */
export const NOTHING = Object.freeze({ value: null, unsure: false, unusable: false, note: "", confidence: null, unusable_reason: "" })

export const MOST_CONFIDENT = 5

/** Why an image cannot be used: what is said most often; anything else is written. */
export const REASONS = ["motion or blur", "wrong region or view", "exposure", "artefact or foreign object", "incomplete"]

/** An answer as the server tells it, or as an event holds it. */
export function answerOf(stored) {
  const { value, unsure, unusable, note } = stored
  return { value, unsure, unusable, note, confidence: stored.confidence ?? null, unusable_reason: stored.unusable_reason ?? "" }
}

/** Whether this counts as an answer. */
export function isAnswer(answer) {
  return Boolean(answer) && (answer.value !== null || answer.unusable)
}

/** Whether something is said and no answer given: such a remark waits in the tab for the answer. */
export function isRemark(answer) {
  return !isAnswer(answer) && !isSame(answer, NOTHING)
}

/** The answer with another value; an image about which something is said was usable after all. */
export function withValue(answer, value) {
  return { ...(answer ?? NOTHING), value, unusable: false, unusable_reason: "" }
}

/** The answer after a class was chosen: in single-label projects the one class, in multi-label ones in or out. */
export function choose(answer, name, project) {
  if (!project.multi_label) return withValue(answer, { classes: [name] })
  const chosen = new Set(answer?.value?.classes ?? [])
  if (!chosen.delete(name)) chosen.add(name)
  // A class that is no longer offered cannot be said again; choosing anything lets go of it.
  const classes = project.classes.filter((label) => chosen.has(label.name) && !label.retired).map((label) => label.name)
  return withValue(answer, { classes })
}

/** None of the classes: an answer too, in multi-label projects. */
export function chooseNone(answer) {
  return withValue(answer, { classes: [] })
}

/** The image cannot be read; pressed again, that is taken back. */
export function toggleUnusable(answer) {
  const before = answer ?? NOTHING
  if (before.unusable) return { ...before, unusable: false, unusable_reason: "" }
  return { ...before, value: null, confidence: null, unusable: true }
}

/** Why it cannot be read; giving a reason says that it cannot. */
export function withReason(answer, reason) {
  const unusable = answer?.unusable ? answer : toggleUnusable(answer)
  return { ...unusable, unusable_reason: reason }
}

export function toggleUnsure(answer) {
  const before = answer ?? NOTHING
  return { ...before, unsure: !before.unsure }
}

/** How sure the reader is, from 1 to 5; the same number again takes it away. */
export function withConfidence(answer, confidence) {
  const before = answer ?? NOTHING
  return { ...before, confidence: before.confidence === confidence ? null : confidence }
}

/** One step on from nothing over 1 to 5 and back to nothing. */
export function nextConfidence(answer) {
  const before = answer?.confidence ?? 0
  return { ...(answer ?? NOTHING), confidence: before === MOST_CONFIDENT ? null : before + 1 }
}

export function isSame(one, other) {
  const [first, second] = [one ?? NOTHING, other ?? NOTHING].map((answer) => answerOf(answer))
  return Object.keys(NOTHING).every((key) => JSON.stringify(first[key]) === JSON.stringify(second[key]))
}
