# versitygw, which stores objects of S3 as files and checks signatures.

access_key=ductape
secret_key=ductape-secret

programs() {
  go_module github.com/versity/versitygw/cmd/versitygw v1.8.0 versitygw
}

install() {
  programs > /dev/null
}

start() {
  local place
  place=$(programs)
  # A bucket is a folder.
  mkdir -p "$folder/data/ductape-test"
  run env "ROOT_ACCESS_KEY=$access_key" "ROOT_SECRET_KEY=$secret_key" "$place/versitygw" --port "127.0.0.1:$port" --quiet posix "$folder/data"
}

ready() {
  # Without a signature it denies access, by which it shows that it answers.
  ask "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" grep -q AccessDenied
}

env() {
  printf 'DUCTAPE_TEST_S3=http://%s:%s@127.0.0.1:%s/ductape-test\n' "$access_key" "$secret_key" "$port"
}
