# Azurite, which answers as Azure's blob storage does and checks signatures.

# The account and key that its documentation names.
account=devstoreaccount1
key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
ports=(queue table)

programs() {
  npm_package azurite 3.37.0
}

install() {
  programs > /dev/null
}

start() {
  local place
  place=$(programs)
  run node "$place/dist/src/azurite.js" --inMemoryPersistence --skipApiVersionCheck --silent --disableTelemetry \
    --blobHost 127.0.0.1 --blobPort "$port" \
    --queueHost 127.0.0.1 --queuePort "$(cat "$(port_file queue)")" \
    --tableHost 127.0.0.1 --tablePort "$(cat "$(port_file table)")"
}

ready() {
  ask "GET /$account?comp=list HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" grep -q Server
}

env() {
  printf 'DUCTAPE_TEST_AZURE_BLOB=DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=http://127.0.0.1:%s/%s;\n' \
    "$account" "$key" "$port" "$account"
}
