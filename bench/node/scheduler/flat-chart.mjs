// Figures beside few and many waiting jobs as bars: if they are flat, the bars of a group are of one length.
import { svg, WIDTH } from '../peers/svg.mjs';

const LABEL = 210;
const BAR = 18;
const GAP = 6;
const TITLE = 34;
const GROUPS = [
  { title: 'dispatch, 500 in flight (jobs/s)', read: ({ dispatch }) => dispatch, shown: rate },
  { title: 'claim and run a no-op handler (jobs/s)', read: ({ run }) => run, shown: rate },
  {
    title: 'dispatch → handler start, p50 (ms)',
    read: ({ latency }) => latency.p50,
    shown: (value) => value.toFixed(2),
  },
];

function rate(value) {
  return Math.round(value).toLocaleString('en');
}

/** An SVG with one group of bars for each figure, each group on a scale of its own that begins at 0. */
export function flatChart(results) {
  const parts = [];
  let y = 8;
  for (const { title, read, shown } of GROUPS) {
    parts.push(`<text x="0" y="${y + 18}" font-weight="600">${title}</text>`);
    y += TITLE;
    const top = Math.max(...results.map(read));
    for (const result of results) {
      const length = ((read(result) / top) * (WIDTH - LABEL - 90)).toFixed(1);
      parts.push(
        `<text x="${LABEL - 8}" y="${y + 13}" text-anchor="end">${result.waiting.toLocaleString('en')} waiting</text>`,
        `<rect x="${LABEL}" y="${y}" width="${length}" height="${BAR}" rx="2" fill="#0f766e"/>`,
        `<text x="${LABEL + Number(length) + 6}" y="${y + 13}">${shown(read(result))}</text>`,
      );
      y += BAR + GAP;
    }
    y += 10;
  }
  return svg(y, 'Figures beside few and many waiting jobs', parts);
}
