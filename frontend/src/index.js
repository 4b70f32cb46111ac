// The door to Streamlit: called at every rerun with new data for the same place on the page.

import css from "./viewer.css?inline"
import { Viewer } from "./viewer.js"

const sheet = new CSSStyleSheet()
sheet.replaceSync(css)
const viewers = new WeakMap() // place on the page -> Viewer

export default function ({ data, parentElement: root, setTriggerValue }) {
  // In the shadow root at once; a stylesheet that is fetched would show a flash of naked buttons.
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet]
  let viewer = viewers.get(root)
  const facts = JSON.stringify([data.server, data.reader, data.mode, data.model, data.project])
  if (viewer && viewer.facts !== facts) {
    viewer.detach() // another project or reader: nothing of the old one may stay
    viewer = undefined
  }
  if (!viewer) {
    viewer = new Viewer(data)
    viewer.facts = facts
    viewers.set(root, viewer)
    viewer.attach(root)
  }
  viewer.outbox.send = (batch) => setTriggerValue("happened", batch)
  viewer.update(data)
  return () => {
    viewers.delete(root)
    viewer.detach()
  }
}
