// Servers that tests need, and what becomes of tests whose server is not there.

/** The address in an environment variable; without one, its tests are skipped. */
export function address(variable: string): string | undefined {
  const named = process.env[variable] || undefined;
  if (!named) absent(`${variable} names no server`);
  return named;
}

/** Says why tests of this file are skipped, or fails the file where all servers must be there, as CI has it. */
export function absent(why: string): void {
  const required = 'DUCTAPE_TEST_REQUIRE_SERVERS';
  if (process.env[required]) throw new Error(`tests would be skipped, and ${required} forbids it: ${why}`);
  console.warn(`SKIPPED tests: ${why}`);
}
