# The database of DUCTAPE_TEST_POSTGRES through PgBouncer.
needs=(postgres)
source "$definitions/lib/pgbouncer.sh"

env() {
  printf 'DUCTAPE_TEST_PGBOUNCER=postgres://root@127.0.0.1:%s/test\n' "$port"
}
