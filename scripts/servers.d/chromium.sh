# Chromium, or what is made of it, for tests of the dashboard. Each test starts its own: here it is only installed.

serves_nothing() { true; }

browser() {
  command -v chromium || command -v google-chrome || command -v chromium-browser
}

install() {
  if ! browser > /dev/null; then debian chromium; fi
}

ready() {
  browser > /dev/null
}

env() {
  printf 'DUCTAPE_TEST_CHROMIUM=%s\n' "$(browser)"
}
