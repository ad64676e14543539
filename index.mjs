import ductape from './index.js';

export const { Ductape, DuctapeError, literal } = ductape;
export default ductape.Ductape;
