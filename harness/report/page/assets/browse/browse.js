"use strict";
// Rows that hold every word of the filter stay; the heading of a column sorts by it.
const body = document.querySelector("#cases tbody");
const filter = document.getElementById("filter");
const shown = document.getElementById("shown");

function apply() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of body.rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    count += row.hidden ? 0 : 1;
  }
  shown.textContent = `${count} of ${body.rows.length} cases`;
}

document.querySelectorAll("#cases thead button").forEach((button, column) => {
  let up = false;
  button.addEventListener("click", () => {
    up = !up;
    const rows = [...body.rows].sort((a, b) =>
      a.cells[column].textContent.localeCompare(b.cells[column].textContent, "en", { numeric: true }));
    body.append(...(up ? rows : rows.reverse()));
  });
});
filter.addEventListener("input", apply);
apply();
document.documentElement.dataset.ready = "true";
