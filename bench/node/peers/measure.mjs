// One measure of one contender, in a process of its own: node measure.mjs <contender> <measure> <jobs> <place as JSON>.
// Prints its figures as JSON.
import { CONTENDERS } from './contenders.mjs';
import { MEASURES } from './measures.mjs';

const [name, measure, jobs, place] = process.argv.slice(2);
const began = performance.now();
const contender = await CONTENDERS[name].load();
const { queue, figures } = await MEASURES[measure].run(contender, JSON.parse(place), Number(jobs), began);
process.stdout.write(`${JSON.stringify(figures ?? null)}\n`);
await queue.close();
await queue.destroy?.();
process.exit(0);
