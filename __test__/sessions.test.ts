// Sessions: accepted tokens, the claims that jobs see, and tokens that the package issues.
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DuctapeOptions, SessionResource } from './support/ductape.js';
import { create, job, problemPaths, product, rejection, temporaryFolder, temporaryStore } from './support/instances.js';

const secret = 'a secret of more than sixteen bytes';
const claims = { user: { id: 'u1', email: 'ann@example.com' }, exp: Math.floor(Date.now() / 1000) + 600 };

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token made by another program. */
function token(alg: string, key: string | KeyObject, payload: object = claims, header: object = {}): string {
  const message = `${encode({ alg, typ: 'JWT', ...header })}.${encode(payload)}`;
  const bits = alg.slice(2);
  if (alg.startsWith('HS')) {
    return `${message}.${createHmac(`sha${bits}`, key as string)
      .update(message)
      .digest('base64url')}`;
  }
  const pss = alg.startsWith('PS') ? { padding: 6, saltLength: Number(bits) / 8 } : {};
  const options = { key: key as KeyObject, dsaEncoding: 'ieee-p1363' as const, ...pss };
  const signed = sign(alg === 'EdDSA' ? null : `sha${bits}`, Buffer.from(message), options);
  return `${message}.${signed.toString('base64url')}`;
}

const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }) as string;
const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }) as string;

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pairs = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  EdDSA: generateKeyPairSync('ed25519'),
};

const resources = (session: Partial<SessionResource>, tag = product): DuctapeOptions => ({
  resources: { products: [{ tag, sessions: [{ tag: 'user', ...session }] }] },
});

const greeting = { to: '$Session{user}{email}' };

/** The claims that a job with this session sees. */
async function runWithSession(
  options: DuctapeOptions,
  session: { tag: string; token: string } | string,
  input: object = greeting,
) {
  const ductape = create(options);
  ductape.features.define('f', (run) => ({ input: run.input, session: run.session }));
  const { job_id } = await ductape.features.dispatch(job('f', { input: input as never, session }));
  return ductape.jobs.wait<{ input: unknown; session: unknown }>(job_id, { timeout: 10_000 });
}

