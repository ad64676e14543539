// What the charts have in common: pictures without a library.

export const WIDTH = 760;
export const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign]);

/** An SVG of these elements on white; `label` says what it shows. */
export function svg(height, label, parts) {
  const style = 'font: 12px system-ui, sans-serif; fill: #334155';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${label}"><rect width="100%" height="100%" fill="#fff"/><g style="${style}">\n${parts.join('\n')}\n</g></svg>\n`;
}
