// What JSON makes of values.

/**
 * What `JSON.parse(JSON.stringify(value))` gives of a value of the type `T`: a `Date` is a string, what has `toJSON` is what that returns,
 * members that are undefined, functions or symbols are gone, and such entries of a list are null. A number that is not finite is null,
 * too, which no type can say.
 */
export type Jsonified<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null
    ? T
    : // biome-ignore lint/suspicious/noConfusingVoidType: a function without a result returns it
      T extends undefined | void
      ? undefined
      : T extends { toJSON(...given: never[]): infer Written }
        ? Jsonified<Written>
        : T extends bigint
          ? never
          : T extends Valueless
            ? null
            : T extends readonly unknown[]
              ? { [Index in keyof T]: JsonifiedEntry<T[Index]> }
              : T extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
                ? Record<string, never>
                : T extends ArrayBufferView
                  ? Record<string, number>
                  : JsonifiedMembers<T>;

/** What JSON has no value for. */
export type Valueless =
  | undefined
  | symbol
  | ((...given: never[]) => unknown)
  | (abstract new (
      ...given: never[]
    ) => unknown);

/** An entry of a list in JSON. */
export type JsonifiedEntry<T> = unknown extends T ? T : T extends Valueless ? null : Jsonified<T>;

/** An object in JSON: members that may be undefined may be missing. */
export type JsonifiedMembers<T> = Merged<
  { [Name in keyof T as NameIn<T, Name, false>]: Jsonified<T[Name]> } & {
    [Name in keyof T as NameIn<T, Name, true>]?: Jsonified<Exclude<T[Name], Valueless>>;
  }
>;

/** The name, if JSON has the member, and it may or may not be missing. */
type NameIn<T, Name extends keyof T, MayBeMissing extends boolean> = Name extends symbol
  ? never
  : unknown extends T[Name]
    ? MayBeMissing extends true
      ? never
      : Name
    : [Exclude<T[Name], undefined>, Exclude<T[Name], Valueless>] extends [infer Some, never]
      ? // What is always undefined tells the members of a union apart.
        [Some, MayBeMissing] extends [never, true]
        ? Name
        : never
      : [Extract<T[Name], Valueless>] extends [never]
        ? MayBeMissing extends true
          ? never
          : Name
        : MayBeMissing extends true
          ? Name
          : never;

/** The same type as one object. */
type Merged<T> = T extends infer Whole ? { [Name in keyof Whole]: Whole[Name] } : never;
