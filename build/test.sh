#!/usr/bin/env bash
# Runs everything that this machine allows, names what it could not run, and closes with one line of counts.
set -uo pipefail
cd "$(dirname "$0")/.."
. build/common.sh

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

check "Source is formatted" dotnet format BlockStorage.sln --verify-no-changes --no-restore

say "Engine tests (xunit)"
if dotnet test tests/BlockStorage.Engine.Tests -c "$configuration" --no-build --nologo -v q \
    --logger "console;verbosity=minimal" --logger "trx;LogFileName=engine.trx" --results-directory "$results" --collect "XPlat Code Coverage"; then :; fi
if [ -f "$results/engine.trx" ]; then
    passed=$((passed + $(attribute "$results/engine.trx" Counters passed)))
    failed=$((failed + $(attribute "$results/engine.trx" Counters failed)))
    total=$(attribute "$results/engine.trx" Counters total)
    executed=$(attribute "$results/engine.trx" Counters executed)
    skipped=$((skipped + total - executed))
    sed -n 's/.*testName="\([^"]*\)".*outcome="NotExecuted".*/SKIPPED: \1/p' "$results/engine.trx"
    coverage=$(find "$results" -name coverage.cobertura.xml | head -n 1)
    [ -z "$coverage" ] || printf 'Engine line coverage: %s %%\n' \
        "$(sed -n 's/.*<coverage line-rate="\([0-9.]*\)".*/\1/p' "$coverage" | awk '{printf "%.1f", $1 * 100}')"
else
    failed=$((failed + 1))
    echo "FAILED: the engine tests gave no result"
fi

say "Cmdlet tests (Pester in PowerShell)"
pwsh=$(find_pwsh)
if [ -z "$pwsh" ]; then
    skip "Pester" "no pwsh on PATH and 'dotnet tool install PowerShell' did not bring one"
else
    pester=$(find_pester "$pwsh")
    if [ -z "$pester" ]; then
        skip "Pester" "Pester $pester_version is not installed and could not be had"
    else
        # The tests start shells of their own by name.
        PATH=$(dirname "$pwsh"):$PATH "$pwsh" -NoProfile -NonInteractive -File tests/BlockStorage.PowerShell.Tests/run.ps1 \
            -ModulePath "$module" -PesterPath "$pester" -OutFile "$results/pester.xml" -CountFile "$results/pester.counts" \
            >"$results/pester.log" 2>&1 || cat "$results/pester.log"
        sed 's/\x1b\[[0-9;]*m//g' "$results/pester.log" | grep -E '^ *\[-\]|^SKIPPED|^Tests (Passed|completed)' || true
        if [ -f "$results/pester.counts" ]; then
            read -r p f s <"$results/pester.counts"
            passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        else
            failed=$((failed + 1))
            echo "FAILED: the Pester run gave no result"
        fi
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
