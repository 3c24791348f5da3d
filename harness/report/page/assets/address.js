// What one looks at is the page's address: it can be linked to, and survives a reload.

const ADDRESS_FIELDS = ["experiment", "series", "show", "sort", "at", "sample", "draw", "tokens"];

/** What the part of the address after # says. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(ADDRESS_FIELDS.map((name) => [name, given.get(name)]));
}

/** The address of a place in the page, as the target of a link. */
function addressOf(place) {
  const said = ADDRESS_FIELDS.filter((name) => place[name] !== null && place[name] !== undefined);
  return "#" + new URLSearchParams(said.map((name) => [name, place[name]]));
}

/** Put a place into the address bar without going there: one already is. */
function writeAddress(place) {
  history.replaceState(null, "", addressOf(place));
}
