// E-mail and a callback. The mail server is a small one that this file brings along, which keeps nothing; name your own with
// SMTP_HOST and SMTP_PORT to see the e-mails arrive.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';

/** Needs no server but its own. */
export const address = undefined;

const { SMTP_HOST, SMTP_PORT } = process.env;
let putOff = true;

/** Takes e-mail, after the manner of RFC 5321: one recipient is put off once, another is refused for good. */
const mail = createServer((socket) => {
  let text = '';
  let inText = false;
  const say = (line) => socket.write(`${line}\r\n`);
  const obey = (line) => {
    if (/^(EHLO|HELO)/i.test(line)) return say('250 sink');
    if (/^DATA/i.test(line)) {
      inText = true;
      return say('354 go on');
    }
    if (/^QUIT/i.test(line)) return socket.end('221 bye\r\n');
    if (/^RCPT TO:<nobody@/i.test(line)) return say('550 5.1.1 nobody of that name');
    if (/^RCPT TO:<bob@/i.test(line) && putOff) {
      putOff = false;
      return say('451 4.7.1 come again');
    }
    say('250 fine');
  };
  socket.on('error', () => {});
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
    for (;;) {
      const end = inText ? text.indexOf('\r\n.\r\n') : text.indexOf('\r\n');
      if (end < 0) return;
      if (inText) {
        inText = false;
        text = text.slice(end + 5);
        say('250 taken');
      } else {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        obey(line);
      }
    }
  });
  say('220 sink');
});

const calls = [];
const hooks = createHttpServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  calls.push(`${request.method} ${request.url} ${body}`);
  response.writeHead(204).end();
});

export async function resources() {
  for (const server of [mail, hooks]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
  }
  return {
    notifications: [
      {
        tag: 'orders',
        envs: [
          {
            slug: 'prd',
            emails: {
              provider: 'smtp',
              host: SMTP_HOST ?? '127.0.0.1',
              port: Number(SMTP_PORT ?? mail.address().port),
              security: 'none',
              from: 'The shop <shop@example.com>',
            },
            callbacks: { url: `http://127.0.0.1:${hooks.address().port}/orders/:order/told`, method: 'PUT' },
          },
        ],
        messages: [
          {
            tag: 'shipped',
            email: {
              subject: 'Order {{order}} is on its way',
              template: '<p>Dear {{name}}, order <b>{{order}}</b> was shipped.</p>',
              text: 'Dear {{name}}, order {{order}} was shipped.',
            },
            callback: { body: { kind: 'shipped' } },
          },
        ],
      },
    ],
  };
}

export async function run(ductape, log) {
  const tell = async (...recipients) => {
    const { job_id } = await ductape.notifications.dispatch({
      notification: 'orders',
      event: 'shipped',
      input: {
        email: { recipients, subject: { order: 4711 }, template: { name: 'Ann & Bob', order: 4711 } },
        callback: { params: { order: 4711 }, body: { recipients: recipients.length } },
      },
      retries: 2,
      retryConfig: { initialDelay: 50 },
    });
    return job_id;
  };
  const both = await tell('Ann <ann@example.com>', 'bob@example.com');
  const { email, callback } = await ductape.jobs.wait(both);
  for (const { recipient, message_id } of email) log(`sent to ${recipient}: ${message_id}`);
  log('callback:', callback, calls.at(-1));
  const { retry_count } = await ductape.jobs.get(both);
  log(`after ${retry_count} retries, which asked only for who was put off`);

  const vain = await tell('nobody@example.com');
  await ductape.jobs.wait(vain).catch(({ code, message }) => log(`in vain: ${code}: ${message}`));
}

export function close() {
  mail.close();
  hooks.closeAllConnections();
  hooks.close();
}
