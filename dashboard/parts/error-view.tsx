// An error with its stack and what caused it.
import type { IJobError } from '../types';
import { CopyButton } from './copy';

const wholeText = (error: IJobError): string =>
  [
    `${error.code}: ${error.message}`,
    error.stack,
    error.cause && `caused by ${wholeText(error.cause)}`,
    ...(error.errors ?? []).map((each) => `of ${wholeText(each)}`),
  ]
    .filter(Boolean)
    .join('\n');

function One({ error, relation }: { error: IJobError; relation?: string }) {
  return (
    <div class="error-one">
      <p class="error-head">
        {relation && <span class="muted">{relation} </span>}
        <code class="error-code">{error.code}</code> {error.message}
      </p>
      {error.stack && (
        <details open={!relation}>
          <summary>stack</summary>
          <section aria-label={`stack of ${error.code}`} class="scrolls">
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys */}
            <pre class="stack" tabIndex={0}>
              {error.stack}
            </pre>
          </section>
        </details>
      )}
      {error.cause && <One error={error.cause} relation="caused by" />}
      {error.errors?.map((each, index) => (
        <One key={`${index}-${each.code}`} error={each} relation="one of them" />
      ))}
    </div>
  );
}

export const ErrorView = ({ error }: { error: IJobError }) => (
  <div class="error-view">
    <CopyButton label="copy error" text={() => wholeText(error)} />
    <One error={error} />
  </div>
);
