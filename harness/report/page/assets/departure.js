// Where a completion departs from its baseline: in its text, in its tokens, in how it ended.

/** Length of the equal beginning of two texts in UTF-16 units, never inside a character. */
function commonLength(one, other) {
  const end = Math.min(one.length, other.length);
  let at = 0;
  while (at < end && one.charCodeAt(at) === other.charCodeAt(at)) at += 1;
  // Two characters beyond U+FFFF may share their first half; a half is not a character.
  const half = one.charCodeAt(at - 1);
  const splits = at > 0 && half >= 0xd800 && half < 0xdc00 && (at < one.length || at < other.length);
  return splits ? at - 1 : at;
}

/**
 * The first departure of a draw from its baseline's: `{ kind, at, words }`. `at` is where the mark
 * belongs in the text, or null where the text is the same.
 *
 * Tokens were compared when the run was made, texts are compared here. They need not depart at the
 * same place: a token that differs may begin with the same characters.
 */
function departureOf(own, base) {
  const tokens = own.agreement;
  const known = tokens !== null && tokens !== undefined;
  const equalTokens = known && tokens === own.tokens && tokens === base.tokens;
  const at = commonLength(own.completion, base.completion);
  const same = at === own.completion.length && at === base.completion.length;
  if (same) {
    if (own.finish_reason !== base.finish_reason) {
      return { kind: "stop", at: null, words: `same text; ended by ${own.finish_reason}, the baseline by ${base.finish_reason}` };
    }
    if (!known) return { kind: "equal", at: null, words: "same text" };
    if (equalTokens) return { kind: "equal", at: null, words: "equal, token for token" };
    return { kind: "tokens", at: null, words: `same text, other tokens after the first ${tokens}` };
  }
  const characters = counted([...own.completion.slice(0, at)].length, "equal character");
  const after = known ? `${characters} (${counted(tokens, "equal token")})` : characters;
  if (at === own.completion.length) return { kind: "ends", at, words: `ends after ${after}; the baseline goes on` };
  if (at === base.completion.length) return { kind: "goes on", at, words: `goes on after ${after}, where the baseline ends` };
  return { kind: "text", at, words: `departs after ${after}` };
}
