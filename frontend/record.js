// After a build: which source it was made of. tests/dashboard/test_viewer.py compares that with the source there is.

import { createHash } from "node:crypto"
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs"

/** Every file below a folder, by its path. */
const filesIn = (folder) =>
  readdirSync(new URL(folder, import.meta.url), { recursive: true })
    .map((name) => folder + name.replaceAll("\\", "/"))
    .filter((name) => statSync(new URL(name, import.meta.url)).isFile())

const build = new URL("../dashboard/viewer/build/", import.meta.url)
const sources = [...filesIn("src/"), "package-lock.json", "vite.config.js"]
const hash = createHash("sha256")
for (const name of sources.sort()) hash.update(`${name}\n`).update(readFileSync(new URL(name, import.meta.url)))
const bundle = readdirSync(build).find((name) => /^viewer-.*\.js$/.test(name))
const bundleHash = createHash("sha256").update(readFileSync(new URL(bundle, build))).digest("hex")
const facts = { bundle, bundle_sha256: bundleHash, source_sha256: hash.digest("hex") }
writeFileSync(new URL("build.json", build), `${JSON.stringify(facts, null, 2)}\n`)
