# Programs of servers: from Debian's and Ubuntu's packages, Go modules, npm and Python packages, and Maven artifacts.

# Runs a command; its output is shown only when it fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1 < /dev/null) || status=$?
  if [ "$status" -ne 0 ]; then say "$output"; fi
  return "$status"
}

# What root does to install packages. Their services must not start: they would take the usual ports, and tests have no use
# for them. While packages are installed, policy-rc.d forbids it; where systemd would start them with the machine, they are
# disabled, unless they were there before.
# shellcheck disable=SC2016
install_packages='
  policy=/usr/sbin/policy-rc.d
  ours="# by scripts/servers of ductape"
  restore() {
    rm -f "$policy"
    if [ -e "$policy.kept" ]; then mv "$policy.kept" "$policy"; fi
  }
  # A run that was killed has left its own.
  if [ -e "$policy" ] && ! grep -qF "$ours" "$policy"; then mv "$policy" "$policy.kept"; fi
  trap restore EXIT
  trap "exit 1" HUP INT TERM
  printf "#!/bin/sh\n%s\nexit 101\n" "$ours" > "$policy"
  chmod 755 "$policy"
  export DEBIAN_FRONTEND=noninteractive
  install() {
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install --no-install-recommends "$@"
  }
  # Lists that are old name files that are gone.
  if ! install "$@"; then
    apt-get -q update
    install "$@"
  fi
  if [ -d /run/systemd/system ]; then
    for package in "$@"; do
      dpkg -L "$package" | sed -n "s#^\(/usr\)\{0,1\}/lib/systemd/system/\([^/@]*\.\(service\|socket\|timer\)\)\$#\2#p"
    done | xargs -r systemctl disable --quiet || :
  fi
'

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo > /dev/null; then
    sudo -- "$@"
  else
    return 1
  fi
}

# Whether a version of a package is of the release named, such as 7 or 10.11.
is_release() {
  [[ ${1#*:} =~ ^"$2"([^0-9]|$) ]]
}

# debian PACKAGE [RELEASE]: installs the package where it is missing. Its version must be of that release: the one that the
# tests are known to pass on.
debian() {
  local package=$1 release=${2:-} version state remedy
  remedy="install $package${release:+ $release} as root, or do without '$name' and name a server by its variable, as in CONTRIBUTING.md"
  command -v dpkg-query > /dev/null || die "$name: this is neither Debian nor Ubuntu; $remedy"
  # shellcheck disable=SC2016
  state=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$package" 2> /dev/null || true)
  if [[ $state == ii* ]]; then
    version=${state#* }
  else
    version=$(candidate "$package")
    if [ -z "$version" ]; then
      quietly as_root apt-get -q update || die "$name: the lists of packages cannot be fetched; $remedy"
      version=$(candidate "$package")
    fi
    [ -n "$version" ] || die "$name: there is no package $package here; $remedy"
  fi
  if [ -n "$release" ] && ! is_release "$version" "$release" && [ -z "${DUCTAPE_SERVERS_ANY_VERSION:-}" ]; then
    die "$name: $package is $version here, and the tests are known to pass on $release; DUCTAPE_SERVERS_ANY_VERSION=1 takes it"
  fi
  if [[ $state != ii* ]]; then
    say "installing $package $version"
    quietly as_root sh -euc "$install_packages" sh "$package" || die "$name: $package cannot be installed; $remedy"
  fi
}

# The version of a package that would be installed.
candidate() {
  LC_ALL=C apt-cache policy "$1" | sed -n 's/^ *Candidate: //p' | grep -vxF '(none)' || true
}

# go_module MODULE VERSION PROGRAM: prints the folder that holds the program, which is built where it is missing.
go_module() {
  local module=$1 version=$2 program=$3
  local place=$cache/$program-$version
  if [ ! -x "$place/$program" ]; then
    command -v go > /dev/null || die "$name needs Go to be built: https://go.dev/dl"
    say "building $program $version"
    rm -rf "$place" "$place.new"
    GOBIN=$place.new CGO_ENABLED=0 quietly go install "$module@$version" || die "$name: $module $version cannot be built"
    # Complete or not there.
    mv "$place.new" "$place"
  fi
  printf '%s\n' "$place"
}

# npm_package PACKAGE VERSION: prints the folder of the package, which is fetched where it is missing. Its scripts are not run.
npm_package() {
  local package=$1 version=$2
  local place
  place=$cache/$(tr -d @ <<< "$package" | tr / -)-$version
  if [ ! -d "$place" ]; then
    say "fetching $package $version"
    rm -rf "$place.new"
    quietly npm install --prefix "$place.new" --no-save --no-audit --no-fund --ignore-scripts "$package@$version" ||
      die "$name: $package $version cannot be fetched"
    mv "$place.new" "$place"
  fi
  printf '%s\n' "$place/node_modules/$package"
}

# maven_artifact GROUP ARTIFACT VERSION: prints the folder of the artifact and all that it needs, which are fetched where they
# are missing.
maven_artifact() {
  local group=$1 artifact=$2 version=$3
  local place=$cache/$artifact-$version
  if [ ! -d "$place" ]; then
    command -v mvn > /dev/null || debian maven
    say "fetching $artifact $version"
    rm -rf "$place.new"
    mkdir -p "$place.new"
    cat > "$place.new/pom.xml" << END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ductape</groupId>
  <artifactId>servers</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>$group</groupId>
      <artifactId>$artifact</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
END
    quietly mvn -q -B -f "$place.new/pom.xml" dependency:copy-dependencies -DoutputDirectory="$place.new" ||
      die "$name: $artifact $version cannot be fetched"
    mv "$place.new" "$place"
  fi
  printf '%s\n' "$place"
}

# python_package PACKAGE VERSION PROGRAM: prints a folder that holds the program alone; the package is installed where it is
# missing.
python_package() {
  local package=$1 version=$2 program=$3
  local place=$cache/$package-$version
  if [ ! -e "$place/programs/$program" ]; then
    command -v python3 > /dev/null || die "$name needs Python 3"
    say "installing $package $version"
    rm -rf "$place"
    # Programs name the folder that they are in, so that it cannot be moved when it is complete.
    quietly python3 -m venv "$place" || die "$name: Python's venv is missing, such as the package python3-venv"
    quietly "$place/bin/pip" install --disable-pip-version-check "$package==$version" ||
      die "$name: $package $version cannot be installed"
    mkdir "$place/programs"
    ln -s "$place/bin/$program" "$place/programs/$program"
  fi
  printf '%s\n' "$place/programs"
}
