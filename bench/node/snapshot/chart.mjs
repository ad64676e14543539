// Rates over time as lines, one for each queue with and without a snapshot.
import { escaped, svg, WIDTH } from '../peers/svg.mjs';

const LEFT = 56;
const TOP = 12;
const HEIGHT = 240;
const LEGEND = 20;
const RIGHT = 12;
const COLOURS = ['#0f766e', '#b45309', '#7c3aed', '#475569'];
/** Samples that are averaged into a point. */
const SMOOTH = 5;

/** The next number above of the kind 1, 2, 5, 10, 20. */
function niceAbove(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((nice) => nice >= value);
}

function pointsOf(samples) {
  const points = [];
  for (let from = 0; from + SMOOTH <= samples.length; from += SMOOTH) {
    const some = samples.slice(from, from + SMOOTH);
    points.push({
      at: some.reduce((sum, { at }) => sum + at, 0) / SMOOTH,
      rate: some.reduce((sum, { rate }) => sum + rate, 0) / SMOOTH,
    });
  }
  return points;
}

/** An SVG of the rates of these cases over so many seconds: dashed without a snapshot. */
export function rateChart(cases, seconds) {
  const lines = cases.map(({ name, held, samples }) => ({ name, held, points: pointsOf(samples) }));
  const top = niceAbove(Math.max(1, ...lines.flatMap(({ points }) => points.map(({ rate }) => rate))));
  const x = (at) => LEFT + (at / seconds) * (WIDTH - LEFT - RIGHT);
  const y = (rate) => TOP + HEIGHT - (rate / top) * HEIGHT;
  const parts = [];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(top * share).toFixed(1);
    parts.push(
      `<line x1="${LEFT}" y1="${at}" x2="${WIDTH - RIGHT}" y2="${at}" stroke="#e2e8f0"/>`,
      `<text x="${LEFT - 6}" y="${Number(at) + 4}" text-anchor="end">${Math.round(top * share).toLocaleString('en')}</text>`,
      `<text x="${x(seconds * share).toFixed(1)}" y="${TOP + HEIGHT + 16}" text-anchor="middle">${Math.round(seconds * share)} s</text>`,
    );
  }
  const names = [...new Set(lines.map(({ name }) => name))];
  lines.forEach(({ name, held, points }, n) => {
    const colour = COLOURS[names.indexOf(name) % COLOURS.length];
    const stroke = `stroke="${colour}" stroke-width="2" fill="none"${held ? '' : ' stroke-dasharray="4 4"'}`;
    const drawn = points.map(({ at, rate }) => `${x(at).toFixed(1)},${y(rate).toFixed(1)}`).join(' ');
    const row = TOP + HEIGHT + 40 + n * LEGEND;
    parts.push(
      `<polyline points="${drawn}" ${stroke}/>`,
      `<line x1="${LEFT}" y1="${row - 4}" x2="${LEFT + 30}" y2="${row - 4}" ${stroke}/>`,
      `<text x="${LEFT + 38}" y="${row}">${escaped(name)}, ${held ? 'with an old snapshot' : 'without'}</text>`,
    );
  });
  return svg(TOP + HEIGHT + 40 + lines.length * LEGEND, 'Runs per second over time', parts);
}
