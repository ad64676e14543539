# Redis.

install() {
  debian redis-server 7
}

start() {
  run redis-server --bind 127.0.0.1 --port "$port" --dir "$folder" --save '' --appendonly no
}

ready() {
  [ "$(ask 'PING\r\n' head -c 5)" = +PONG ]
}

env() {
  printf 'DUCTAPE_TEST_REDIS=redis://127.0.0.1:%s\n' "$port"
}
