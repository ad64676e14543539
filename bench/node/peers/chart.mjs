// Rates as bars, on a scale of powers of ten: a picture without a library.
import { MEASURES } from './measures.mjs';
import { escaped, svg, WIDTH } from './svg.mjs';

const LABEL = 210;
const BAR = 18;
const GAP = 6;
const TITLE = 34;

/** An SVG with one group of bars for each measure that has a rate. */
export function chart(results) {
  const groups = Object.entries(results).filter(([measure]) => MEASURES[measure].unit === 'jobs/s');
  const rates = groups.flatMap(([, group]) => Object.values(group).map((figures) => figures?.rate ?? 1));
  const top = 10 ** Math.ceil(Math.log10(Math.max(...rates, 10)));
  const lengthOf = (rate) => (Math.log10(Math.max(rate, 10)) - 1) * ((WIDTH - LABEL - 90) / (Math.log10(top) - 1));
  const parts = [];
  let y = 8;
  for (const [measure, group] of groups) {
    parts.push(`<text x="0" y="${y + 18}" font-weight="600">${escaped(MEASURES[measure].title)}</text>`);
    y += TITLE;
    for (const [name, figures] of Object.entries(group)) {
      if (!figures) continue;
      const own = name.startsWith('ductape');
      const length = lengthOf(figures.rate).toFixed(1);
      parts.push(
        `<text x="${LABEL - 8}" y="${y + 13}" text-anchor="end">${escaped(name)}</text>`,
        `<rect x="${LABEL}" y="${y}" width="${length}" height="${BAR}" rx="2" fill="${own ? '#0f766e' : '#94a3b8'}"/>`,
        `<text x="${LABEL + Number(length) + 6}" y="${y + 13}">${Math.round(figures.rate).toLocaleString('en')}/s</text>`,
      );
      y += BAR + GAP;
    }
    y += 10;
  }
  return svg(y, 'Jobs per second, logarithmic scale', parts);
}
