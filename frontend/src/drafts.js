// What a model suggests: a draft that a reader accepts, edits or rejects; which of these is stored with the answer.

import { LoadError, fetchChecked } from "./fetching.js"

/**
 * Whether a draft may be asked for: where the project has a model to assist, and in a blind-first project only after
 * the reader's own answer. The server holds to the same rule.
 */
export function mayAsk(project, answered) {
  return Boolean(project.assisted) && (!project.blind_first || answered)
}

/** The draft of a case, or null where there is none for this reader now. */
export async function askDraft(caseId, signal) {
  try {
    return await (await fetchChecked(`/api/v1/cases/${caseId}/draft`, { signal })).json()
  } catch (error) {
    if (error instanceof LoadError || signal?.aborted) return null // the case is read without it
    throw error
  }
}

/**
 * What became of a draft, given the answer: the same is accepted, a part of it or another number is edited, anything
 * else is rejected; null where nothing was shown or nothing was said.
 */
export function outcomeOf(draft, value, rejected = false) {
  if (!draft || (!value && !rejected)) return null
  const outcome = rejected ? "rejected" : sameValue(draft.value, value) ? "accepted" : overlaps(draft.value, value) ? "edited" : "rejected"
  return { model: draft.model_id, outcome, value: draft.value }
}

function sameValue(one, other) {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
}

function sorted(value) {
  return Object.fromEntries(Object.entries(value ?? {}).map(([key, held]) => [key, Array.isArray(held) ? [...held].sort() : held]))
}

function overlaps(one, other) {
  if (typeof other.value === "number") return true
  const [names, chosen] = [one.classes ?? [], other.classes ?? []]
  return names.some((name) => chosen.includes(name))
}

/** `pneumonia 0.93`, `age 43.2 years`. */
export function draftText(draft, project) {
  const { value, scores } = draft
  if (typeof value?.value === "number") return `${value.value} ${project.unit ?? ""}`.trim()
  const names = value?.classes ?? []
  if (!names.length) return "none of these"
  return names.map((name) => (typeof scores?.[name] === "number" ? `${name} ${scores[name].toFixed(2)}` : name)).join(", ")
}
