# NATS with JetStream. Debian's is too old.

programs() {
  go_module github.com/nats-io/nats-server/v2 v2.15.2 nats-server
}

install() {
  programs > /dev/null
}

start() {
  local place
  place=$(programs)
  run "$place/nats-server" -a 127.0.0.1 -p "$port" -js -sd "$folder/streams"
}

ready() {
  local answer
  answer=$(ask 'CONNECT {"verbose":false}\r\nPING\r\n' head -n 2)
  [[ $answer == INFO*'"jetstream":true'*PONG* ]]
}

env() {
  printf 'DUCTAPE_TEST_NATS=nats://127.0.0.1:%s\n' "$port"
}
