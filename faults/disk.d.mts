/** Compiles the library that is loaded before the C library; resolves with its path. */
export declare function compilePreload(folder: string): Promise<string>;

/** The numbers that the library looks at in each call, in a file. */
export declare class Control {
  constructor(path: string);
  readonly path: string;
  /** Shifts a clock by so many ms. */
  setClock(number: number, offset: number): void;
  close(): void;
}
