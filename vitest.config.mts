import { defineConfig } from 'vitest/config';
import type { Reporter } from 'vitest/node';

/** Names each test that was skipped. When tests are chosen by their names, all the others count as such. */
const skipped: Reporter = {
  onTestRunEnd(modules) {
    for (const module of modules) {
      if (module.project.config.testNamePattern) continue;
      for (const test of module.children.allTests('skipped')) {
        console.log(`SKIPPED ${module.relativeModuleId} > ${test.fullName}`);
      }
    }
  },
};

export default defineConfig({
  test: {
    include: ['__test__/**/*.test.ts'],
    reporters: ['default', skipped, ...(process.env.GITHUB_ACTIONS ? ['github-actions'] : [])],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // As long as `eventually`: machines are slow at times.
    expect: { poll: { timeout: 10_000, interval: 20 } },
  },
});
