# Prometheus, which scrapes each second what the files in a folder name, and promtool of the same package.

install() {
  debian prometheus 2
}

start() {
  mkdir targets
  cat > prometheus.yml << END
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: ductape
    file_sd_configs: [{ files: ['$folder/targets/*.json'], refresh_interval: 1s }]
END
  run prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
    --web.listen-address="127.0.0.1:$port" --log.level=warn
}

ready() {
  ask 'GET /-/ready HTTP/1.0\r\n\r\n' head -n 1 | grep -q ' 200 '
}

env() {
  local promtool
  promtool=$(command -v promtool)
  printf 'DUCTAPE_TEST_PROMETHEUS=http://127.0.0.1:%s\n' "$port"
  printf 'DUCTAPE_TEST_PROMETHEUS_TARGETS=%s/targets\n' "$folder"
  printf 'DUCTAPE_TEST_PROMTOOL=%s\n' "$promtool"
}
