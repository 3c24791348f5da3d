// From values to places, and the round values in between.

/** A function from [low, high] to [from, to]. */
function scaleOf(low, high, from, to) {
  const factor = high === low ? 0 : (to - from) / (high - low);
  const start = high === low ? (from + to) / 2 : from;
  return (value) => start + (value - low) * factor;
}

/** Round values inside [low, high], about `count` of them. */
function roundValues(low, high, count = 5) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const values = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) {
    values.push(at * step);
  }
  return { values, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

/** The range of an axis over metrics with intervals: 0 to 1 where all are rates, else theirs. */
function rangeOf(metrics) {
  const ends = metrics.flatMap(({ value, ci_low, ci_high }) => [ci_low ?? value, ci_high ?? value]);
  const low = Math.min(...ends);
  const high = Math.max(...ends);
  if (low >= 0 && high <= 1) return [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - margin, high + margin];
}
