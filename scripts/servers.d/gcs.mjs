// What Google Cloud Storage asks for before it lets anybody in, in front of a server of S3's protocol, whose XML is the same:
// tokens that the key of a service account has signed, and signed URLs. node gcs.mjs PORT PORT-BEHIND KEY-FILE
import { createHash, createVerify, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';

const [port, behind, file] = process.argv.slice(2);
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
/** What clients sign as the host, whatever the address of this server. */
const host = 'storage.googleapis.com';
const email = 'tests@ductape.iam.gserviceaccount.com';
/** The server behind takes any credentials of this form. */
const authorization =
  'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=a';

writeFileSync(
  file,
  JSON.stringify({
    type: 'service_account',
    project_id: 'ductape',
    private_key_id: 'key',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    client_email: email,
    token_uri: `http://127.0.0.1:${port}/token`,
  }),
);

const isSigned = (text, signature) => createVerify('RSA-SHA256').update(text).verify(publicKey, signature);

/** Whether a token is a claim to be the service account that its key has signed. */
function isOwn(token) {
  const [head, claims, signature] = token.split('.');
  const sound = signature !== undefined && isSigned(`${head}.${claims}`, Buffer.from(signature, 'base64url'));
  if (!sound) return false;
  const { iss, exp } = JSON.parse(Buffer.from(claims, 'base64url'));
  return iss === email && exp * 1_000 > Date.now();
}

/** Whether a URL is signed, and for how long it is good. */
function isSignedUrl({ method, url }) {
  const [path, query = ''] = url.split('?');
  const parameters = new URLSearchParams(query);
  const signature = parameters.get('X-Goog-Signature');
  if (signature === null) return false;
  const canonical = query
    .split('&')
    .filter((pair) => !pair.startsWith('X-Goog-Signature='))
    .sort();
  const lines = [method, path, canonical.join('&'), `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'];
  const hash = createHash('sha256').update(lines.join('\n')).digest('hex');
  const date = parameters.get('X-Goog-Date');
  const [, scope] = parameters.get('X-Goog-Credential').split(/\/(.*)/s);
  const until =
    Date.parse(date.replace(/(....)(..)(..T..)(..)(..Z)/, '$1-$2-$3:$4:$5')) + parameters.get('X-Goog-Expires') * 1_000;
  const text = `GOOG4-RSA-SHA256\n${date}\n${scope}\n${hash}`;
  return Date.now() < until && isSigned(text, Buffer.from(signature, 'hex'));
}

function refuse(answer, status, code) {
  answer.writeHead(status, { 'content-type': 'application/xml' });
  answer.end(`<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}

function forward(asked, answer) {
  const [path, query = ''] = asked.url.split('?');
  const rest = query.split('&').filter((pair) => pair !== '' && !pair.startsWith('X-Goog-'));
  const url = rest.length > 0 ? `${path}?${rest.join('&')}` : path;
  const headers = { ...asked.headers, authorization, host: `127.0.0.1:${behind}` };
  const options = { host: '127.0.0.1', port: behind, method: asked.method, path: url, headers };
  const there = request(options, (back) => {
    answer.writeHead(back.statusCode, back.headers);
    back.pipe(answer);
  });
  there.on('error', () => refuse(answer, 503, 'ServiceUnavailable'));
  asked.pipe(there);
}

const server = createServer((asked, answer) => {
  const token = asked.headers.authorization?.match(/^Bearer (.*)$/)?.[1];
  if (token === undefined ? isSignedUrl(asked) : isOwn(token)) forward(asked, answer);
  else refuse(answer, 401, 'AuthenticationRequired');
});

// The server behind does not understand a hyphen that is percent-encoded, as clients do in the name of a bucket.
/** Makes the bucket as soon as the server behind answers. */
function begin() {
  const options = { host: '127.0.0.1', port: behind, method: 'PUT', path: '/ductapetest', headers: { authorization } };
  request(options, (made) => {
    made.resume();
    server.listen(Number(port), '127.0.0.1');
  })
    .on('error', () => setTimeout(begin, 100))
    .end();
}
begin();
