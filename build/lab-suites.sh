#!/usr/bin/env bash
# Inside the lab: runs the suites that need it. lab-suites.sh [FILTER], a filter of xunit; with one, Pester is left out.
# LAB_PART is volumes or others, which together are all.
set -uo pipefail
cd "$(dirname "$0")/.."
results=$PWD/artifacts/test-results
mkdir -p "$results"
rc=0 part=${LAB_PART:-}
case $part in
    '') filter= ;;
    # Pools take a third of the time of .Volumes.
    volumes) filter='&FullyQualifiedName~.Volumes.&FullyQualifiedName!~.LvmPool' ;;
    others) filter='&(FullyQualifiedName!~.Volumes.|FullyQualifiedName~.LvmPool)' ;;
    *) echo "LAB_PART is volumes or others, not '$part'" >&2 && exit 64 ;;
esac
# What takes hours runs when it was asked for.
[ $# -gt 0 ] || [ -n "${BLOCKSTORAGE_SWEEP:-}" ] || filter+='&Takes!=Hours'

dotnet vstest tests/BlockStorage.Engine.Tests/bin/Release/net10.0/BlockStorage.Engine.Tests.dll \
    --TestCaseFilter:"Needs=Lab${1:+&($1)}$filter" --ResultsDirectory:"$results" \
    --logger:"trx;LogFileName=lab${part:+-$part}.trx" --logger:"console;verbosity=normal" || rc=1

mapfile -t files < <(grep -lE -e "-Tags?[: ].*\bLab\b" tests/BlockStorage.PowerShell.Tests/*.Tests.ps1)
if [ $# -eq 0 ] && [ "$part" != volumes ] && [ -n "${LAB_PESTER:-}" ] && [ ${#files[@]} -gt 0 ]; then
    pwsh -NoProfile -NonInteractive -File tests/BlockStorage.PowerShell.Tests/run.ps1 -Tag Lab -Path "$(printf '%s\n' "${files[@]}")" \
        -ModulePath "$LAB_MODULE" -PesterPath "$LAB_PESTER" -OutFile "$results/lab-pester.xml" -CountFile "$results/lab-pester.counts" >"$results/lab-pester.log" 2>&1 || rc=1
    # Names and messages of what failed, and the sums.
    sed 's/\x1b\[[0-9;]*m//g' "$results/lab-pester.log" | grep -A 8 -E '^ *\[-\]|^SKIPPED|^Tests (Passed|completed)|Error'
fi
exit $rc
