// A chart over time. Screen readers are told its summary; a table of its points can be opened.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { theme, zone } from '../settings';
import { clock, exact } from '../text';

export interface Line {
  name: string;
  /** Name of a variable of the style sheet. */
  color: string;
  /** Bars stand on the axis, each before the one that was drawn earlier. */
  isBar?: boolean;
  values: ReadonlyArray<number | null>;
  /** What the legend tells in place of the drawn value, as of stacked bars. */
  told?: ReadonlyArray<number | null>;
}

const HEIGHT = 190;
const WHOLE_STEPS = [1, 2, 5]
  .flatMap((each) => Array.from({ length: 12 }, (_, power) => each * 10 ** power))
  .sort((a, b) => a - b);
/** More of them are seen as a line. */
const FEW = 24;

function hasFewPoints(plot: uPlot, series: number): boolean {
  let found = 0;
  for (const value of plot.data[series] ?? []) if (value !== null && value !== undefined) found += 1;
  return found <= FEW;
}

const colorOf = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function axisTime(at: number, utc: boolean, span: number): string {
  if (span <= 26 * 3_600_000) return clock(at, utc);
  return exact(at, utc).slice(5, 10);
}

export function Chart({
  label,
  times,
  lines,
  format,
  step,
  isWhole = false,
}: {
  /** What is to be seen in it. */
  label: string;
  times: readonly number[];
  lines: readonly Line[];
  format: (value: number) => string;
  /** What one point stands for, in ms. */
  step: number;
  /** Nothing between whole numbers can be. */
  isWhole?: boolean;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const utc = zone.use() === 'utc';
  const chosenTheme = theme.use();
  const shape = JSON.stringify([utc, chosenTheme, step, lines.map(({ name, color, isBar }) => [name, color, isBar])]);
  const current = useRef({ times, lines, format });
  current.current = { times, lines, format };
  const dataOf = () =>
    [
      current.current.times.map((at) => at / 1_000),
      ...current.current.lines.map(({ values }) => [...values]),
    ] as uPlot.AlignedData;

  // Data are set below; what makes another chart is in `shape`.
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
    const hasBars = lines.some(({ isBar }) => isBar);
    const muted = colorOf('muted');
    const grid = { stroke: colorOf('grid'), width: 1 };
    const make = () =>
      new uPlot(
        {
          width: Math.max(200, element.clientWidth),
          height: HEIGHT,
          padding: [8, 18, 0, 0],
          legend: { show: false },
          cursor: { y: false, points: { show: false } },
          scales: {
            // The last bar has its room, too.
            x: { time: true, range: (_, min, max) => [min, max + (hasBars ? step / 1_000 : 0)] },
            y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] },
          },
          axes: [
            {
              stroke: muted,
              grid: { show: false },
              ticks: { show: false },
              font: '11px system-ui',
              size: 26,
              space: 64,
              values: (_, splits) => splits.map((at) => axisTime(at * 1_000, utc, span)),
            },
            {
              stroke: muted,
              grid,
              ticks: { show: false },
              font: '11px system-ui',
              size: 58,
              space: 36,
              ...(isWhole && { incrs: WHOLE_STEPS }),
              values: (_, splits) => splits.map((value) => current.current.format(value)),
            },
          ],
          series: [
            {},
            ...lines.map(({ name, color, isBar }) => ({
              label: name,
              stroke: colorOf(color),
              ...(isBar
                ? {
                    fill: colorOf(color),
                    width: 0,
                    points: { show: false },
                    paths: uPlot.paths.bars?.({ size: [0.8, 40, 1], align: 1 }),
                  }
                : {
                    width: 1.75,
                    spanGaps: true,
                    // What stands alone has no line.
                    points: { show: hasFewPoints, size: 5, fill: colorOf(color) },
                  }),
            })),
          ] as uPlot.Series[],
          hooks: { setCursor: [(u) => tell(u.cursor.idx ?? undefined)] },
        },
        dataOf(),
        element,
      );
    const made = make();
    plot.current = made;
    const observer = new ResizeObserver(() => {
      const width = Math.max(200, element.clientWidth);
      if (width !== made.width) made.setSize({ width, height: HEIGHT });
    });
    observer.observe(element);
    const dark = window.matchMedia('(prefers-color-scheme: dark)');
    const repaint = () => {
      for (const [index, { color, isBar }] of current.current.lines.entries()) {
        const series = made.series[index + 1];
        if (!series) continue;
        const value = colorOf(color);
        series.stroke = () => value;
        if (isBar) series.fill = () => value;
      }
      made.redraw(false);
    };
    dark.addEventListener('change', repaint);
    return () => {
      dark.removeEventListener('change', repaint);
      observer.disconnect();
      made.destroy();
    };
  }, [shape]);

  const told = useRef<HTMLParagraphElement>(null);
  const tell = (index: number | undefined) => {
    if (!told.current) return;
    const at = index === undefined ? undefined : current.current.times[index];
    if (index === undefined || at === undefined) {
      told.current.textContent = '';
      return;
    }
    const values = current.current.lines
      .map((line) => [line.name, (line.told ?? line.values)[index]] as const)
      .filter((each): each is readonly [string, number] => each[1] !== null && each[1] !== undefined)
      .map(([name, value]) => `${name} ${current.current.format(value)}`);
    told.current.textContent = `${exact(at, utc).slice(5, step < 60_000 ? 19 : 16)}  ${values.join(' · ')}`;
  };

  useEffect(() => {
    plot.current?.setData(dataOf());
  }, [times, lines]);

  return (
    <div class="chart">
      <div class="legend">
        {lines.map(({ name, color, isBar }) => (
          <span key={name} class="legend-name">
            <svg width="14" height="10" aria-hidden="true" class={`ink-${color}`}>
              {isBar ? (
                <rect x="2" y="0" width="10" height="10" rx="2" fill="currentColor" />
              ) : (
                <rect x="0" y="4" width="14" height="2.5" fill="currentColor" />
              )}
            </svg>
            {name}
          </span>
        ))}
        <p class="told" ref={told} aria-hidden="true" />
      </div>
      <div class="plot" ref={frame} role="img" aria-label={label} />
    </div>
  );
}