describe('a session', () => {
  it.each([
    ['{ tag, token }', (jwt: string) => ({ tag: 'user', token: jwt })],
    ["'tag:token'", (jwt: string) => `user:${jwt}`],
    ["{ tag, token: 'tag:token' }", (jwt: string) => ({ tag: 'user', token: `user:${jwt}` })],
  ])('is given as %s', async (_form, session) => {
    const found = await runWithSession(resources({ secret }), session(token('HS256', secret)));
    expect(found).toEqual({ input: { to: 'ann@example.com' }, session: claims });
  });

  it.each(['HS256', 'HS384', 'HS512'] as const)('may be signed with %s', async (algorithm) => {
    const found = await runWithSession(resources({ secret, algorithm }), {
      tag: 'user',
      token: token(algorithm, secret),
    });
    expect(found.session).toEqual(claims);
  });

  it.each(Object.entries(pairs))('may be signed with %s', async (name, { publicKey, privateKey }) => {
    const algorithm = name as keyof typeof pairs;
    const session = { tag: 'user', token: token(algorithm, privateKey, claims, { kid: 'k1' }) };
    const found = await runWithSession(resources({ algorithm, publicKey: pem(publicKey) }), session);
    expect(found.input).toEqual({ to: 'ann@example.com' });
    const other = { ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'k0' };
    const jwks = { keys: [other, { ...publicKey.export({ format: 'jwk' }), kid: 'k1' }] };
    expect((await runWithSession(resources({ algorithm, jwks }), session)).session).toEqual(claims);
    const path = join(await temporaryFolder(), 'jwks.json');
    await writeFile(path, JSON.stringify(jwks));
    expect((await runWithSession(resources({ algorithm, jwks: path }), session)).session).toEqual(claims);
  });

  it('is resolved at the run, even forty days after its short-lived token expired', async () => {
    const ductape = create({ ...resources({ secret }, 'notifications'), clock: 'manual' });
    const addresses: unknown[] = [];
    ductape.notifications.handle({ product: '*', env: '*' }, (run) => void addresses.push(run.input));
    const start = ductape.clock.now();
    await ductape.notifications.dispatch({
      env: 'prd',
      product: 'notifications',
      notification: 'digest-notifications',
      event: 'send_digest',
      input: {
        email: { recipients: ['$Session{user}{email}'], subject: { userId: '$Session{user}{id}' } },
      },
      retries: 3,
      session: { tag: 'user', token: token('HS256', secret, { ...claims, exp: Math.floor(start / 1000) + 600 }) },
      schedule: { start_at: start + 40 * 86_400_000 },
    });
    await ductape.clock.advance('P41D');
    expect(addresses).toEqual([{ email: { recipients: ['ann@example.com'], subject: { userId: 'u1' } } }]);
  });

  const jwt = token('HS256', secret);
  const past = { exp: Math.floor(Date.now() / 1000) - 60 };
  const none = (alg: string) => `${encode({ alg })}.${encode(claims)}.`;
  it.each([
    ['has expired', token('HS256', secret, past), 'has expired'],
    ['is not valid yet', token('HS256', secret, { nbf: claims.exp }), 'is not valid yet'],
    ['is not signed', `${jwt.split('.').slice(0, 2).join('.')}.`, 'is not signed'],
    ['says that it is not signed', none('none'), 'is not signed'],
    ['says so in other letters', `${none('nOnE')}AAAA`, 'is not signed'],
    ['is signed with another secret', token('HS256', 'another secret, as long as that'), 'has a wrong signature'],
    ['was changed', jwt.replace(/\.[^.]+\./, `.${encode({ user: { id: 'admin' } })}.`), 'has a wrong signature'],
    ['is signed in another way', token('HS512', secret), 'is not signed with HS256'],
    ['is no token', 'eyJhbGciOi...', 'is no JWT'],
    ['needs an extension', token('HS256', secret, claims, { crit: ['b64'], b64: false }), '`crit`'],
  ])('that %s is rejected without showing its token', async (_what, bad, message) => {
    const ductape = create(resources({ secret }));
    const session = { tag: 'user', token: bad };
    const error = await rejection(ductape.features.dispatch(job('f', { session })));
    expect([error.code, problemPaths(error)]).toEqual(['UNAUTHORIZED', ['session.token']]);
    expect(error.message).toContain(message);
    expect(JSON.stringify([error.message, error.details, error.stack])).not.toContain(bad.split('.')[1] || bad);
    const many = await rejection(ductape.features.dispatchMany([job('f'), job('f', { session })]));
    expect([many.code, problemPaths(many)]).toEqual(['UNAUTHORIZED', ['[1].session.token']]);
    expect((await ductape.jobs.list()).jobs).toEqual([]);
  });

  it('is rejected when a public key is used as the secret', async () => {
    const publicKey = pem(rsa.publicKey);
    const forged = token('HS256', publicKey);
    const ductape = create(resources({ algorithm: 'RS256', publicKey }));
    const error = await rejection(ductape.features.dispatch(job('f', { session: { tag: 'user', token: forged } })));
    expect([error.code, error.message]).toEqual(['UNAUTHORIZED', expect.stringContaining('is not signed with RS256')]);
    for (const wrong of [
      { algorithm: 'HS256' as const, secret: publicKey },
      { algorithm: 'HS256' as const, publicKey },
    ]) {
      const refused = await rejection(() => create(resources(wrong)));
      expect(refused.code).toBe('VALIDATION_ERROR');
      expect(problemPaths(refused)[0]).toMatch(/^resources\.products\[0\]\.sessions\[0\]\./);
    }
  });

  it('without a local key is accepted, and fails a run that refers to it', async () => {
    for (const options of [{}, resources({})]) {
      const error = await rejection(runWithSession(options, { tag: 'user', token: 'eyJhbGciOi...' }));
      expect([error.code, error.message]).toEqual([
        'UNAUTHORIZED',
        expect.stringContaining('input.to: $Session{user}{email}'),
      ]);
      expect(await runWithSession(options, { tag: 'user', token: 'eyJhbGciOi...' }, {})).toEqual({ input: {} });
    }
    const unchecked = await runWithSession(resources({ verify: false }), `user:${none('none')}`);
    expect(unchecked).toEqual({ input: { to: 'ann@example.com' }, session: claims });
  });

  it('is checked again at the run', async () => {
    const store = await temporaryStore();
    const dispatcher = create({ store, worker: false });
    const { job_id } = await dispatcher.features.dispatch(
      job('f', { input: {}, session: { tag: 'user', token: token('HS256', 'some other secret of length') } }),
    );
    const worker = create({ store, ...resources({ secret }) });
    worker.features.define('f', () => 'ran');
    const error = await rejection(worker.jobs.wait(job_id, { timeout: 10_000 }));
    expect([error.code, error.message]).toEqual(['UNAUTHORIZED', expect.stringContaining('has a wrong signature')]);
  });

  it('that is missing rejects a dispatch that refers to it', async () => {
    const error = await rejection(create().features.dispatch(job('f', { input: greeting })));
    expect([error.code, error.message]).toEqual(['VALIDATION_ERROR', expect.stringContaining('without `session`')]);
  });

  it('has a resource whose problems are all listed', async () => {
    const wrong = {
      products: [
        { sessions: [] },
        {
          tag: 'p',
          sessions: [
            { tag: 'a', algorithm: 'none', secret },
            { tag: 'b', secret: 'short' },
            { tag: 'c', publicKey: 'x', algorithm: 'RS256' },
            { tag: 'd', algorithm: 'ES256', publicKey: pem(rsa.publicKey) },
            { tag: 'e', secret, publicKey: 'x' },
            { tag: 'f', secret, period: 'fortnights', expiry: 1 },
            { tag: 'g', jwks: '/nowhere/jwks.json' },
            { tag: 'h', secrett: secret },
          ],
          caches: [{ tag: 'a', expiry: -1 }],
        },
      ],
    };
    const error = await rejection(() => create({ resources: wrong as never }));
    const sessions = 'resources.products[1].sessions';
    expect(problemPaths(error)).toEqual([
      'resources.products[0].tag',
      `${sessions}[0].algorithm`,
      `${sessions}[1].secret`,
      `${sessions}[2].publicKey`,
      `${sessions}[3].publicKey`,
      `${sessions}[4].secret`,
      `${sessions}[5].period`,
      `${sessions}[6].jwks`,
      `${sessions}[7].secrett`,
      'resources.products[1].caches[0].expiry',
    ]);
    expect(error.message).not.toContain(secret);
    const path = join(await temporaryFolder(), 'resources.json');
    expect(problemPaths(await rejection(() => create({ resources: path })))).toEqual(['options.resources']);
    await writeFile(path, '{ "products": [');
    expect((await rejection(() => create({ resources: path }))).message).toContain('it is no JSON');
    await writeFile(path, JSON.stringify(resources({ secret }).resources));
    expect((await runWithSession({ resources: path }, `user:${jwt}`)).session).toEqual(claims);
  });
});

