// Object stores for tests: the servers that variables name, with a bucket, and definitions of them.
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A bucket of a server. */
export interface Bucket {
  /** Of the definition. */
  type: 'aws' | 'gcp' | 'azure';
  config: Record<string, unknown>;
  /** The same with a wrong secret. */
  wrongSecret: Record<string, unknown>;
  /** The same with a user that the server does not know, where there are such. */
  noUser?: Record<string, unknown>;
  /** The same with a bucket that is not there. */
  noBucket: Record<string, unknown>;
}

/** The bucket of each server that runs, by name; undefined: its variable is not set. */
export const buckets: Record<string, { variable: string; open: (address: string) => Promise<Bucket> }> = {
  S3: { variable: 'DUCTAPE_TEST_S3', open: s3 },
  'Azure Blob Storage': { variable: 'DUCTAPE_TEST_AZURE_BLOB', open: azure },
  'Google Cloud Storage': { variable: 'DUCTAPE_TEST_GCS', open: google },
};

async function s3(address: string): Promise<Bucket> {
  const url = new URL(address);
  const config = {
    bucketName: url.pathname.slice(1),
    region: 'us-east-1',
    accessKeyId: url.username,
    secretAccessKey: url.password,
    endpoint: `http://${url.host}`,
  };
  return {
    type: 'aws',
    config,
    wrongSecret: { ...config, secretAccessKey: 'wrong' },
    noUser: { ...config, accessKeyId: 'nobody' },
    noBucket: { ...config, bucketName: 'no-such-bucket' },
  };
}

async function azure(address: string): Promise<Bucket> {
  const pairs = address.split(';').map((pair) => [pair.split('=', 1)[0], pair.slice(pair.indexOf('=') + 1)]);
  const { AccountName, AccountKey, BlobEndpoint } = Object.fromEntries(pairs) as Record<string, string>;
  const containerName = `test-${randomUUID()}`;
  const date = new Date().toUTCString();
  const headers = { 'x-ms-date': date, 'x-ms-version': '2023-11-03' };
  const path = new URL(`${BlobEndpoint}/${containerName}`).pathname;
  const signed = `PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:${date}\nx-ms-version:2023-11-03\n/${AccountName}${path}\nrestype:container`;
  const signature = createHmac('sha256', Buffer.from(AccountKey as string, 'base64'))
    .update(signed)
    .digest('base64');
  const made = await fetch(`${BlobEndpoint}/${containerName}?restype=container`, {
    method: 'PUT',
    headers: { ...headers, authorization: `SharedKey ${AccountName}:${signature}` },
  });
  if (!made.ok) throw new Error(`no container: ${made.status} ${await made.text()}`);
  const wrong = address.replace(AccountKey as string, Buffer.alloc(64).toString('base64'));
  return {
    type: 'azure',
    config: { containerName, connectionString: address },
    wrongSecret: { containerName, connectionString: wrong },
    noBucket: { containerName: 'no-such-container', connectionString: address },
  };
}

async function google(address: string): Promise<Bucket> {
  const url = new URL(address);
  const key = JSON.parse(readFileSync(url.searchParams.get('key') as string, 'utf8'));
  const config = { bucketName: url.pathname.slice(1), config: key, endpoint: url.origin };
  return {
    type: 'gcp',
    config,
    wrongSecret: { ...config, config: { ...key, client_email: 'stranger@example.com' } },
    noBucket: { ...config, bucketName: 'no-such-bucket' },
  };
}
