// Elements from plain calls. Text only ever becomes text: nothing here parses HTML.

/**
 * An HTML element. Attributes whose value is a function become listeners, `null` and `false` leave
 * an attribute out, and `true` sets it empty. Children are nodes or text; `null` is left out.
 */
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for a part of a drawing. */
function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** A labelled `<select>` of [value, text] pairs; `choose` is called with the value chosen. */
function selection(label, options, chosen, choose) {
  const select = element("select", { change: () => choose(select.value) });
  for (const [value, text] of options) {
    select.append(element("option", { value, selected: String(value) === String(chosen) }, text));
  }
  return element("label", {}, element("span", {}, label), select);
}

/** A labelled field that calls `write` as one types. */
function searchField(label, hint, write) {
  const input = element("input", {
    type: "search",
    placeholder: hint,
    autocomplete: "off",
    spellcheck: "false",
    input: () => write(input.value.trim().toLowerCase()),
  });
  return element("label", { class: "search" }, element("span", {}, label), input);
}

/**
 * One stop of the Tab key for many elements; the arrow keys move among them. `neighbour(at, key)`
 * gives the index that a key leads to from the one at `at`, or undefined.
 */
function roving(elements, neighbour) {
  elements.forEach((each, at) => {
    each.setAttribute("tabindex", at === 0 ? "0" : "-1");
    each.addEventListener("keydown", (event) => {
      const next = elements[neighbour(at, event.key)];
      if (!next) return;
      event.preventDefault();
      elements.forEach((other) => other.setAttribute("tabindex", other === next ? "0" : "-1"));
      next.focus();
    });
  });
}
