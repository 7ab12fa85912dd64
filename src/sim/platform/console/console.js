// The page works without this file; with it news come by themselves.
"use strict";
const list = document.querySelector("[data-news]");
if (list) {
  const lang = document.documentElement.lang === "en" ? "en" : "zh";
  let last = Number(list.dataset.news);
  const show = (news) => {
    const item = document.createElement("li");
    const time = document.createElement("time");
    item.dataset.kind = news.kind;
    item.classList.toggle("good", news.good);
    time.textContent = news.at;
    item.append(time, news[lang]);
    list.prepend(item);
    last = news.n;
  };
  const look = async () => {
    try {
      const answer = await fetch(`/api/news?after=${last}`);
      if (answer.ok) (await answer.json()).forEach(show);
    } catch {
      // The platform is away; it may come back.
    }
    setTimeout(look, 1000);
  };
  look();
}
