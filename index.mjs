import ductape from './index.js';

export const { Ductape, DuctapeError } = ductape;
export default ductape.Ductape;
