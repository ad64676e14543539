/** True exactly when both types are the same, optional and readonly members included; assignability is not enough. */
export type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** A compile error unless `T` is `true`. */
export type Expect<T extends true> = T;
