// Runs before the first paint, so that a chosen theme does not follow a flash of the other one.
export {};

try {
  const theme = localStorage.getItem('ductape.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's theme is used.
}
