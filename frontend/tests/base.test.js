// Readroom at the root of its host and below a path.

import { expect, test } from "vitest"
import { at, baseOf } from "../src/base.js"

test.each([
  ["http://127.0.0.1:8501/assets/viewer/viewer-1a2b.js", ""],
  ["https://ward.example/readroom/assets/viewer/viewer-1a2b.js", "/readroom"],
  ["https://ward.example/apps/reading/assets/viewer/viewer-1a2b.js?again", "/apps/reading"],
  ["https://ward.example/assets/viewer/assets/viewer/viewer-1a2b.js", "/assets/viewer"],
  ["file:///home/somebody/frontend/src/base.js", ""],
])("what was loaded from %s lies under %j", (module, base) => {
  expect(baseOf(module)).toBe(base)
})

test("a path of the server is asked for below the base, which is none here", () => {
  expect(at("/api/v1/cases/1")).toBe("/api/v1/cases/1")
})
