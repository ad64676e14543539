import ductape from './index.js';

export const { Ductape, DuctapeError, defineResources, expr, literal } = ductape;
export default ductape.Ductape;
