// Shows that the rounds can fail: breaks the stores in several ways, one after the other, each in a copy of the tree, and
// expects that rounds find it. Usage: node faults/mutations.mjs [NAME…]
import { execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const call = promisify(execFile);
const root = join(import.meta.dirname, '..');
/** Rounds in which each is to be found. */
const MOST_ROUNDS = 60;

/** What no longer asks whether the targets of new jobs are still known to the database. */
const TRUST_ROUTES = {
  'sql/call_insert.sql': [
    'WHERE ductape.check_routes_v1($16, $17)',
    'WHERE cardinality($16::bigint[]) = cardinality($17::bigint[])',
  ],
};

/** By store, then by name, edits by file of its folder: what stands there once, and what takes its place. */
const MUTATIONS = {
  sqlite: {
    'skip a sync': {
      'writer.rs': [
        'let synced = self.durability == Durability::Full && batch.iter().any(|operation| operation.options().synced);',
        'let synced = false;',
      ],
    },
    'drop an answer': {
      'writer.rs': [
        '.for_each(|operation| operation.answer(outcome.clone()));',
        `.for_each(|operation| {
                static ANSWERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
                if ANSWERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 101 == 0 {
                    std::mem::forget(operation);
                } else {
                    operation.answer(outcome.clone());
                }
            });`,
      ],
    },
    'double a claim': {
      'claim.rs': [
        `    ready::delete_ready(connection, rank, run.job, run.run)?;
    let identity`,
        `    if claimed.attempt > 1 || run.job.get() % 17 != 0 {
        ready::delete_ready(connection, rank, run.job, run.run)?;
    }
    let identity`,
      ],
      'sql/insert_running.sql': ['INSERT INTO running', 'INSERT OR REPLACE INTO running'],
    },
    'reuse a token': {
      'tx.rs': [
        `        *self.last_token = self.last_token.plus(1);
        *self.last_token`,
        `        *self.last_token = self.last_token.plus(1);
        Token::new(self.last_token.get() & !1)`,
      ],
    },
    'lose an end': {
      'complete.rs': [
        `    let key = (completion.job, completion.run);
    let Some(ended_claim)`,
        `    let key = (completion.job, completion.run);
    if completion.token.get() % 31 == 0 {
        return Ok(Completed::Accepted(crate::model::Status::Completed));
    }
    let Some(ended_claim)`,
      ],
    },
  },
  postgres: {
    'trust a route': TRUST_ROUTES,
    'count routes up': {
      ...TRUST_ROUTES,
      'sql/insert_routes.sql': [
        'SELECT id, namespace,',
        'SELECT (SELECT coalesce(max(id), 0) FROM ductape.routes) + row_number() OVER (ORDER BY place), namespace,',
      ],
    },
  },
};

async function copyTree(folder) {
  const { stdout } = await call('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  for (const path of stdout.split('\0').filter(Boolean)) await cp(join(root, path), join(folder, path));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
}

async function mutate(folder, store, edits) {
  for (const [file, [before, after]] of Object.entries(edits)) {
    const path = join(folder, 'src', 'store', store, file);
    const text = await readFile(path, 'utf8');
    if (text.split(before).length !== 2)
      throw new Error(`${file} no longer holds once what is to be replaced: ${before}`);
    await writeFile(
      path,
      text.replace(before, () => after),
    );
  }
}

function run(folder, command, args) {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

/** Resolves with what was found; `undefined`: nothing. */
async function find(store, edits) {
  const folder = await mkdtemp(join(tmpdir(), 'ductape-mutation-'));
  try {
    await copyTree(folder);
    await mutate(folder, store, edits);
    const build = await run(folder, 'npm', ['run', 'build:debug']);
    if (build.code !== 0) throw new Error(`does not build: ${build.output.slice(-2_000)}`);
    const rounds = [
      'faults/run.mjs',
      '--store',
      store,
      '--seed',
      '1',
      '--rounds',
      String(MOST_ROUNDS),
      '--stop-at-first',
    ];
    const { code, output } = await run(folder, process.execPath, rounds);
    return code === 0
      ? undefined
      : output
          .split('\n')
          .filter((line) => line.startsWith('  - '))
          .slice(0, 3);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const all = Object.entries(MUTATIONS).flatMap(([store, of]) =>
  Object.entries(of).map(([name, edits]) => ({ store, name, edits })),
);
const named = process.argv.slice(2);
const unknown = named.find((name) => !all.some((mutation) => mutation.name === name));
if (unknown) throw new Error(`no such mutation: ${unknown}; there are ${all.map(({ name }) => name).join(', ')}`);
for (const { store, name, edits } of all.filter(({ name }) => named.length === 0 || named.includes(name))) {
  const found = await find(store, edits);
  console.log(`${name} (${store}): ${found ? 'found' : 'NOT FOUND'}`);
  for (const line of found ?? []) console.log(line.slice(0, 300));
  if (!found) process.exitCode = 1;
}
