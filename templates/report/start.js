"use strict";

for (const item of JSON.parse(document.getElementById("chart-data").textContent)) {
  Bokeh.embed.embed_item(item);
}

// Bokeh's tooltips follow a mouse. A finger has none, so a tap counts as one that comes to where it tapped,
// and leaves the chart that was tapped before.
let tapped = null;
document.addEventListener("click", (event) => {
  if (event.pointerType === "mouse") return;
  const move = (type, target) => {
    const at = { view: window, clientX: event.clientX, clientY: event.clientY, isPrimary: true };
    target.dispatchEvent(new PointerEvent(type, { ...at, pointerType: "mouse", bubbles: true, composed: true }));
  };
  const target = event.composedPath()[0];
  if (tapped !== null && tapped !== target) move("pointerout", tapped);
  move("pointermove", target);
  tapped = target;
});
