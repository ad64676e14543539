# MariaDB, which tests of MySQL use: there is no package of MySQL. Name one by DUCTAPE_TEST_MYSQL.

install() {
  debian mariadb-server 10.11
}

start() {
  own_folder "$folder/data"
  own_folder "$folder/temporary"
  # The one that this script has may be closed to others.
  export TMPDIR=$folder/temporary
  "${unprivileged[@]}" mariadb-install-db --no-defaults --datadir="$folder/data" --auth-root-authentication-method=normal \
    --skip-test-db
  printf 'CREATE DATABASE test;\n' > start.sql
  chmod 644 start.sql
  run "${unprivileged[@]}" mariadbd --no-defaults --bind-address=127.0.0.1 --port="$port" --datadir="$folder/data" \
    --character-set-server=utf8mb4 --socket="$folder/data/socket" --pid-file="$folder/data/pid" --init-file="$folder/start.sql"
}

ready() {
  local address=(--protocol=tcp --host=127.0.0.1 --port="$port" --user=root)
  [ "$(timeout 10 mariadb --no-defaults "${address[@]}" --batch --skip-column-names -e 'SELECT 1' test 2> /dev/null)" = 1 ]
}

env() {
  printf 'DUCTAPE_TEST_MYSQL=mysql://root@127.0.0.1:%s/test\n' "$port"
}
