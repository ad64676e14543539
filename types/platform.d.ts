// What the platform declares, where the program has its types: those of Node.js, of browsers, or of another runtime. The types of this
// package compile without any.

declare global {
  // As TypeScript 5.2 and the types of Node.js have it.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
}

/** The platform's `AbortSignal`. */
export type PlatformAbortSignal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : BareAbortSignal;

/** Of an `AbortSignal`, where nothing declares it. */
export interface BareAbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** The platform's `Request`. */
export type PlatformRequest = typeof globalThis extends { Request: { prototype: infer Request } }
  ? Request
  : { readonly method: string; readonly url: string; readonly headers: { get(name: string): string | null } };

/** The platform's `Response`. */
export type PlatformResponse = typeof globalThis extends { Response: { prototype: infer Response } }
  ? Response
  : { readonly status: number; readonly headers: { get(name: string): string | null }; text(): Promise<string> };
