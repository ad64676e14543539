// The contract is index.d.ts. `export *` leaves the default out, and the CommonJS default seen from an ES module is the
// whole module object, so the class is named here.
export * from './index.js';
export { Ductape as default } from './index.js';
