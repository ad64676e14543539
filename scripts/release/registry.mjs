// A registry of npm that has some tarballs, for as long as it runs, and asks for nobody's name. For trying a release out.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename } from 'node:path';

/** `packages`: of each its manifest and the path of its tarball. Resolves with `{ url, asked, close }`. */
export async function serveRegistry(packages) {
  const files = new Map();
  for (const { manifest, tarball } of packages) {
    files.set(manifest.name, { manifest, name: basename(tarball), bytes: await readFile(tarball) });
  }
  /** Names that were asked for and are not here. */
  const asked = [];
  const server = createServer((request, response) => {
    const [name, , file] = decodeURIComponent(request.url).slice(1).split('/');
    const found = files.get(name);
    if (found === undefined) {
      asked.push(name);
      response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
    } else if (file === found.name) {
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(found.bytes);
    } else {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(describe(found)));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, asked, close: () => server.close() };

  function describe({ manifest, name, bytes }) {
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    const dist = { tarball: `${url}/${manifest.name}/-/${name}`, integrity };
    return {
      name: manifest.name,
      'dist-tags': { latest: manifest.version },
      versions: { [manifest.version]: { ...manifest, dist } },
    };
  }
}
