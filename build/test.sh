#!/usr/bin/env bash
# Runs everything that this machine allows, names what it could not run, and closes with one line of counts.
set -uo pipefail
cd "$(dirname "$0")/.."
. build/common.sh
. build/lab.sh

# What takes hours, too: every point of the kill sweep in the lab, every level of RAID.
[ "${1:-}" != --all ] || export BLOCKSTORAGE_SWEEP=all LAB_LIMIT=${LAB_LIMIT:-43200}

passed=0 failed=0 skipped=0
results=$PWD/artifacts/test-results
rm -rf "$results"
mkdir -p "$results"

# One check that either holds or not.
check() {
    local name=$1
    shift
    say "$name"
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
}

skip() {
    skipped=$((skipped + 1))
    echo "SKIPPED: $1: $2"
}

attribute() { sed -n "s/.*<$2 [^>]*\b$3=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1; }

# Adds the counts of an xunit result file.
count_trx() {
    local total executed
    if [ ! -f "$1" ]; then
        failed=$((failed + 1))
        echo "FAILED: $2 gave no result"
        return
    fi
    passed=$((passed + $(attribute "$1" Counters passed)))
    failed=$((failed + $(attribute "$1" Counters failed)))
    total=$(attribute "$1" Counters total)
    executed=$(attribute "$1" Counters executed)
    skipped=$((skipped + total - executed))
    sed -n 's/.*testName="\([^"]*\)".*outcome="NotExecuted".*/SKIPPED: \1/p' "$1"
}

# Adds the counts of a Pester run.
count_pester() {
    local p f s
    if [ -f "$1" ]; then
        read -r p f s <"$1"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    else
        failed=$((failed + 1))
        echo "FAILED: $2 gave no result"
    fi
}

check "Source is formatted" dotnet format BlockStorage.sln --verify-no-changes --no-restore

say "Engine tests (xunit)"
if dotnet test tests/BlockStorage.Engine.Tests -c "$configuration" --no-build --nologo -v q --filter 'Needs!=Lab' \
    --logger "console;verbosity=minimal" --logger "trx;LogFileName=engine.trx" --results-directory "$results" --collect "XPlat Code Coverage"; then :; fi
count_trx "$results/engine.trx" "the engine tests"
coverage=$(find "$results" -name coverage.cobertura.xml | head -n 1)
[ -z "$coverage" ] || printf 'Engine line coverage: %s %%\n' \
    "$(sed -n 's/.*<coverage line-rate="\([0-9.]*\)".*/\1/p' "$coverage" | awk '{printf "%.1f", $1 * 100}')"

pwsh=$(find_pwsh)
pester=
[ -z "$pwsh" ] || pester=$(find_pester "$pwsh")

say "Lab suites (xunit and Pester on a real kernel)"
if reason=$(lab_unavailable); then
    skip "lab suites" "$reason"
else
    if ! run_lab_suites "$pwsh" "$pester"; then
        failed=$((failed + 1))
        echo "FAILED: a lab run did not come to its end"
    fi
    for part in "${lab_parts[@]}"; do count_trx "$results/lab-$part.trx" "the lab run of $part"; done
    # The log is begun when there is something to run.
    [ ! -f "$results/lab-pester.log" ] || count_pester "$results/lab-pester.counts" "the Pester run in the lab"
    if [ -z "$pwsh" ]; then
        skip "Reboot and power cut with 20 volumes and 5 persistent connections" "no pwsh on PATH"
    else
        check "Reboot and power cut with 20 volumes" run_reboot_test "$pwsh"
        check "Reboot and power cut with 5 persistent connections" run_persistent_test "$pwsh"
    fi
fi

say "Cmdlet tests (Pester in PowerShell)"
if [ -z "$pwsh" ]; then
    skip "Pester" "no pwsh on PATH and 'dotnet tool install PowerShell' did not bring one"
else
    if [ -z "$pester" ]; then
        skip "Pester" "Pester $pester_version is not installed and could not be had"
    else
        # The tests start shells of their own by name.
        PATH=$(dirname "$pwsh"):$PATH "$pwsh" -NoProfile -NonInteractive -File tests/BlockStorage.PowerShell.Tests/run.ps1 \
            -ModulePath "$module" -PesterPath "$pester" -OutFile "$results/pester.xml" -CountFile "$results/pester.counts" \
            >"$results/pester.log" 2>&1 || cat "$results/pester.log"
        sed 's/\x1b\[[0-9;]*m//g' "$results/pester.log" | grep -E '^ *\[-\]|^SKIPPED|^Tests (Passed|completed)' || true
        count_pester "$results/pester.counts" "the Pester run"
    fi
    if "$pwsh" -NoProfile -NonInteractive -Command 'exit [int](-not (Get-Module -ListAvailable PSScriptAnalyzer))'; then
        check "PSScriptAnalyzer" "$pwsh" -NoProfile -NonInteractive -File build/analyze.ps1 -ModulePath "$module"
    else
        skip "PSScriptAnalyzer" "the module is not installed"
    fi
fi

say "Result"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
