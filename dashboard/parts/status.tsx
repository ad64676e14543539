// States of jobs, runs and processes: a shape, a word, and a colour.
import { Icon } from './icons';

const SHAPES: Record<string, string> = { alive: 'completed', silent: 'warning', dead: 'failed', failing: 'warning' };

export const Status = ({ of, text = of }: { of: string; text?: string }) => (
  <span class={`status is-${of}`}>
    <Icon name={SHAPES[of] ?? of} />
    {text}
  </span>
);
