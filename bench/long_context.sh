#!/bin/sh
# Sweeps lengths of Enformer (random weights, one sequence, one reference): the bare model's forward
# and backward pass, gradient x input and deep_lift_shap(), each in a process of its own, and prints
# the lines of JSON that bench/long_context.cpp writes.
#
#   bench/long_context.sh PROGRAM [LENGTH ...]     default: 4096 8192 ... 524288
#
# From the environment: THREADS (default 2), BUDGET in GB (default 0: half of what is free), KEEP, the
# GB that must stay free for others (default 6). A length is left out where the machine has less.
set -eu

program=$1
shift
[ $# -gt 0 ] || set -- 4096 8192 16384 32768 65536 131072 196608 262144 524288

free_gb() { awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo; }

for length in "$@"; do
  for what in bare gradients deep_lift; do
    if [ "$(free_gb)" -le "$((${KEEP:-6} + 2))" ]; then
      echo "long_context: $length $what is left out, $(free_gb) GB are free" >&2
      continue
    fi
    # What outgrows the limit ends with an error instead of swapping.
    (
      ulimit -v "$((($(free_gb) - ${KEEP:-6} + 4) * 1048576))"
      "$program" "$length" "$what" "${THREADS:-2}" "${BUDGET:-0}" ||
        echo "{\"length\": $length, \"what\": \"$what\", \"fits\": false}"
    )
  done
done
