// A feature that is declared as data: its events are done by whoever serves them, here by other features.

/** The server that it needs: none. */
export const address = undefined;

/** What it adds to the product. */
export function resources() {
  return {
    features: [
      {
        tag: 'price',
        input: { items: { type: 'array', required: true }, currency: { type: 'string', default: 'EUR' } },
        sequence: [],
        output: { items: '$Length{$Input{items}}', currency: '$Input{currency}' },
      },
      {
        tag: 'checkout',
        input: { items: { type: 'array', required: true } },
        sequence: [
          {
            tag: 'main',
            events: [{ type: 'feature', event: 'price', input: { items: '$Input{items}' } }],
          },
        ],
        output: { message: '$Sequence{main}{price}{items} items in $Sequence{main}{price}{currency}' },
      },
    ],
  };
}

/** Dispatches it and tells what came of it. */
export async function run(ductape, log) {
  const { job_id } = await ductape.features.dispatch({ tag: 'checkout', input: { items: ['tea', 'cup'] } });
  log('checkout:', await ductape.jobs.wait(job_id));
  const refused = await ductape.features.dispatch({ tag: 'checkout', input: {} });
  const error = await ductape.jobs.wait(refused.job_id).catch((error) => error);
  log('checkout without items:', error.code, error.message);
}
