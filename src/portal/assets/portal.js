// Everything works without this file; it spares a click here and there.
"use strict";
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
  for (const button of form.querySelectorAll("[data-without-script]")) button.hidden = true;
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  });
}
// One box that ticks all of a table.
for (const all of document.querySelectorAll("[data-check-all]")) {
  all.hidden = false;
  const boxes = [...document.querySelectorAll(`input[name="${all.dataset.checkAll}"]`)];
  all.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));
}
// A destructive button waits for the name that has to be typed; the server checks it all the same.
for (const input of document.querySelectorAll("input[data-confirm]")) {
  const button = input.form?.querySelector("button.danger");
  if (!button) continue;
  const look = () => (button.disabled = input.value.trim() !== input.dataset.confirm);
  input.addEventListener("input", look);
  look();
}
