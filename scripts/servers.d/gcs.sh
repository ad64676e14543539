# Google Cloud Storage: moto holds the objects, and gcs.mjs before it checks tokens and signatures as Google does.

ports=(moto)

programs() {
  python_package 'moto[server]' 5.2.5 moto_server
}

install() {
  programs > /dev/null
}

start() {
  local place moto
  place=$(programs)
  moto=$(cat "$(port_file moto)")
  run env MOTO_IAM_AUTH=0 "$place/moto_server" -H 127.0.0.1 -p "$moto"
  run node "$definitions/gcs.mjs" "$port" "$moto" "$folder/key.json"
}

ready() {
  ask 'GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' grep -q AuthenticationRequired
}

env() {
  printf 'DUCTAPE_TEST_GCS=http://127.0.0.1:%s/ductapetest?key=%s/key.json\n' "$port" "$folder"
}
