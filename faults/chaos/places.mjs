// Where rounds take place: a store, and whose clock its jobs go by.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Control } from '../disk.mjs';
import { Server, storeUrl } from '../server.mjs';
import { WORKERS } from './plan.mjs';

const DAY = 86_400_000;
/** For so long, in ms, a process goes by the time that it took last from the machine, or from the server. */
const LAGS = { sqlite: 300, postgres: 1_500 };
/** Number of the clock that jobs go by: of all processes, or of the server alone. */
const CLOCK = 7;

/** A lane has one place after the other, on a server of its own where there is one. */
export class Lane {
  #folder;
  #kind;
  #preload;
  #control;
  #server;

  constructor(folder, kind, preload) {
    [this.#folder, this.#kind, this.#preload] = [folder, kind, preload];
  }

  async start() {
    await mkdir(this.#folder);
    this.#control = new Control(join(this.#folder, 'control'));
    if (this.#kind !== 'postgres') return;
    this.#server = new Server(join(this.#folder, 'server'), this.#environment(CLOCK));
    await this.#server.start();
  }

  #environment(number) {
    return {
      LD_PRELOAD: this.#preload,
      DUCTAPE_FAULTS_CONTROL: this.#control.path,
      DUCTAPE_FAULTS_CLOCK: String(number),
    };
  }

  /** The place of a round. With a server the clocks of the processes are wrong, each in its own way. */
  async place({ seed }) {
    const folder = join(this.#folder, String(seed));
    await mkdir(folder);
    const hasServer = this.#kind === 'postgres';
    for (let number = 0; number <= WORKERS; number++) {
      this.#control.setClock(number, ((seed * 7 + number * 3) % 11) * DAY - 5 * DAY);
    }
    return {
      folder,
      store: hasServer ? storeUrl(`chaos_${seed}`, [this.#server.port]) : `sqlite:${join(folder, 'jobs.db')}`,
      lag: LAGS[this.#kind],
      environment: (number) => this.#environment(hasServer ? number : CLOCK),
      setClock: (offset) => this.#control.setClock(CLOCK, offset),
      end: async () => {
        this.#control.setClock(CLOCK, 0);
        if (hasServer) await this.#server.query(`DROP SCHEMA IF EXISTS chaos_${seed} CASCADE`);
      },
    };
  }

  async stop() {
    this.#control.close();
    await this.#server?.stop();
    await rm(join(this.#folder, 'control'));
  }
}
