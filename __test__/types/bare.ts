// What a handler and a dashboard do with types of the platform, whether there are any or not.
import type { Ductape, PlatformRequest, PlatformResponse } from 'ductape';

export async function handlers(ductape: Ductape): Promise<void> {
  ductape.features.define('report', async ({ signal, step }) => {
    signal.throwIfAborted();
    signal.addEventListener('abort', () => {}, { once: true });
    await step('a', (one) => one.signal.aborted, { rollback: (_wasAborted, one) => void one.signal.reason });
  });
  await ductape[Symbol.asyncDispose]();
}

export const respond = (ductape: Ductape, request: PlatformRequest): Promise<PlatformResponse> =>
  ductape.dashboard({ authorize: () => 'ann' })(request);
