// One note beside whatever the mouse is over or the keyboard is on; Escape hides it.

const note = element("div", { class: "note", role: "tooltip", id: "note", hidden: true });

/**
 * Show `title` and [name, words] lines beside a target on hover and on focus. The same words are
 * the target's name for screen readers.
 */
function explained(target, title, lines) {
  const said = lines.map(([name, words]) => `${name} ${words}`).join(", ");
  target.setAttribute("aria-label", `${title}: ${said}`);
  const show = () => showNote(target, title, lines);
  target.addEventListener("mouseenter", show);
  target.addEventListener("focus", show);
  target.addEventListener("mouseleave", hideNote);
  target.addEventListener("blur", hideNote);
}

let noted = null;

function showNote(target, title, lines) {
  const list = element("dl");
  for (const [name, words] of lines) {
    list.append(element("dt", {}, name), element("dd", {}, words));
  }
  note.replaceChildren(element("strong", {}, title), list);
  note.hidden = false;
  noted = target;
  placeNote();
}

/** Beside its target, on the side where it fits, or else below it; inside the window. */
function placeNote() {
  if (note.hidden) return;
  const place = noted.getBoundingClientRect();
  const size = note.getBoundingClientRect();
  const fits = place.right + 12 + size.width < innerWidth;
  const left = fits ? place.right + 12 : place.left - 12 - size.width;
  const top = Math.min(left < 8 ? place.bottom + 8 : place.top, innerHeight - size.height - 8);
  note.style.left = `${Math.max(8, left)}px`;
  note.style.top = `${Math.max(8, top)}px`;
}

function hideNote() {
  note.hidden = true;
}

document.addEventListener("keydown", (event) => event.key === "Escape" && hideNote());
// Moving the focus may scroll the page or a part of it: the note goes along.
document.addEventListener("scroll", placeNote, { passive: true, capture: true });
