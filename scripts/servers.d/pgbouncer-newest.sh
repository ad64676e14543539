# The database of DUCTAPE_TEST_POSTGRES_NEWEST through PgBouncer.
needs=(postgres-newest)
source "$definitions/lib/pgbouncer.sh"

env() {
  printf 'DUCTAPE_TEST_PGBOUNCER_NEWEST=postgres://root@127.0.0.1:%s/test\n' "$port"
}
