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
// The player: what has ended goes on with the next clip while its box is ticked; what the browser cannot play says so.
for (const video of document.querySelectorAll("video[data-player]")) {
  const box = document.querySelector("input[data-continue]");
  const next = video.dataset.next;
  if (box) {
    box.closest("label").hidden = false;
    box.checked = sessionStorage.getItem("kandian-continue") !== "no";
    box.addEventListener("change", () => sessionStorage.setItem("kandian-continue", box.checked ? "yes" : "no"));
  }
  video.addEventListener("ended", () => {
    if (next && box?.checked) location.assign(next);
  });
  const say = () => {
    const code = String(video.error?.code ?? "");
    for (const problem of document.querySelectorAll("[data-problem]")) problem.hidden = !problem.dataset.problem.includes(code);
  };
  video.addEventListener("error", say);
  if (video.error) say();
}
// On a phone a day is wider than the window: what one is looking at is in it.
for (const mark of document.querySelectorAll(".day-strip .mark")) {
  const strip = mark.closest(".day-strip");
  strip.scrollLeft += mark.getBoundingClientRect().left - strip.getBoundingClientRect().left - strip.clientWidth / 2;
}
