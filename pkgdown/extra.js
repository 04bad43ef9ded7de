// What pkgdown leaves to scripts from other servers, and what its pages lack on a narrow screen.
(() => {
  const root = document.currentScript.src.replace(/[^/]*$/, "");

  // ---- the contents of a page, beside it: links to its headings -------------------------------

  const list_contents = () => {
    const toc = document.getElementById("toc");
    if (!toc) return;
    const headings = [...document.querySelectorAll("main h2, main h3")].filter(
      (heading) => !toc.contains(heading) && (heading.id || heading.closest("[id]"))
    );
    if (headings.length < 2) {
      toc.hidden = true;
      return;
    }
    const list = document.createElement("ul");
    list.className = "nav flex-column";
    for (const heading of headings) {
      const id = heading.id || heading.closest("[id]").id;
      const link = document.createElement("a");
      link.className = "nav-link py-0 " + (heading.tagName === "H3" ? "ps-4" : "");
      link.href = "#" + id;
      link.textContent = heading.textContent.trim();
      list.append(link);
    }
    toc.append(list);
  };

  // ---- what is wider than the page scrolls by itself ------------------------------------------

  const let_scroll = () => {
    for (const wide of document.querySelectorAll(
      "main table, main math[display=block], main p > img, main .figure > img, main .r-plt img"
    )) {
      if (wide.closest(".wide")) continue;
      const box = document.createElement("div");
      box.className = "wide";
      box.tabIndex = 0;
      wide.replaceWith(box);
      box.append(wide);
    }
  };

  // ---- search -----------------------------------------------------------------------------------

  // search-index.js, which tools/site-search.R writes: sections as {page, id, title, heading, text}.
  // A script and not JSON: a page that was opened as a file may load it.
  let index = null;
  const load_index = () => {
    index ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = root + "search-index.js";
      script.onload = () => done(window.seqlift_search_index);
      script.onerror = failed;
      document.head.append(script);
    });
    return index;
  };

  const most = 12;
  const most_of_page = 2;
  const count = (text, word) => text.split(word).length - 1;

  // Sections that have every word, the best first: a word in the title counts more than one in the
  // heading, and that more than those in the text.
  const find = (sections, query) => {
    const words = query.toLowerCase().split(/[\s()]+/).filter((word) => word);
    if (words.length === 0) return [];
    const found = [];
    for (const section of sections) {
      const title = section.title.toLowerCase();
      const heading = section.heading.toLowerCase();
      const text = section.text.toLowerCase();
      let score = section.heading === "" ? 2 : 0;
      for (const word of words) {
        const own =
          (title.split(/[:\s]+/).includes(word) ? 60 : 0) + 20 * Math.min(count(title, word), 1) +
          12 * Math.min(count(heading, word), 1) + Math.min(count(text, word), 5);
        if (own === 0) {
          score = -1;
          break;
        }
        score += own;
      }
      if (score > 0) found.push({ section, score });
    }
    found.sort((a, b) => b.score - a.score);
    const of_page = {};
    const kept = found.filter(({ section }) => {
      of_page[section.page] = (of_page[section.page] ?? 0) + 1;
      return of_page[section.page] <= most_of_page;
    });
    const at = words[0];
    return kept.slice(0, most).map(({ section }) => {
      const place = Math.max(section.text.toLowerCase().indexOf(at) - 40, 0);
      const text = section.text.slice(place, place + 120);
      return { ...section, text: (place > 0 ? "…" : "") + text };
    });
  };

  const search = () => {
    const input = document.getElementById("search-input");
    const results = document.getElementById("search-results");
    if (!input || !results) return;

    const show = async () => {
      const query = input.value;
      let found = [];
      let note = "";
      try {
        found = find(await load_index(), query);
        if (found.length === 0 && query.trim() !== "") note = "Nothing was found.";
      } catch {
        note = "The index of the search (search-index.js) was not found.";
      }
      if (query !== input.value) return;
      results.replaceChildren();
      for (const { page, id, title, heading, text } of found) {
        const link = document.createElement("a");
        link.className = "search-result";
        link.href = root + page + (id ? "#" + id : "");
        const name = document.createElement("strong");
        name.textContent = title + (heading ? " › " + heading : "");
        const line = document.createElement("span");
        line.textContent = text;
        link.append(name, line);
        results.append(link);
      }
      if (note) {
        const line = document.createElement("p");
        line.className = "search-note";
        line.textContent = note;
        results.append(line);
      }
      results.hidden = results.childElementCount === 0;
    };

    input.addEventListener("input", show);
    input.addEventListener("focus", () => load_index().catch(() => {}));
    document.addEventListener("click", (event) => {
      if (!results.contains(event.target) && event.target !== input) results.hidden = true;
    });
    document.addEventListener("keydown", (event) => {
      const links = [...results.querySelectorAll("a")];
      const at = links.indexOf(document.activeElement);
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
      if (event.key === "/" && !typing) {
        input.focus();
      } else if (event.key === "Escape") {
        results.hidden = true;
        input.blur();
      } else if (event.key === "ArrowDown" && (document.activeElement === input || at >= 0)) {
        links[Math.min(at + 1, links.length - 1)]?.focus();
      } else if (event.key === "ArrowUp" && at >= 0) {
        (links[at - 1] ?? input).focus();
      } else if (event.key === "Enter" && document.activeElement === input) {
        links[0]?.click();
      } else {
        return;
      }
      event.preventDefault();
    });

    // page.html?q=words: a link to a search.
    const asked = new URLSearchParams(location.search).get("q");
    if (asked) {
      input.value = asked;
      show();
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    list_contents();
    let_scroll();
    search();
  });
})();
