#!/bin/sh
# Fuzzes one target for some time: fuzz/run.sh [target] [seconds]. Needs the stable toolchain and a
# C++ compiler only; `cargo +nightly fuzz run cron` works too, and adds a sanitizer.
set -eu
target=${1:-cron}
seconds=${2:-300}
# Inputs need not be longer than what people write.
case $target in cron) max_bytes=300 ;; dispatch) max_bytes=1200 ;; kafka) max_bytes=8000 ;; *) max_bytes=600 ;; esac
case $target in mongodb | dynamodb) words=documents ;; *) words=$target ;; esac
cd "$(dirname "$0")"
mkdir -p "corpus/$target" "artifacts/$target"
# Inputs to begin with; what is found stays in the corpus.
if [ -d "seeds/$target" ]; then cp "seeds/$target"/* "corpus/$target/"; fi
triple=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
 -Cllvm-args=-sanitizer-coverage-level=4 \
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
 -Cllvm-args=-sanitizer-coverage-pc-table \
 -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1"
# An explicit target keeps build scripts free of the instrumentation.
exec cargo run --release --target "$triple" --target-dir target --bin "$target" -- \
  "corpus/$target" -artifact_prefix="artifacts/$target/" -dict="$words.dict" \
  -max_len="$max_bytes" -timeout=5 -max_total_time="$seconds" -print_final_stats=1
