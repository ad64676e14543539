// Shapes that tell states apart without their colours.
import type { JSX } from 'preact';

const SHAPES: Record<string, JSX.Element> = {
  completed: (
    <>
      <circle cx="8" cy="8" r="7" fill="currentColor" />
      <path class="cut" d="m4.8 8.3 2.2 2.2 4.2-4.7" />
    </>
  ),
  failed: (
    <>
      <path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" fill="currentColor" />
      <path class="cut" d="m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2" />
    </>
  ),
  running: (
    <>
      <circle class="line" cx="8" cy="8" r="6.2" />
      <path d="M6.3 4.9 11.4 8l-5.1 3.1z" fill="currentColor" />
    </>
  ),
  queued: <path class="line" d="M2.5 4h11M2.5 8h11M2.5 12h6" />,
  scheduled: (
    <>
      <circle class="line" cx="8" cy="8" r="6.2" />
      <path class="line" d="M8 4.5V8l2.4 1.6" />
    </>
  ),
  paused: <path d="M3.5 2.5h3v11h-3zm6 0h3v11h-3z" fill="currentColor" />,
  cancelled: (
    <>
      <circle class="line" cx="8" cy="8" r="6.2" />
      <path class="line" d="m4 12 8-8" />
    </>
  ),
  retried: <path class="line" d="M13 5.5A5.6 5.6 0 1 0 13.6 9M13.4 2.2v3.6H9.8" />,
  snoozed: <path class="line" d="M3 4h5L3 10h5m2-4.5h3.6L10 9.6h3.6" />,
  crashed: <path d="M9.4.8 3 9.2h4.1L6 15.2l7-8.6H8.6z" fill="currentColor" />,
  missed: <path class="line" d="M2.5 13.5 13.5 2.5M2.5 8 8 2.5M8 13.5 13.5 8" />,
  warning: (
    <>
      <path d="M8 1 15.4 14.4H.6z" fill="currentColor" />
      <path class="cut" d="M8 6v4m0 1.6v.9" />
    </>
  ),
  search: <path class="line" d="M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10m3.6-1.4L14 14" />,
  copy: <path class="line" d="M5.5 5.5h8v8h-8zM3 10.5h-.5v-8h8V3" />,
  close: <path class="line" d="m3.5 3.5 9 9m0-9-9 9" />,
  sun: (
    <>
      <circle class="line" cx="8" cy="8" r="3" />
      <path
        class="line"
        d="M8 1v1.6M8 13.4V15M1 8h1.6m10.8 0H15M3 3l1.2 1.2m7.6 7.6L13 13m0-10-1.2 1.2M4.2 11.8 3 13"
      />
    </>
  ),
  moon: <path class="line" d="M13.5 9.7A6 6 0 0 1 6.3 2.5a6 6 0 1 0 7.2 7.2z" />,
  system: <path class="line" d="M1.8 3h12.4v8H1.8zM5.5 14h5" />,
  keys: <path class="line" d="M1.5 4h13v8h-13zm3 2.5h.5m2 0h.5m2 0h.5m2 0h.5m-7.5 3h6" />,
  external: <path class="line" d="M6.5 3.5h-4v10h10v-4M9 2.5h4.5V7m0-4.5-6 6" />,
};

/** Says nothing to screen readers: a text stands beside it. */
export const Icon = ({ name }: { name: string }) => (
  <svg class="icon" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" focusable="false">
    {SHAPES[name] ?? SHAPES.scheduled}
  </svg>
);

export const hasShape = (name: string): boolean => name in SHAPES;
