import ductape from './index.js';

export const { Ductape, DuctapeError, defineResources, literal } = ductape;
export default ductape.Ductape;
