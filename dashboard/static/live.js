// Pages without page loads: lists are filtered while typing, dialogs open in place. Every address works without this too.
//
// data-live="list"    on a link or GET form: fetch its address and exchange the regions that the answer brings
// data-region="…"     a part of the page that may be exchanged
// data-dialog-link    on a link: its address answers with a dialog, or with the page behind it
// data-dialog-form    on a form in a dialog: the same for what it posts

const PART = { "X-Dashboard-Part": "1" };
const TYPING_MS = 220;
let running = null;
let typing = 0;

async function load(address, options = {}) {
  running?.abort();
  running = new AbortController();
  const answer = await fetch(address, { ...options, headers: PART, signal: running.signal });
  const text = await answer.text();
  return { answer, page: new DOMParser().parseFromString(text, "text/html") };
}

// Puts what an answer holds in place; an answer that is neither dialog nor list is a page of its own.
function place(answer, page) {
  const dialog = page.querySelector("dialog[data-dialog]");
  const regions = [...page.querySelectorAll("[data-region]")].filter((r) => !r.closest("dialog"));
  if (dialog) {
    show(document.adoptNode(dialog));
  } else if (regions.some((region) => region.dataset.region === "list")) {
    dismiss();
    for (const region of regions) {
      document.querySelector(`[data-region="${region.dataset.region}"]`)?.replaceWith(document.adoptNode(region));
    }
    fillFilters(answer.url);
  } else {
    location.assign(answer.url);
    return;
  }
  const title = page.querySelector("title")?.textContent.trim() || dialog?.querySelector("h1")?.textContent;
  if (title) document.title = title.includes("·") ? title : `${title} · Gateway Proxy`;
}

// The filters show what the address says, except the field in which somebody is typing.
function fillFilters(address) {
  const query = new URL(address).searchParams;
  for (const field of document.querySelectorAll("form[data-live] [name]")) {
    if (field === document.activeElement && field.type === "search") continue;
    field.value = query.get(field.name) ?? (field.tagName === "SELECT" ? field.options[0].value : "");
  }
}

function show(dialog) {
  const old = document.querySelector("dialog[data-dialog]");
  dialog.removeAttribute("open");
  if (old) old.remove();
  document.body.append(dialog);
  setBackground(false);
  dialog.showModal();
  dialog.querySelector("[data-focus]")?.focus();
}

function dismiss() {
  const dialog = document.querySelector("dialog[data-dialog]");
  if (!dialog) return;
  dialog.close();
  dialog.remove();
  setBackground(false);
}

function setBackground(inert) {
  for (const part of document.querySelectorAll("[data-background]")) part.inert = inert;
  document.querySelector(".veil")?.remove();
}

async function go(address, { push = true, replace = false } = {}) {
  try {
    const { answer, page } = await load(address);
    // A dialog that is done with gives its place in the history to the list: going back must not open it again.
    const leaves = document.querySelector("dialog[data-dialog]") && !page.querySelector("dialog[data-dialog]");
    if (replace || (push && leaves)) history.replaceState(null, "", answer.url);
    else if (push) history.pushState(null, "", answer.url);
    place(answer, page);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  }
}

async function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  try {
    const { answer, page } = await load(form.action, { method: "POST", body });
    // What was posted has no address of its own; where it led to has one.
    if (answer.redirected) history.replaceState(null, "", answer.url);
    place(answer, page);
  } catch (error) {
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    if (error.name === "AbortError") return;
    const alert = document.createElement("p");
    alert.className = "alert bad form-alert";
    alert.setAttribute("role", "alert");
    alert.textContent = "The gateway could not be reached. Nothing typed is lost; try again.";
    form.querySelector(".form-alert")?.remove();
    form.prepend(alert);
  }
}

function addressOf(form) {
  const address = new URL(form.action);
  for (const [name, value] of new FormData(form)) {
    if (value && !(name === "status" && value === "all")) address.searchParams.set(name, value);
  }
  const shown = new URL(location.href).searchParams;
  for (const name of ["sort", "order"]) {
    if (shown.has(name)) address.searchParams.set(name, shown.get(name));
  }
  return address.href;
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("a[data-live], a[data-dialog-link]");
  if (link) {
    event.preventDefault();
    go(link.href);
    return;
  }
  const row = event.target.closest("tr[data-row]");
  if (row && !event.target.closest("a, button, input, label") && !String(getSelection())) {
    row.querySelector("a[data-dialog-link]")?.click();
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-dialog-form]")) {
    event.preventDefault();
    send(form, event.submitter);
  } else if (form.matches("form[data-live]")) {
    event.preventDefault();
    clearTimeout(typing);
    go(addressOf(form));
  }
});

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-live]");
  if (!form) return;
  clearTimeout(typing);
  if (event.target.type === "search") {
    typing = setTimeout(() => go(addressOf(form), { push: false, replace: true }), TYPING_MS);
  } else {
    go(addressOf(form));
  }
});

// Escape leads where the dialog's close link leads.
document.addEventListener("cancel", (event) => {
  if (!event.target.matches?.("dialog[data-dialog]")) return;
  event.preventDefault();
  go(event.target.dataset.close);
}, true);

window.addEventListener("popstate", () => go(location.href, { push: false }));

const opened = document.querySelector("dialog[data-dialog][open]");
if (opened) show(opened);
