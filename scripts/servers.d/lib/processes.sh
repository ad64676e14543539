# Processes that outlive this script. A process id alone may have become somebody else's: with it is remembered when, in
# ticks since the machine began, the process did.

# When a process began, if it is there; one that has ended and that nobody has asked about is not.
began_at() {
  local stat
  { stat=$(< "/proc/$1/stat"); } 2> /dev/null || return 1
  # After the name, which may contain anything: state, and as the 20th when it began.
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" != Z ] && printf '%s\n' "${20}"
}

# lives PID BEGAN
lives() {
  [ "$(began_at "$1" || true)" = "$2" ]
}

# Whether each process in a list is there, and there is one.
all_live() {
  local pid began
  [ -s "$1" ] || return 1
  while read -r pid began; do
    lives "$pid" "$began" || return 1
  done < "$1"
}

any_lives() {
  local pid began
  [ -e "$1" ] || return 1
  while read -r pid began; do
    if lives "$pid" "$began"; then return 0; fi
  done < "$1"
  return 1
}

# signal_all LIST SIGNAL
signal_all() {
  local pid began
  while read -r pid began; do
    if lives "$pid" "$began"; then kill -s "$2" "$pid" 2> /dev/null || true; fi
  done < "$1"
}

# Ends what still lives of a list: asks it to, then kills it.
end_processes() {
  local signal tries
  for signal in TERM KILL; do
    any_lives "$1" || return 0
    signal_all "$1" "$signal"
    for ((tries = 0; tries < 200; tries++)); do
      any_lives "$1" || return 0
      sleep 0.05
    done
  done
}

# run COMMAND...: starts a process of the server in a session of its own, where a terminal's signals do not reach it, and
# without the lock. It must not put itself in the background: this process is the one that is ended.
run() {
  (
    pid=$BASHPID
    # Remembered before it is the server, so that it is never forgotten.
    printf '%s %s\n' "$pid" "$(began_at "$pid")" >> "$state/processes"
    exec setsid "$@"
  ) >> "$folder/log" 2>&1 < /dev/null 9>&- &
  until grep -qs "^$! " "$state/processes"; do sleep 0.01; done
}

# What runs a command as another user, where this one is root: some servers refuse root.
unprivileged=()
if [ "$(id -u)" -eq 0 ]; then unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups --); fi

# Makes a folder that such a command may write to.
own_folder() {
  mkdir -p "$1"
  if [ "$(id -u)" -eq 0 ]; then chown 65534:65534 "$1"; fi
}
