# Ports, and questions to what listens there.

# Whether somebody listens on a port of this machine.
listens() {
  (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# The file that remembers the server's port, or the one of another listener that it has.
port_file() {
  printf '%s/port%s\n' "$state" "${1:+.$1}"
}

# Picks a port: the one that the server has had before, else one that no server of any clone has. All are below 32768, from
# where the system takes ports for clients and for tests.
pick_port() {
  local file picked
  file=$(port_file "$1")
  picked=$(cat "$file" 2> /dev/null || true)
  while [ -z "$picked" ] || listens "$picked"; do
    picked=$(shuf -i 20000-32000 -n 1)
    if grep -qsxF "$picked" "$cache"/clones/*/*/port*; then picked=; fi
  done
  printf '%s\n' "$picked" > "$file"
}

# ask REQUEST COMMAND...: sends REQUEST, which is written as for printf, to the server's port; COMMAND takes what it needs
# of the answer, such as `head -c 4`.
ask() {
  # shellcheck disable=SC2016
  timeout 5 bash -c 'exec 3<> "/dev/tcp/127.0.0.1/$0" && printf "$1" >&3 && shift && "$@" <&3' "$port" "$@" 2> /dev/null
}

# Bytes as hexadecimal digits.
hex() {
  od -An -v -t x1 | tr -d ' \n'
}

# Whether a query of PostgreSQL is answered.
answers_sql() {
  [ "$(PGCONNECT_TIMEOUT=5 timeout 10 psql -XAtwq -h 127.0.0.1 -p "$port" -U root -c 'SELECT 1' test 2> /dev/null)" = 1 ]
}
