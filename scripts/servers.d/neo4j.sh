# Neo4j, embedded in a Java program: Debian has no package of it. Its libraries come from Maven Central.

libraries() {
  maven_artifact org.neo4j neo4j 5.26.0
}

install() {
  command -v javac > /dev/null || debian openjdk-17-jdk-headless 17
  libraries > /dev/null
}

start() {
  local place package
  local -a opens=()
  place=$(libraries)
  for package in java.base/java.nio java.base/java.io java.base/sun.nio.ch java.base/java.util.concurrent; do
    opens+=(--add-opens "$package=ALL-UNNAMED")
  done
  run java -Xmx512m "${opens[@]}" -cp "$place/*" "$definitions/Neo4j.java" "$folder/data" "$port"
}

ready() {
  # The answer of Bolt to a client that speaks 4.4.
  [ "$(ask '\x60\x60\xb0\x17\0\0\4\4\0\0\0\0\0\0\0\0\0\0\0\0' head -c 4 | hex)" = 00000404 ] && grep -qs '^ready$' "$folder/log"
}

env() {
  printf 'DUCTAPE_TEST_NEO4J=bolt://neo4j:password@127.0.0.1:%s\n' "$port"
}
