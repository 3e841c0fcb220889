"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const [sheet, content, query, found, count] = ["#sheet", "#content", "#query", "#found", "#count"].map(one);
  const SHOWN = 12;
  let home = null; // the register's entry whose article the sheet shows

  function putBack() {
    if (home) home.append(content.firstElementChild);
    home = null;
  }

  function openArticle(article) {
    if (!content.contains(article)) {
      putBack();
      home = article.parentElement;
      content.append(article);
    }
    if (!sheet.open) sheet.showModal();
    sheet.scrollTop = 0;
    article.focus({ preventScroll: true });
  }

  // An address ends in the id of a place, or in an artifact's path, as other pages and people know it.
  function follow() {
    const named = decodeURIComponent(location.hash.slice(1));
    const entry = [...document.querySelectorAll("details.entry")].find((each) => each.dataset.title === named);
    const target = document.getElementById(named) || entry?.querySelector("article");
    if (target && target.matches("article")) return openArticle(target);
    if (sheet.open) sheet.close();
    if (!target) return;
    if (target.matches(".block")) {
      target.open = true;
      target.firstElementChild.focus();
    }
    (target.matches(".block") ? target.firstElementChild : target).scrollIntoView();
  }

  addEventListener("popstate", follow);
  addEventListener("click", (event) => {
    const anchor = event.target.closest("a[href^='#']");
    if (!anchor) return;
    event.preventDefault(); // the browser's own way would scroll to the register, where the article is no more
    if (anchor.hash !== location.hash) history.pushState(null, "", anchor.hash);
    if (found.contains(anchor)) {
      query.value = "";
      search();
    }
    follow();
  });
  // The address follows the block that was opened last: what is seen can be sent to somebody.
  for (const block of document.querySelectorAll("details.block")) {
    block.addEventListener("toggle", () => {
      const here = location.hash === `#${block.id}`;
      if (block.open && !here && !sheet.open) history.replaceState(null, "", `#${block.id}`);
      if (!block.open && here) history.replaceState(null, "", location.href.split("#")[0]);
    });
  }
  // A small picture that is opened is large, with the names of its rows beside it.
  for (const tile of document.querySelectorAll("details.tile")) {
    tile.addEventListener("toggle", () => {
      const summary = tile.firstElementChild;
      summary.querySelector(".names")?.remove();
      if (!tile.open) return;
      const names = document.createElement("span");
      names.className = "names";
      for (const name of JSON.parse(tile.parentElement.dataset.names)) {
        names.append(Object.assign(document.createElement("span"), { textContent: name }));
      }
      summary.append(names);
    });
  }
  sheet.addEventListener("close", () => {
    putBack();
    if (location.hash.startsWith("#a-") || location.hash.includes("/")) history.replaceState(null, "", location.href.split("#")[0]);
  });
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
  one("#close").addEventListener("click", () => sheet.close());

  // Search: every word must occur in what an artifact or a block is found by.
  const places = [...document.querySelectorAll("details.entry, details.block")].map((element) => ({
    text: element.dataset.find,
    title: element.dataset.title,
    href: "#" + (element.matches(".block") ? element.id : element.querySelector("article").id),
    kind: element.matches(".block") ? "block" : "artifact",
  }));

  function search() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.length ? places.filter((place) => words.every((word) => place.text.includes(word))) : [];
    found.replaceChildren(
      ...hits.slice(0, SHOWN).map((place) => {
        const [item, anchor, kind] = ["li", "a", "small"].map((name) => document.createElement(name));
        anchor.href = place.href;
        anchor.textContent = place.title;
        kind.textContent = place.kind;
        item.append(anchor, " ", kind);
        return item;
      }),
    );
    const more = hits.length > SHOWN ? `, the first ${SHOWN} shown` : "";
    count.textContent = words.length ? `${hits.length} found${more}` : "";
  }

  one("#search").hidden = false;
  one("#search").addEventListener("submit", (event) => {
    event.preventDefault();
    found.querySelector("a")?.click();
  });
  query.addEventListener("input", search);

  // Keys: / to search, arrows among results and blocks, Escape closes what is open around the focus.
  function neighbour(summary, key) {
    const blocks = [...summary.closest(".blocks").children];
    const place = blocks.indexOf(summary.parentElement);
    if (key === "ArrowLeft" || key === "ArrowRight") return blocks[place + (key === "ArrowRight" ? 1 : -1)];
    const stages = [...document.querySelectorAll(".blocks")];
    const other = stages[stages.indexOf(summary.closest(".blocks")) + (key === "ArrowDown" ? 1 : -1)];
    return other?.children[Math.min(place, other.children.length - 1)];
  }

  addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || sheet.open) return;
    if (key === "/" && !target.matches("input")) {
      event.preventDefault();
      query.focus();
    } else if (key === "Escape") {
      if (target === query || found.contains(target)) {
        query.value = "";
        search();
        query.focus();
        return;
      }
      const open = target.closest("details[open]");
      if (open) {
        open.open = false;
        open.firstElementChild.focus();
      }
    } else if (key.startsWith("Arrow")) {
      const links = [query, ...found.querySelectorAll("a")];
      const place = links.indexOf(target);
      const vertical = key === "ArrowDown" || key === "ArrowUp";
      let next = null;
      if (place >= 0 && vertical) next = links[place + (key === "ArrowDown" ? 1 : -1)];
      else if (target.matches(".block > summary")) next = neighbour(target, key)?.firstElementChild;
      if (next) {
        event.preventDefault();
        next.focus();
      }
    }
  });
  follow();
})();
