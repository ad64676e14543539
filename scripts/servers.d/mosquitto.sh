# Mosquitto, for MQTT.

install() {
  debian mosquitto 2
}

start() {
  # Without a file of settings: on loopback only, and for everyone.
  run mosquitto -p "$port"
}

ready() {
  # CONNECT of a client named r, with a session of its own; CONNACK, accepted.
  [ "$(ask '\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01r' head -c 4 | hex)" = 20020000 ]
}

env() {
  printf 'DUCTAPE_TEST_MQTT=mqtt://127.0.0.1:%s\n' "$port"
}
