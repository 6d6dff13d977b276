// Does the same as step.py, with the verifier for Node in examples/verify. test_keeping.py copies both below one folder.
import { createInterface } from 'node:readline';

let passed = 0;
for (const clock of [Date, performance]) {
  const now = clock.now.bind(clock);
  clock.now = () => now() + passed * 1000;
}
const { fromEnvironment } = await import('../node/verify.mjs');
const verifier = fromEnvironment();
for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith('+')) passed += Number(line);
  else console.log(await verifier.verify(line, 'gst').then(() => 200, (refusal) => refusal.status ?? refusal));
}
