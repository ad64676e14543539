// Frames of pages, and what stands in them when there is nothing to show.
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Data } from '../data';
import { Icon } from './icons';

/** The head of a page: its title, what it is about, what can be done. */
export function Page({
  title,
  lead,
  tools,
  children,
}: {
  title: string;
  lead?: ComponentChildren;
  tools?: ComponentChildren;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${title} – ductape`;
  }, [title]);
  return (
    <>
      <div class="page-head">
        <div>
          <h1 id="title" tabIndex={-1}>
            {title}
          </h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {tools && <div class="tools">{tools}</div>}
      </div>
      {children}
    </>
  );
}

export const Panel = ({
  title,
  aside,
  children,
  class: name = '',
}: {
  title?: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}) => (
  <section class={`panel ${name}`} aria-label={title}>
    {title && (
      <header class="panel-head">
        <h2>{title}</h2>
        {aside && <div class="aside">{aside}</div>}
      </header>
    )}
    {children}
  </section>
);

export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <p class="empty-title">{title}</p>
    {children && <div class="empty-text">{children}</div>}
  </div>
);

export const Problem = ({ message, retry }: { message: string; retry?: () => void }) => (
  <div class="problem" role="alert">
    <Icon name="warning" />
    <span>{message}</span>
    {retry && (
      <button type="button" class="small" onClick={retry}>
        Try again
      </button>
    )}
  </div>
);

/** Keeps the place of rows that are being loaded. */
export const Skeleton = ({ rows = 8, height }: { rows?: number; height?: number }) => (
  <div class="skeleton" role="status" aria-label="loading" style={height ? { height: `${height}px` } : undefined}>
    {height ? null : Array.from({ length: rows }, (_, index) => <div class="bone" key={index} />)}
  </div>
);

/** What was loaded; before that its place, and whatever went wrong. What was shown stays while it cannot be loaded again. */
export function Loaded<T>({
  data,
  skeleton = <Skeleton />,
  children,
}: {
  data: Data<T>;
  skeleton?: ComponentChildren;
  children: (value: T) => ComponentChildren;
}) {
  const { value, error, reload } = data;
  if (value !== undefined) return <>{children(value)}</>;
  if (error) return <Problem message={error.message} retry={reload} />;
  return <>{skeleton}</>;
}

export const Fact = ({ label, children }: { label: string; children: ComponentChildren }) => (
  <div class="fact">
    <dt>{label}</dt>
    <dd>{children}</dd>
  </div>
);
