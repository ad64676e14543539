# RabbitMQ, with a name service of its own: the usual one is the machine's, and outlives whoever has started it.
ports=(epmd distribution)

install() {
  debian rabbitmq-server 3
}

start() {
  export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT
  ERL_EPMD_PORT=$(cat "$(port_file epmd)")
  run epmd
  # The cookie that lets Erlang's nodes speak to each other is in the home.
  mkdir home
  printf '[].\n' > plugins
  export HOME=$folder/home \
    RABBITMQ_NODENAME="ductape-$port@localhost" \
    RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$port" \
    RABBITMQ_DIST_PORT \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
    RABBITMQ_MNESIA_BASE="$folder/data" RABBITMQ_LOG_BASE="$folder/logs" RABBITMQ_LOGS=- \
    RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" \
    RABBITMQ_CONF_ENV_FILE="$folder/none" RABBITMQ_CONFIG_FILE="$folder/none" RABBITMQ_ADVANCED_CONFIG_FILE="$folder/none" \
    RABBITMQ_PID_FILE="$folder/pid"
  RABBITMQ_DIST_PORT=$(cat "$(port_file distribution)")
  # Debian's command on the PATH would become another user. As under systemd, its script then becomes the server, and does
  # not stay beside it.
  RUNNING_UNDER_SYSTEMD=true run /usr/lib/rabbitmq/bin/rabbitmq-server
}

ready() {
  # A client's greeting; Connection.Start.
  [[ $(ask 'AMQP\x00\x00\x09\x01' head -c 11 | hex) == 010000????????000a000a ]]
}

env() {
  printf 'DUCTAPE_TEST_RABBITMQ=amqp://guest:guest@127.0.0.1:%s\n' "$port"
}
