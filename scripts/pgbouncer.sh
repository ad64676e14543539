#!/bin/sh
# A PgBouncer in transaction mode for the tests, before the server of DUCTAPE_TEST_POSTGRES, until it is ended.
# Usage: sh scripts/pgbouncer.sh [port]; then DUCTAPE_TEST_PGBOUNCER is the same address with this port.
set -eu
port=${1:-6499}
# postgres://user:password@host:port/database
place=${DUCTAPE_TEST_POSTGRES#*://}
login=${place%%@*}
server=${place#*@}
host=${server%%/*}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/pgbouncer.ini" <<END
[databases]
* = host=${host%:*} port=${host##*:} user=${login%%:*}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 500
unix_socket_dir =
END
chmod 755 "$folder"
chmod 644 "$folder/pgbouncer.ini"
# It does not run as root.
if [ "$(id -u)" -eq 0 ]; then
  setpriv --reuid=65534 --regid=65534 --clear-groups pgbouncer -q "$folder/pgbouncer.ini" &
else
  pgbouncer -q "$folder/pgbouncer.ini" &
fi
trap 'kill $! 2>/dev/null || true; rm -rf "$folder"' EXIT INT TERM
wait $!
