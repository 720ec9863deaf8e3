// The live view of the log: rows come as server-sent events, made by the server; old ones leave at the end.

const MOST_ROWS = 500;
const bar = document.querySelector("[data-tail]");
const rows = document.querySelector("[data-tail-rows]");
const state = bar.querySelector("[data-tail-state]");
const pause = bar.querySelector("[data-tail-pause]");
let held = [];
let paused = false;

function tell(text) {
  if (state.textContent !== text) state.textContent = text;
}

function show(html) {
  for (const row of rows.querySelectorAll("[data-new]")) row.removeAttribute("data-new");
  rows.insertAdjacentHTML("afterbegin", html);
  while (rows.rows.length > MOST_ROWS) rows.deleteRow(-1);
}

const source = new EventSource(bar.dataset.tail);
source.addEventListener("rows", (event) => {
  tell(paused ? "Paused" : "Live: new requests appear at the top");
  if (!event.data.trim()) return;
  if (paused) {
    held.push(event.data);
    if (held.length > MOST_ROWS) held.shift();
    tell("Paused, with new requests waiting");
  } else {
    show(event.data);
  }
});
source.addEventListener("error", () => tell("The connection broke; trying again"));

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  bar.classList.toggle("paused", paused);
  pause.textContent = paused ? "Go on" : "Pause";
  tell(paused ? "Paused" : "Live: new requests appear at the top");
  if (!paused) {
    for (const html of held) show(html);
    held = [];
  }
});
tell("Connecting");
