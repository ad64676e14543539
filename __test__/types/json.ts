// What a step gives back: what JSON makes of the result of its work.
import type { Jsonified, JobContext } from 'ductape';
import type { Equals, Expect } from './equals.js';

interface Money {
  amount: number;
  currency?: string;
}

interface Invoice {
  readonly id: string;
  state: 'open' | 'paid';
  due: Date;
  paid: Date | undefined;
  note?: string;
  total: Money | null;
  lines: readonly Money[];
  pair: [Date, (() => void) | number];
  tags: Set<string>;
  print(): string;
  send: () => void;
  parent: Invoice | undefined;
  more: Record<string, unknown>;
  [key: symbol]: string;
}

interface WrittenInvoice {
  readonly id: string;
  state: 'open' | 'paid';
  due: string;
  paid?: string;
  note?: string;
  total: { amount: number; currency?: string } | null;
  lines: readonly { amount: number; currency?: string }[];
  pair: [string, null | number];
  tags: Record<string, never>;
  parent?: Jsonified<Invoice>;
  more: Record<string, unknown>;
}

type Brand = string & { readonly brand: unique symbol };
interface Tree {
  at: Date;
  children: Tree[];
}
declare class Point {
  x: number;
  private y: number;
  length(): number;
}

export type Values = [
  Expect<Equals<Jsonified<Invoice>, WrittenInvoice>>,
  Expect<Equals<Jsonified<Date>, string>>,
  Expect<Equals<Jsonified<Date | number>, string | number>>,
  Expect<Equals<Jsonified<boolean>, boolean>>,
  Expect<Equals<Jsonified<Brand>, Brand>>,
  Expect<Equals<Jsonified<void>, undefined>>,
  Expect<Equals<Jsonified<undefined | number>, undefined | number>>,
  Expect<Equals<Jsonified<unknown>, unknown>>,
  // biome-ignore lint/suspicious/noExplicitAny: it stays what it is
  Expect<Equals<Jsonified<any>, any>>,
  Expect<Equals<Jsonified<bigint>, never>>,
  Expect<Equals<Jsonified<never>, never>>,
  Expect<Equals<Jsonified<() => void>, null>>,
  Expect<Equals<Jsonified<[Date, undefined?]>, [string, null?]>>,
  Expect<Equals<Jsonified<Map<string, Date>>, Record<string, never>>>,
  Expect<Equals<Jsonified<Uint8Array>, Record<string, number>>>,
  Expect<Equals<Jsonified<{ toJSON(): { at: Date } }>, { at: string }>>,
  Expect<Equals<Jsonified<Record<string, Date>>, Record<string, string>>>,
  Expect<Equals<Jsonified<Point>, { x: number }>>,
  Expect<Equals<Jsonified<Tree>['children'][number]['at'], string>>,
  Expect<Equals<Jsonified<{ a: number; b?: never }>, { a: number; b?: never }>>,
];

export async function steps({ step }: JobContext, load: () => Promise<Invoice>): Promise<WrittenInvoice> {
  const due: string = (await step('due', () => new Date())) satisfies string;
  const nothing: undefined = await step('nothing', () => {});
  const given = await step<Invoice>('given', load);
  // @ts-expect-error a date is a string by then
  given.due.getTime();
  // @ts-expect-error a function is gone
  given.send();
  // @ts-expect-error so is a method
  given.print();
  const { id } = await step('sent', async () => ({ id: `${due}${nothing}`, at: new Date() }), {
    // What the rollback gets is the same.
    rollback: ({ at }) => at.slice(0, 10),
  });
  // @ts-expect-error the result of the work is no `Date` any more
  const late: Date = await step('late', () => new Date());
  // What JSON leaves as it is needs no other type.
  const money: Money = await step('money', (): Money => ({ amount: id.length + Number(late) }));
  const list: readonly Money[] = await step('list', () => [money]);
  return step('invoice', async () => ({ ...(await load()), lines: list }));
}
