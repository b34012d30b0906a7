"use strict";
(() => {
  const shots = [...document.querySelectorAll("article.shot")];
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  for (const input of document.querySelectorAll(".compare input")) {
    input.addEventListener("input", () => {
      input.parentElement.style.setProperty("--wipe", input.value + "%");
    });
  }

  const setLayer = (shot, name, on) => {
    for (const button of shot.querySelectorAll("button[data-layer]")) {
      const mine = button.dataset.layer === name && on;
      button.setAttribute("aria-pressed", String(mine));
      shot.querySelector(".layer." + button.dataset.layer).classList.toggle("on", mine);
    }
    shot.classList.toggle("layered", on);
  };
  const isOn = (shot, name) =>
    shot.querySelector(`button[data-layer="${name}"]`)?.getAttribute("aria-pressed") === "true";
  for (const shot of shots) {
    for (const button of shot.querySelectorAll("button[data-layer]")) {
      button.addEventListener("click", () =>
        setLayer(shot, button.dataset.layer, !isOn(shot, button.dataset.layer)));
    }
  }

  const current = () => {
    if (document.activeElement?.closest("article.shot")) {
      return shots.indexOf(document.activeElement.closest("article.shot"));
    }
    const line = innerHeight * 0.4;
    let found = -1;
    shots.forEach((shot, k) => { if (shot.getBoundingClientRect().top < line) found = k; });
    return found;
  };
  const go = (k) => {
    const shot = shots[Math.max(0, Math.min(shots.length - 1, k))];
    if (!shot) return;
    shot.focus({ preventScroll: true });
    shot.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = event.target instanceof HTMLInputElement ? [] : ["ArrowRight", "ArrowLeft"];
    if (event.key === "j" || event.key === arrows[0]) go(current() + 1);
    else if (event.key === "k" || event.key === arrows[1]) go(current() - 1);
    else if (event.key === "d" || event.key === "t") {
      const name = event.key === "d" ? "difference" : "touch";
      const here = shots[Math.max(0, current())];
      const on = here !== undefined && !isOn(here, name);
      for (const shot of shots) {
        if (shot.querySelector(`button[data-layer="${name}"]`)) setLayer(shot, name, on);
      }
    } else return;
    event.preventDefault();
  });

  for (const button of document.querySelectorAll("table.shots th button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const body = head.closest("table").tBodies[0];
      const column = head.cellIndex;
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.key;
      const compare = (a, b) => {
        const x = Number(key(a)), y = Number(key(b));
        const way = Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
        return down ? -way : way;
      };
      body.append(...[...body.rows].sort(compare));
    });
  }
})();
