// The table of identities: its rows are in the page, filters hide what does not match.

function startIdentities(section) {
  const rows = [...section.querySelectorAll("tbody tr")];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const status = element("output", { class: "count", "aria-live": "polite" });
  const chosen = new Map();
  let words = "";

  function matches(row) {
    for (const [key, value] of chosen) if (row.dataset[key] !== value) return false;
    return words.split(/\s+/).every((word) => texts.get(row).includes(word));
  }

  function draw() {
    for (const row of rows) row.hidden = !matches(row);
    const shown = rows.filter((row) => !row.hidden).length;
    status.textContent = shown === rows.length ? counted(shown, "check") : `${shown} of ${counted(rows.length, "check")}`;
    for (const family of section.querySelectorAll("details")) {
      family.hidden = !family.querySelector("tbody tr:not([hidden])");
      if (chosen.size > 0 || words !== "") family.open = true;
    }
  }

  const filters = ["family", "model", "status"].map((key) => {
    const values = [...new Set(rows.map((row) => row.dataset[key]))].sort();
    return selection(key, [["", "all"], ...values.map((value) => [value, value])], "", (value) => {
      if (value === "") chosen.delete(key);
      else chosen.set(key, value);
      draw();
    });
  });
  const search = searchField("Filter", "identity, engine, detail", (text) => ((words = text), draw()));
  section.querySelector("[data-part=identity-filters]").append(search, ...filters, status);
  draw();
}
