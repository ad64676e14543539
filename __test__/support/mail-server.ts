// An SMTP server for tests, with programmable answers, which records what it receives.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { onTestFinished } from 'vitest';

export interface ReceivedEmail {
  /** The one recipient of the envelope. */
  to: string;
  from: string;
  raw: string;
  parsed: ParsedMail;
}

export interface MailServer {
  port: number;
  /** Accepted e-mails, in order. */
  emails: ReceivedEmail[];
  /** How often each recipient was offered, whatever the answer was. */
  recipientAttempts: Map<string, number>;
  /** Connections so far. */
  connections(): number;
  /** Number of e-mails that a recipient got. */
  countFor(recipient: string): number;
}

export interface MailOptions {
  /** The answer to a recipient; `undefined` takes it. */
  refuse?: (address: string, times: number) => { code: number; text?: string } | undefined;
  /** The answer to the text of an e-mail. */
  refuseData?: (address: string) => { code: number; text?: string } | undefined;
  /** Waits before the text of an e-mail is answered. */
  beforeReply?: (address: string) => Promise<void> | undefined;
  /** Accepted credentials. */
  login?: { user: string; password: string };
  server?: SMTPServerOptions;
}

const smtpError = (found: { code: number; text?: string }) =>
  Object.assign(new Error(found.text ?? 'as the test says'), { responseCode: found.code });

/** A server in the clear, unless told otherwise; closed when the test ends. */
export async function mailServer(options: MailOptions = {}): Promise<MailServer> {
  const emails: ReceivedEmail[] = [];
  const recipientAttempts = new Map<string, number>();
  let connections = 0;
  const server = new SMTPServer({
    authOptional: options.login === undefined,
    disabledCommands: options.login ? [] : ['AUTH'],
    hideSTARTTLS: true,
    allowInsecureAuth: true,
    logger: false,
    disableReverseLookup: true,
    onConnect(_, done) {
      connections += 1;
      done();
    },
    onAuth(auth, _, done) {
      const right = auth.username === options.login?.user && auth.password === options.login?.password;
      // As a careless server does, it echoes the credentials.
      done(right ? null : new Error(`no ${auth.username} with ${auth.password}`), right ? { user: 1 } : undefined);
    },
    onRcptTo({ address }, _, done) {
      const times = (recipientAttempts.get(address) ?? 0) + 1;
      recipientAttempts.set(address, times);
      const rejection = options.refuse?.(address, times);
      done(rejection ? smtpError(rejection) : null);
    },
    onData(stream, session, done) {
      const to = session.envelope.rcptTo.map((recipient) => recipient.address).join(',');
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', async () => {
        const rejection = options.refuseData?.(to);
        if (rejection) return done(smtpError(rejection));
        const raw = Buffer.concat(chunks);
        const from = session.envelope.mailFrom ? session.envelope.mailFrom.address : '';
        emails.push({ to, from, raw: raw.toString('utf8'), parsed: await simpleParser(raw) });
        await options.beforeReply?.(to);
        done();
      });
    },
    ...options.server,
  });
  server.on('error', () => {});
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const connection of server.connections) (connection as { close(): void }).close();
      }),
  );
  const address = listening.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    emails,
    recipientAttempts,
    connections: () => connections,
    countFor: (recipient) => emails.filter((letter) => letter.to === recipient).length,
  };
}

/** A server that does what `serve` does with each connection. */
export async function rawServer(serve: (socket: Socket) => void): Promise<{ port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return { port: typeof address === 'object' && address ? address.port : 0, sockets };
}

/** A port that nobody listens to. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address ? address.port : 1;
}

/** A key and a certificate of version 3 that is its own authority, for these names. */
export function certificate(names: string): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ductape-certificate-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=ductape-test', '-days', '2', '-addext', `subjectAltName=${names}`];
    // A certificate that is an authority is none of a server's.
    const leaf = ['-addext', 'basicConstraints=critical,CA:FALSE'];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', ['req', '-x509', ...kind, ...subject, ...leaf, '-keyout', key, '-out', cert], {
      stdio: 'pipe',
    });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
