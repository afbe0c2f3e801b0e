"use strict";
// Sorting, filtering and the theme; without this script the page is the same, but static.
(() => {
  const root = document.documentElement;

  const stored = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("noisebench-theme", value);
      return localStorage.getItem("noisebench-theme");
    } catch {
      return null; // a browser may keep nothing for pages from disk
    }
  };

  const setUpTheme = () => {
    const button = document.getElementById("theme");
    const preferred = stored();
    if (preferred === "dark" || preferred === "light") root.dataset.theme = preferred;
    button.hidden = false;
    button.addEventListener("click", () => {
      const isDark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = isDark ? "light" : "dark";
      stored(root.dataset.theme);
    });
  };

  const compareText = new Intl.Collator("en", { numeric: true }).compare;

  // The order of two cells; a number that is missing comes last in either direction.
  const compare = (a, b, direction) => {
    if (a.dataset.value === undefined) return direction * compareText(a.textContent, b.textContent);
    if (a.dataset.value === "" || b.dataset.value === "") return (a.dataset.value === "") - (b.dataset.value === "");
    return direction * (Number(a.dataset.value) - Number(b.dataset.value));
  };

  const sortBy = (table, header) => {
    const place = header.cellIndex;
    const isNumber = header.classList.contains("number");
    const before = header.getAttribute("aria-sort");
    const isAscending = before ? before === "descending" : !isNumber; // numbers begin with the highest
    for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(a.cells[place], b.cells[place], isAscending ? 1 : -1));
    table.tBodies[0].append(...rows);
  };

  const setUpSorting = (table) => {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(table, header));
    }
  };

  const setUpFilters = () => {
    const form = document.getElementById("filters");
    if (!form) return;
    const rows = [...document.querySelectorAll("#board tbody tr")];
    const apply = () => {
      const { method, noise, suite, text } = form.elements;
      const sought = text.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        const fits = [method, noise, suite].every(({ name, value }) => !value || row.dataset[name] === value);
        row.hidden = !fits || !row.textContent.toLowerCase().includes(sought);
        shown += !row.hidden;
      }
      document.getElementById("shown").textContent = `${shown} of ${rows.length} rows`;
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
    apply();
  };

  setUpTheme();
  document.querySelectorAll("table.sortable").forEach(setUpSorting);
  setUpFilters();
})();
