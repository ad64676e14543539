// What ends a session for good, and which keys are no keys.
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { DuctapeOptions, SessionResource } from './support/ductape.js';
import { create, job, problemPaths, product, recordingLogger, rejection } from './support/instances.js';
import { postgresStore, server } from './support/stores.js';

const secret = 'a secret of more than sixteen bytes';
const data = { user: { id: 'u1' } };
const resources = (session: Partial<SessionResource>, tag = 'user'): DuctapeOptions => ({
  resources: { products: [{ tag: product, sessions: [{ tag, ...session }] }] },
});
const long = resources({ secret, expiry: 90, period: 'days' });

/** Until when a schema remembers what was revoked, ms. */
async function rememberedUntil(schema: string): Promise<number> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  const text = `SELECT max(expires) AS until FROM "${schema}".entries WHERE space LIKE '%revoked%'`;
  const { rows } = await client.query(text).finally(() => client.end());
  return Number(rows[0].until);
}

const revoked = (subject: Promise<unknown>) =>
  expect(rejection(subject)).resolves.toMatchObject({ code: 'UNAUTHORIZED', message: 'session.token: was revoked' });

describe(`a session that was revoked${server ? '' : ' (partly needs DUCTAPE_TEST_POSTGRES)'}`, () => {
  it.skipIf(!server)('by a refresh token stays so for as long as its tokens last', async () => {
    const { store, schema } = await postgresStore();
    const ductape = create({ store, ...long });
    const { token, refresh_token, expires_at } = await ductape.sessions.start({ tag: 'user', data });
    await ductape.sessions.revoke({ tag: 'user', refresh_token });
    await revoked(ductape.sessions.verify({ token }));
    expect(await rememberedUntil(schema)).toBeGreaterThanOrEqual(expires_at);
  });

  it.skipIf(!server)('by an older token stays so for as long as its newest one lasts', async () => {
    const { store, schema } = await postgresStore();
    const first = await create({ store, ...resources({ secret, expiry: 60_000 }) }).sessions.start({
      tag: 'user',
      data,
    });
    const ductape = create({ store, ...long });
    const second = await ductape.sessions.refresh({ tag: 'user', refresh_token: first.refresh_token });
    expect(second.expires_at - first.expires_at).toBeGreaterThan(80 * 86_400_000);
    await ductape.sessions.revoke({ token: first.token });
    await revoked(ductape.sessions.verify({ token: second.token }));
    expect(await rememberedUntil(schema)).toBeGreaterThanOrEqual(second.expires_at);
  });

  it.skipIf(!server)('by a refresh token after the resource got a shorter `expiry` stays so as well', async () => {
    const { store, schema } = await postgresStore();
    const { refresh_token, expires_at } = await create({ store, ...long }).sessions.start({ tag: 'user', data });
    const ductape = create({ store, ...resources({ secret, expiry: 60_000 }) });
    await ductape.sessions.revoke({ tag: 'user', refresh_token });
    expect(await rememberedUntil(schema)).toBeGreaterThanOrEqual(expires_at);
  });

  it('by its token and a used refresh token is revoked', async () => {
    const ductape = create(long);
    const { token, refresh_token } = await ductape.sessions.start({ tag: 'user', data });
    await ductape.sessions.refresh({ tag: 'user', refresh_token });
    await ductape.sessions.revoke({ token, refresh_token } as never);
    await revoked(ductape.sessions.verify({ token }));
  });

  it('with both of two sessions ends both', async () => {
    const ductape = create(long);
    const [one, other] = [
      await ductape.sessions.start({ tag: 'user', data }),
      await ductape.sessions.start({ tag: 'user', data }),
    ];
    await ductape.sessions.revoke({ token: one.token, refresh_token: other.refresh_token } as never);
    await revoked(ductape.sessions.verify({ token: one.token }));
    await revoked(ductape.sessions.verify({ token: other.token }));
  });

  it('is refused where nothing would be: a used refresh token alone', async () => {
    const ductape = create(long);
    const { token, refresh_token } = await ductape.sessions.start({ tag: 'user', data });
    await ductape.sessions.refresh({ tag: 'user', refresh_token });
    const refused = await rejection(ductape.sessions.revoke({ tag: 'user', refresh_token }));
    expect([refused.code, problemPaths(refused)]).toEqual(['UNAUTHORIZED', ['refresh_token']]);
    expect(refused.message).toContain('nothing was revoked');
    expect(await ductape.sessions.verify({ token })).toMatchObject({ data });
  });
});

