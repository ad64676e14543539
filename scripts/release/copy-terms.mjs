// Puts the terms into the packages of the platforms, which hold a binary and are made of no more than their folder under `npm/`.
import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const root = process.argv[2] ?? join(import.meta.dirname, '..', '..');

for (const platform of await readdir(join(root, 'npm'))) {
  for (const file of ['LICENSE', 'THIRD-PARTY']) await copyFile(join(root, file), join(root, 'npm', platform, file));
}
