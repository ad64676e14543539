# Kafka, one process as broker and controller. Debian has no package of it: its libraries come from Maven Central.

ports=(sasl tls controller)

libraries() {
  maven_artifact org.apache.kafka kafka_2.13 4.3.1
}

install() {
  command -v java > /dev/null || debian openjdk-17-jre-headless 17
  command -v openssl > /dev/null || debian openssl
  libraries > /dev/null
}

# A certificate for `localhost` and the authority that signed it, both for this start alone.
certificates() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr
  printf 'subjectAltName=DNS:localhost\n' > server.ext
  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile server.ext -out server.pem
  cat server.key server.pem > keystore.pem
}

# `ann` may do all, `bob` may log in.
settings() {
  local plain=org.apache.kafka.common.security.plain.PlainLoginModule
  local scram=org.apache.kafka.common.security.scram.ScramLoginModule
  local sasl tls controller
  sasl=$(cat "$(port_file sasl)")
  tls=$(cat "$(port_file tls)")
  controller=$(cat "$(port_file controller)")
  cat << END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAIN://127.0.0.1:$port,SASL://127.0.0.1:$sasl,TLS://127.0.0.1:$tls,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAIN://127.0.0.1:$port,SASL://127.0.0.1:$sasl,TLS://localhost:$tls
listener.security.protocol.map=PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=$plain required user_ann="r1ght" user_bob="r1ght";
listener.name.sasl.scram-sha-256.sasl.jaas.config=$scram required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=$scram required;
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location=$folder/keystore.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:ann
auto.create.topics.enable=true
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.dirs=$folder/data
END
}

java_tool() {
  java -Xmx256m -cp "$(libraries)/*" "$@"
}

start() {
  local user mechanism
  local -a users=()
  certificates
  settings > server.properties
  for user in ann bob; do
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do users+=(--add-scram "$mechanism=[name=$user,password=r1ght]"); done
  done
  java_tool kafka.tools.StorageTool format -t "$(java_tool kafka.tools.StorageTool random-uuid)" -c server.properties "${users[@]}"
  run java -Xmx512m -cp "$(libraries)/*" kafka.Kafka "$folder/server.properties"
}

# ApiVersions, version 0, of a client without a name; its answer begins with its length and the same number.
ready() {
  [ "$(ask '\0\0\0\012\0\022\0\0\0\0\0\052\377\377' head -c 10 | tail -c 6 | hex)" = 0000002a0000 ]
}

env() {
  printf 'DUCTAPE_TEST_KAFKA=kafka://127.0.0.1:%s\n' "$port"
  printf 'DUCTAPE_TEST_KAFKA_SASL=kafka://ann:r1ght@127.0.0.1:%s\n' "$(cat "$(port_file sasl)")"
  printf 'DUCTAPE_TEST_KAFKA_TLS=kafkas://localhost:%s\n' "$(cat "$(port_file tls)")"
  printf 'DUCTAPE_TEST_KAFKA_CA=%s\n' "$folder/ca.pem"
}
