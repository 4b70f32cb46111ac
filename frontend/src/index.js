// The door to Streamlit: called at every rerun with new data for the same place on the page.

import css from "./viewer.css?inline"
import { Viewer } from "./viewer.js"

const parts = import.meta.glob("./css/*.css", { query: "?inline", import: "default", eager: true })
const sheet = new CSSStyleSheet()
sheet.replaceSync([css, ...Object.values(parts)].join("\n"))
const viewers = new WeakMap() // place on the page -> Viewer

export default function ({ data, parentElement: root, setTriggerValue }) {
  // In the shadow root at once; a stylesheet that is fetched would show a flash of naked buttons.
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet]
  let viewer = viewers.get(root)
  const facts = JSON.stringify([data.server, data.reader, data.mode, data.model, data.project])
  let changed = false
  if (viewer && viewer.facts !== facts) {
    viewer.detach() // another project or reader: nothing of the old one may stay
    changed = viewer.data.project.id === data.project.id && viewer.data.project.schema_version !== data.project.schema_version
    viewer = undefined
  }
  if (!viewer) {
    viewer = new Viewer(data)
    if (changed) viewer.bar.say("What can be answered in this project has changed; this is how it is now. Your answers stay.", true)
    viewer.facts = facts
    viewers.set(root, viewer)
    viewer.attach(root)
  }
  viewer.outbox.send = (batch) => setTriggerValue("happened", batch)
  viewer.update(data)
  // Streamlit also calls this for a call that newer data overtook, while the place stays; a viewer that was taken away
  // then would lose the reader's next key. Only a place that has left the page is given up.
  return () => setTimeout(() => !root.isConnected && giveUp(root))
}

function giveUp(root) {
  viewers.get(root)?.detach()
  viewers.delete(root)
}
