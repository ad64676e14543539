# SecantusDB, which speaks MongoDB's protocol, has WiredTiger inside, and is a replica set of one. From PyPI: there is no
# package of MongoDB itself.

programs() {
  python_package SecantusDB 0.7.0b3 secantusd-py
}

install() {
  programs > /dev/null
}

start() {
  local place
  place=$(programs)
  run "$place/secantusd-py" --host 127.0.0.1 --port "$port" --storage-path "$folder/data" --log-level WARNING
}

ready() {
  # OP_MSG with { hello: 1, $db: 'admin' }; its answer names the request, and is an OP_MSG too.
  # shellcheck disable=SC2016
  local hello='\x34\0\0\0\1\0\0\0\0\0\0\0\xdd\7\0\0\0\0\0\0\0\x1f\0\0\0\x10hello\0\1\0\0\0\2$db\0\6\0\0\0admin\0\0'
  [[ $(ask "$hello" head -c 16 | hex) == ????????????????01000000dd070000 ]]
}

env() {
  printf 'DUCTAPE_TEST_MONGODB=mongodb://127.0.0.1:%s/test\n' "$port"
}
