# PgBouncer in transaction mode before the PostgreSQL that `needs` names.

install() {
  debian pgbouncer 1
  command -v psql > /dev/null || debian postgresql-client
}

start() {
  cat > pgbouncer.ini << END
[databases]
* = host=127.0.0.1 port=$(cat "$states/${needs[0]}/port") user=root
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 500
unix_socket_dir =
END
  chmod 644 pgbouncer.ini
  run "${unprivileged[@]}" pgbouncer -q "$folder/pgbouncer.ini"
}

ready() {
  answers_sql
}
