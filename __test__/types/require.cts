// CommonJS by `require`, typed.
import ductape = require('ductape');

const { Ductape, DuctapeError } = ductape;
export const instance: ductape.Ductape = new Ductape();
export const sameByDefault: typeof Ductape = ductape.default;
export const error: Error = new DuctapeError('CLOSED', 'closed');
