// Times, in the zone that was chosen; the other one is in the title.
import { useEffect, useState } from 'preact/hooks';
import { storeNow } from '../api';
import { zone } from '../settings';
import { duration, exact, moment, relative } from '../text';

const ticks = new Set<() => void>();
setInterval(() => {
  if (!document.hidden) for (const each of ticks) each();
}, 1_000);

/** Now by the clock of the store, drawn again every second. */
export function useNow(): number {
  const [now, setNow] = useState(storeNow());
  useEffect(() => {
    const tick = () => setNow(storeNow());
    ticks.add(tick);
    return () => {
      ticks.delete(tick);
    };
  }, []);
  return now;
}

const titleOf = (at: number) => `${exact(at, false)} local\n${exact(at, true)} UTC`;

export function Time({ at }: { at: number | undefined | null }) {
  const chosen = zone.use();
  if (at === undefined || at === null) return <span class="muted">–</span>;
  return (
    <time class="time" dateTime={new Date(at).toISOString()} title={titleOf(at)}>
      {moment(at, chosen === 'utc', storeNow())}
    </time>
  );
}

/** How long ago, or in what time; kept up to date. */
export function Ago({ at }: { at: number | undefined | null }) {
  const now = useNow();
  if (at === undefined || at === null) return <span class="muted">–</span>;
  return (
    <time class="time" dateTime={new Date(at).toISOString()} title={titleOf(at)}>
      {relative(at, now)}
    </time>
  );
}

export const Duration = ({ ms }: { ms: number | undefined | null }) =>
  ms === undefined || ms === null ? <span class="muted">–</span> : <span class="number">{duration(ms)}</span>;
