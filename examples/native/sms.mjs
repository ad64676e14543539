// Text messages, and an e-mail by a provider's API rather than SMTP. Both providers are small ones that this file brings along,
// which keep nothing; name your own Twilio account with SMS_URL (https://api.twilio.com), SMS_ACCOUNT, SMS_TOKEN, SMS_SENDER
// and SMS_TO to see a message arrive.
import { once } from 'node:events';
import { createServer } from 'node:http';

/** Needs no server but its own. */
export const address = undefined;

const {
  SMS_URL,
  SMS_ACCOUNT = 'AC1',
  SMS_TOKEN = 'none',
  SMS_SENDER = '+4915100000',
  SMS_TO = '+4915111111',
} = process.env;

const received = [];

/** Answers as the APIs of Twilio and Postmark do: one number is wrong, and one recipient wants no e-mail. */
const providers = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  const say = (status, answer) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  if (request.method === 'GET') return say(200, {});
  if (request.url === '/email/batch') {
    const emails = JSON.parse(body);
    received.push(...emails.map(({ To, Subject }) => `e-mail to ${To}: ${Subject}`));
    return say(
      200,
      emails.map(({ To }) =>
        To.includes('gone@')
          ? { ErrorCode: 406, Message: 'wants no e-mail' }
          : { ErrorCode: 0, MessageID: `m-${received.length}` },
      ),
    );
  }
  const message = new URLSearchParams(body);
  if (message.get('To').endsWith('000')) return say(400, { code: 21211, message: 'is not a valid phone number' });
  received.push(`text to ${message.get('To')}: ${message.get('Body')}`);
  say(201, { sid: `SM${received.length}` });
});

export async function resources() {
  providers.listen(0, '127.0.0.1');
  await once(providers, 'listening');
  providers.unref();
  const own = `http://127.0.0.1:${providers.address().port}`;
  return {
    notifications: [
      {
        tag: 'alerts',
        envs: [
          {
            slug: 'prd',
            emails: {
              provider: 'postmark',
              serverToken: 'none',
              sender_email: 'shop@example.com',
              sender_name: 'The shop',
              endpoint: own,
            },
            sms: {
              provider: 'twilio',
              accountSid: SMS_ACCOUNT,
              authToken: SMS_TOKEN,
              sender: SMS_SENDER,
              endpoint: SMS_URL ?? own,
            },
          },
        ],
        messages: [
          {
            tag: 'delivered',
            sms: 'Your order {{order}} is at your door',
            email: { subject: 'Order {{order}} was delivered', template: '<p>It is at your door.</p>' },
          },
        ],
      },
    ],
  };
}

export async function run(ductape, log) {
  const tell = async (input) => {
    const { job_id } = await ductape.notifications.dispatch({ notification: 'alerts', event: 'delivered', input });
    return ductape.jobs.wait(job_id);
  };
  const { sms, email } = await tell({
    sms: { recipients: [SMS_TO], body: { order: 4711 } },
    email: { recipients: ['Ann <ann@example.com>'], subject: { order: 4711 } },
  });
  for (const { recipient, id } of sms) log(`text sent to ${recipient}: ${id}`);
  for (const { recipient, message_id } of email) log(`e-mail sent to ${recipient}: ${message_id}`);
  for (const line of received) log(`the provider has: ${line}`);

  // What a provider refuses for good is a failure that says for whom, and is not tried again.
  const refused = { email: { recipients: ['gone@example.com'], subject: { order: 4712 } } };
  if (!SMS_URL) refused.sms = { recipients: ['+4915100000'], body: { order: 4712 } };
  await tell(refused).catch(({ code, message }) => log(`in vain: ${code}: ${message}`));
}

export function close() {
  providers.closeAllConnections();
  providers.close();
}
