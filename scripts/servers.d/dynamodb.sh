# moto, which answers as DynamoDB and SQS do. From PyPI: Amazon's own local server is not open source. It takes any
# credentials.

programs() {
  python_package 'moto[server]' 5.2.5 moto_server
}

install() {
  programs > /dev/null
}

start() {
  local place
  place=$(programs)
  run env MOTO_IAM_AUTH=0 "$place/moto_server" -H 127.0.0.1 -p "$port"
}

ready() {
  local body='{"Limit":1}'
  local request="POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n"
  request+="Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=a\r\n"
  request+="Content-Type: application/x-amz-json-1.0\r\nContent-Length: ${#body}\r\nConnection: close\r\n\r\n$body"
  ask "$request" grep -q TableNames
}

env() {
  printf 'DUCTAPE_TEST_DYNAMODB=dynamodb://us-east-1/test/test?endpoint=http://127.0.0.1:%s\n' "$port"
  printf 'DUCTAPE_TEST_SQS=http://127.0.0.1:%s\n' "$port"
}
