// The contents of a page, beside it: links to its headings.
document.addEventListener("DOMContentLoaded", () => {
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
});
