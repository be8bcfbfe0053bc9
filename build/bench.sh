#!/usr/bin/env bash
# Measures ours beside the raw tools, in one run. Everything is made in a sandbox and removed again.
set -euo pipefail
cd "$(dirname "$0")/.."
. build/common.sh
. build/lab.sh

if [ "${1:-}" = --lab ]; then
    program=tests/benchmarks/bin/$configuration/net10.0/BlockStorage.Benchmarks.dll
    say "LVM, LIO and open-iscsi beside the bare tools (medians of ${2:-3}), and fio through them, on a real kernel"
    exec tests/lab/lab run --timeout 3600 -- bash -c "mkdir /tmp/storage /tmp/fio; dotnet $program storage /tmp/storage ${2:-3} && dotnet $program fio /tmp/fio"
fi

home=$(mktemp -d /tmp/bsbench-XXXX)
bench() { dotnet tests/benchmarks/bin/$configuration/net10.0/BlockStorage.Benchmarks.dll "$@"; }
trap 'bench clean "$home"' EXIT

say "Verbs beside raw tools (medians of ${1:-15})"
bench verbs "$home" "${1:-15}"
say "Data through the connection beside qemu-img bench at the same target"
bench data "$home"
say "Listing 10,000 volumes"
bench list "$home" 10000
pwsh=$(find_pwsh)
if [ -n "$pwsh" ]; then
    PATH=$(dirname "$pwsh"):$PATH pwsh -NoProfile -File tests/benchmarks/cmdlets.ps1 -ModulePath "$module/BlockStorage.psd1" -StateFolder "$home"
fi
