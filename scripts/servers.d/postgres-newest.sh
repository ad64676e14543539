# The newest PostgreSQL. The tests of PostgreSQL run on it once more.
release=18
package=18.4.0-beta.17
source "$definitions/lib/postgresql.sh"

env() {
  printf 'DUCTAPE_TEST_POSTGRES_NEWEST=postgres://root@127.0.0.1:%s/test\n' "$port"
}