describe('ductape.sessions', () => {
  const data = { user: { id: 'u1', email: 'ann@example.com' } };

  it('starts sessions whose token a dispatch accepts', async () => {
    const ductape = create(resources({ secret, expiry: 10, period: 'minutes' }));
    ductape.features.define('f', (run) => run.input as object);
    const before = Date.now();
    const started = await ductape.sessions.start({ tag: 'user', data });
    expect(started.token).toMatch(/^user:ey/);
    expect(started.expires_at - before).toBeGreaterThan(590_000);
    expect(started.expires_at - before).toBeLessThan(630_000);
    const { job_id } = await ductape.features.dispatch(job('f', { input: greeting, session: started.token }));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ to: 'ann@example.com' });
    const verified = await ductape.sessions.verify({ token: started.token });
    expect(verified).toMatchObject({ tag: 'user', data, expires_at: started.expires_at });
  });

  it.each(Object.entries(pairs))('signs with %s', async (name, { publicKey, privateKey }) => {
    const algorithm = name as keyof typeof pairs;
    const keys = { algorithm, publicKey: pem(publicKey), privateKey: pkcs8(privateKey) };
    const ductape = create(resources(keys));
    const started = await ductape.sessions.start({ tag: 'user', data });
    expect((await ductape.sessions.verify({ token: started.token })).data).toMatchObject(data);
    const [header, payload, signed] = started.token.slice('user:'.length).split('.') as [string, string, string];
    const bits = algorithm.slice(2);
    const pss = algorithm.startsWith('PS') ? { padding: 6, saltLength: Number(bits) / 8 } : {};
    const key = { key: createPublicKey(pem(publicKey)), dsaEncoding: 'ieee-p1363' as const, ...pss };
    const hash = algorithm === 'EdDSA' ? null : `sha${bits}`;
    expect(verify(hash, Buffer.from(`${header}.${payload}`), key, Buffer.from(signed, 'base64url'))).toBe(true);
  });

  it('refreshes a session with a single-use token', async () => {
    const ductape = create({ ...resources({ secret }), clock: 'manual' });
    const first = await ductape.sessions.start({ tag: 'user', data });
    await ductape.clock.advance('PT2H');
    expect((await rejection(ductape.sessions.verify({ token: first.token }))).message).toContain('has expired');
    const next = await ductape.sessions.refresh({ tag: 'user', refresh_token: first.refresh_token });
    expect((await ductape.sessions.verify({ token: next.token })).data).toMatchObject(data);
    const again = await rejection(ductape.sessions.refresh({ tag: 'user', refresh_token: first.refresh_token }));
    expect([again.code, problemPaths(again)]).toEqual(['UNAUTHORIZED', ['refresh_token']]);
    await ductape.clock.advance('P31D');
    const late = await rejection(ductape.sessions.refresh({ tag: 'user', refresh_token: next.refresh_token }));
    expect(late.code).toBe('UNAUTHORIZED');
  });

  it.each(['token', 'refresh_token'] as const)(
    'ends a session by its %s, for all instances of the store',
    async (by) => {
      const store = await temporaryStore();
      const [one, other] = [create({ store, ...resources({ secret }) }), create({ store, ...resources({ secret }) })];
      const started = await one.sessions.start({ tag: 'user', data });
      const waiting = await one.features.dispatch(
        job('f', { input: greeting, session: started.token, schedule: { start_at: Date.now() + 1_500 } }),
      );
      const kept = await one.sessions.start({ tag: 'user', data });
      await one.sessions.revoke({ tag: 'user', [by]: started[by] } as never);
      await one.sessions.revoke({ tag: 'user', [by]: started[by] } as never);
      const refused = await rejection(other.sessions.verify({ token: started.token }));
      expect([refused.code, refused.message]).toEqual(['UNAUTHORIZED', 'session.token: was revoked']);
      const { refresh_token } = started;
      expect((await rejection(other.sessions.refresh({ tag: 'user', refresh_token }))).code).toBe('UNAUTHORIZED');
      expect((await rejection(other.features.dispatch(job('f', { session: started.token })))).code).toBe(
        'UNAUTHORIZED',
      );
      // A job that waits for its start time fails as well.
      other.features.define('f', () => 'ran');
      expect((await rejection(other.jobs.wait(waiting.job_id, { timeout: 10_000 }))).code).toBe('UNAUTHORIZED');
      expect((await other.sessions.verify({ token: kept.token })).data).toMatchObject(data);
    },
  );

  it('rejects unsupported operations', async () => {
    const ductape = create(resources({ algorithm: 'RS256', publicKey: pem(rsa.publicKey) }));
    expect((await rejection(ductape.sessions.start({ tag: 'user' }))).message).toContain('has no key to sign with');
    expect((await rejection(ductape.sessions.start({ tag: 'nobody' }))).code).toBe('NOT_FOUND');
    const sessions = create(resources({ secret })).sessions;
    expect(problemPaths(await rejection(sessions.start({ tag: 'user', data: { exp: 1 } })))).toEqual(['data.exp']);
    expect(problemPaths(await rejection(sessions.start({ tag: 'user', data: { a: 'x'.repeat(20_000) } })))).toEqual([
      'data',
    ]);
    expect(problemPaths(await rejection(sessions.start({ tag: 'user', dat: {} } as never)))).toEqual(['dat']);
    expect(problemPaths(await rejection(sessions.verify({ tag: 'user' } as never)))).toEqual(['token']);
    expect((await rejection(sessions.verify({ tag: 'user', token: 'x' }))).code).toBe('UNAUTHORIZED');
  });
});
