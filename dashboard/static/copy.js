// Copy buttons, and pickers that are searched: both work on what the page already holds.

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

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  event.preventDefault();
  const label = button.querySelector("[data-copy-label]");
  const before = label ? label.textContent : button.getAttribute("aria-label");
  let shown = "Copied!";
  try {
    await copy(button.dataset.copy);
  } catch {
    shown = "Select the text and copy it";
  }
  button.dataset.copied = "";
  if (label) label.textContent = shown;
  else button.setAttribute("aria-label", shown);
  clearTimeout(button.copyTimer);
  button.copyTimer = setTimeout(() => {
    delete button.dataset.copied;
    if (label) label.textContent = "Copy";
    else button.setAttribute("aria-label", button.copyLabel);
  }, COPIED_MS);
  button.copyLabel ??= before;
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
