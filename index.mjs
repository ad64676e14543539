import Ductape from './index.js';

export const { DuctapeError, defineResources, expr, literal } = Ductape;
export { Ductape, Ductape as default };
