"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        const order = isNaN(x) || isNaN(y) || x === "" || y === ""
          ? x.localeCompare(y) : Number(x) - Number(y);
        return ascending ? order : -order;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  });
}
for (const image of document.querySelectorAll(".case img")) {
  image.addEventListener("click", () => {
    const figure = image.closest("figure");
    const large = figure.parentElement.classList.toggle("one");
    figure.classList.toggle("chosen", large);
  });
}
