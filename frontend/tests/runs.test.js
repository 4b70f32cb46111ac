// The same masks and codes that the server's tests stand on (tests/core/labels/test_runs.py).

import { expect, test } from "vitest"

import { decode, encode } from "../src/masks/runs.js"
import examples from "./runs.json"

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16))

test.each(examples)("browser and server write and read the code $runs alike", ({ mask, runs }) => {
  const pixels = Uint8Array.from(mask.join(""), Number)
  expect(hex(encode(pixels))).toBe(runs)
  expect(decode(unhex(runs), pixels.length)).toEqual(pixels)
})
