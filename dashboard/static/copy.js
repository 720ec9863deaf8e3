// Copy buttons, and pickers that are searched: both work on what the page already holds.
//
// data-copy="id"        copies the text of that element
// data-copy-text="…"    copies this text
// data-copy-label       what inside the button says "Copied!" for two seconds; else its name does
// data-filter="#id"     on a field: hides the [data-filter-text] items there that do not hold what is typed

const COPIED_MS = 2000;

async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Plain http on another host has no clipboard interface; a selection can still be copied.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

function say(button, text) {
  const label = button.querySelector("[data-copy-label]");
  button.copyLabel ??= label ? label.textContent : button.getAttribute("aria-label");
  const show = (shown) => (label ? (label.textContent = shown) : button.setAttribute("aria-label", shown));
  show(text);
  button.dataset.copied = "";
  clearTimeout(button.copyTimer);
  button.copyTimer = setTimeout(() => {
    delete button.dataset.copied;
    show(button.copyLabel);
  }, COPIED_MS);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy], [data-copy-text]");
  if (!button) return;
  event.preventDefault();
  const source = document.getElementById(button.dataset.copy ?? "");
  try {
    await copy(source ? source.textContent.trim() : button.dataset.copyText);
    say(button, "Copied!");
  } catch {
    if (source) getSelection().selectAllChildren(source);
    say(button, "Press Ctrl+C");
  }
});

document.addEventListener("input", (event) => {
  const field = event.target;
  const area = field.dataset?.filter && document.querySelector(field.dataset.filter);
  if (!area) return;
  const wanted = field.value.trim().toLowerCase();
  for (const item of area.querySelectorAll("[data-filter-text]")) {
    item.hidden = wanted !== "" && !item.dataset.filterText.toLowerCase().includes(wanted);
    if (wanted !== "" && !item.hidden) item.closest("details")?.setAttribute("open", "");
  }
});
