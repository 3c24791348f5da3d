// The data inside the page. The report is JSON; samples are gzip in base64, unpacked when needed.

/** The JSON in the element of an id. */
function embeddedJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

/** How many chunks of samples stay unpacked. */
const UNPACKED = 12;
const unpacked = new Map();

/** Promise of the compressed JSON in the element of an id; the ones last asked for are kept. */
function embeddedSamples(id) {
  const known = unpacked.get(id);
  unpacked.delete(id);
  unpacked.set(id, known ?? unpack(id));
  if (unpacked.size > UNPACKED) unpacked.delete(unpacked.keys().next().value);
  return unpacked.get(id);
}

async function unpack(id) {
  // Chunks stand at the end of the page, which draws itself while they are still being read.
  if (!document.getElementById(id)?.nextElementSibling) await pageRead();
  const binary = atob(document.getElementById(id).textContent.trim());
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = binary.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

function pageRead() {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
}
