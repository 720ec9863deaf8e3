// What stands under the pointer is told above its chart; without a script the browser's own tooltip tells it.

for (const chart of document.querySelectorAll("[data-chart]")) {
  const readout = chart.querySelector("[data-readout]");
  for (const slot of chart.querySelectorAll(".slot")) slot.querySelector("title")?.remove();
  chart.addEventListener("pointermove", (event) => {
    const text = event.target.dataset?.text;
    if (!text) return;
    readout.textContent = text;
    readout.hidden = false;
  });
  chart.addEventListener("pointerleave", () => {
    readout.hidden = true;
  });
}