describe('a session that cannot be found', () => {
  it('cannot have a tag whose tokens name another one', async () => {
    const refused = await rejection(() => create(resources({ secret }, 'eu:user')));
    expect(problemPaths(refused)).toEqual(['resources.products[0].sessions[0].tag']);
  });

  it('is missed in the log, once', async () => {
    const logger = recordingLogger();
    const ductape = create({ logger, ...resources({ secret }) });
    ductape.features.define('f', (run) => ({ session: run.session ?? null }));
    for (const _ of [1, 2]) {
      const { job_id } = await ductape.features.dispatch(job('f', { session: 'guest:e30.e30.e30' }));
      expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ session: null });
    }
    const warnings = logger.lines.filter((line) => line.includes('gets no session'));
    expect(warnings).toEqual([expect.stringContaining("no session resource 'guest'")]);
  });
});

describe('a key that everybody knows', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const ed25519 = generateKeyPairSync('ed25519').publicKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  const der = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });
  const lines = (text: string) => text.match(/.{1,64}/g)?.join('\n') ?? '';
  const pkcs1 = rsa.export({ type: 'pkcs1', format: 'der' });
  it.each([
    ['PEM', rsa.export({ type: 'spki', format: 'pem' }) as string],
    ['base64 of an RSA key', der(rsa).toString('base64')],
    ['base64 in lines', lines(der(rsa).toString('base64'))],
    ['base64url of an EC key', der(ec).toString('base64url')],
    ['base64 of an Ed25519 key', der(ed25519).toString('base64')],
    ['base64 of PKCS #1', pkcs1.toString('base64')],
    ['a JWK', JSON.stringify(ec.export({ format: 'jwk' }))],
    ['a set of them', JSON.stringify({ keys: [rsa.export({ format: 'jwk' })] })],
  ])('is no secret: %s', async (_form, text) => {
    const refused = await rejection(() => create(resources({ secret: text })));
    expect(problemPaths(refused)).toEqual(['resources.products[0].sessions[0].secret']);
    expect(refused.message).toContain('publicKey');
    const k = Buffer.from(text).toString('base64url');
    const inSet = await rejection(() => create(resources({ jwks: { keys: [{ kty: 'oct', k }] } } as never)));
    expect(problemPaths(inSet)).toEqual(['resources.products[0].sessions[0].jwks']);
  });

  it('is no secret: DER in a key set', async () => {
    const k = der(rsa).toString('base64url');
    const refused = await rejection(() => create(resources({ jwks: { keys: [{ kty: 'oct', k }] } } as never)));
    expect(problemPaths(refused)).toEqual(['resources.products[0].sessions[0].jwks']);
  });

  it.each(['', 'AA', Buffer.from('fifteen bytes..').toString('base64url')])('is no key of a set: %j', async (k) => {
    const good = { kty: 'oct', k: Buffer.from(secret).toString('base64url') };
    const refused = await rejection(() => create(resources({ jwks: { keys: [good, { kty: 'oct', k }] } } as never)));
    expect(problemPaths(refused)).toEqual(['resources.products[0].sessions[0].jwks']);
    expect(refused.message).toContain('at least 16 bytes');
  });

  it('is not a random secret in base64', () => {
    for (let at = 0; at < 200; at++) {
      const random = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x as string;
      create(resources({ secret: random }));
    }
  });
});

describe('keys of a session resource', () => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

  it('are all tried for a token without `kid`', async () => {
    const secrets = Array.from({ length: 60 }, (_, at) => `${secret} number ${at}`);
    const keys = secrets.map((text, at) => ({
      kty: 'oct',
      kid: `k${at}`,
      k: Buffer.from(text).toString('base64url'),
    }));
    const ductape = create(resources({ jwks: { keys } } as never));
    const message = `${encode({ alg: 'HS256' })}.${encode(data)}`;
    const signature = createHmac('sha256', secrets[59] ?? '')
      .update(message)
      .digest('base64url');
    const verified = await ductape.sessions.verify({ tag: 'user', token: `${message}.${signature}` });
    expect(verified.data).toEqual(data);
  });

  it('are a pair, or the constructor says so', async () => {
    const [one, other] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
    const publicKey = one.publicKey.export({ type: 'spki', format: 'pem' }) as string;
    const privateKey = (pair: typeof one) => pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    create(resources({ algorithm: 'EdDSA', publicKey, privateKey: privateKey(one) }));
    const refused = await rejection(() =>
      create(resources({ algorithm: 'EdDSA', publicKey, privateKey: privateKey(other) })),
    );
    expect(problemPaths(refused)).toEqual(['resources.products[0].sessions[0].privateKey']);
    expect(refused.message).toContain('both of one pair');
  });
});
