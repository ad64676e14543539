// CommonJS by `require`, typed: the module is the class.
import Ductape = require('ductape');

const { DuctapeError, literal, defineResources } = Ductape;
export const instance: Ductape = new Ductape({ store: 'memory:' });
export const named: Ductape.Ductape = new Ductape.Ductape();
export const sameByDefault: typeof Ductape.Ductape = Ductape.default;
export const either: Ductape = named;
export const moved: Promise<Ductape.IMoveResult> = Ductape.move({ from: 'sqlite:a.db', to: 'sqlite:b.db' });
export const error: Error = new DuctapeError('CLOSED', 'closed');
export const code: Ductape.ErrorCode | (string & {}) = new DuctapeError('CLOSED', 'closed').code;
export const marked: string = literal('$Now()');
export const resources: Ductape.Resources = defineResources({});

export class Subclass extends Ductape {}
