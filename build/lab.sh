# The lab as build.sh and test.sh see it. Sourced after common.sh.

# Makes the lab ready. Where it cannot be, prints the reason and succeeds.
lab_unavailable() {
    local log
    log=$(mktemp)
    if tests/lab/lab prepare 2> >(tee "$log" >&2); then
        rm -f "$log"
        return 1
    fi
    sed -n 's/^lab: //p' "$log" | tail -n 1
    rm -f "$log"
}

# The lab suites run in two kernels at once, for much of a test is waiting. Their names are parts that build/lab-suites.sh knows.
# Each has one processor: emulated ones of which more run than there are real ones wait for each other.
lab_parts=(volumes others)

# Fails where a part could not be run to its end. run_lab_suites PWSH PESTER (either may be empty)
run_lab_suites() {
    local pester=() mounts= part pids=() rc=0 number ended log
    if [ -n "$1" ] && [ -n "$2" ]; then
        mounts="$(dirname "$2"):/opt/pester:ro"
        pester=(--env "LAB_PESTER=/opt/pester/Pester.psd1" --env "LAB_MODULE=/repo/${module#"$PWD/"}")
    fi
    for part in "${lab_parts[@]}"; do
        LAB_CPU=${#pids[@]} LAB_CPUS=1 LAB_MOUNTS=$mounts tests/lab/lab run --timeout "${LAB_LIMIT:-3600}" --env "BLOCKSTORAGE_SWEEP=${BLOCKSTORAGE_SWEEP:-}" \
            --env "LAB_PART=$part" "${pester[@]}" -- build/lab-suites.sh >"$results/lab-$part.log" 2>&1 &
        pids+=($!)
    done
    for number in "${!pids[@]}"; do
        ended=0
        wait "${pids[number]}" || ended=$?
        log=$results/lab-${lab_parts[number]}.log
        echo "-- ${lab_parts[number]}, log $log"
        # What passed is counted; of a run that did not end the last lines tell where it was.
        if [ $ended -le 1 ]; then grep -v '^  Passed ' "$log"; else tail -n 40 "$log" && rc=1; fi
    done
    return $rc
}

# What is published comes back after a reboot and a power cut, and nothing else does. run_reboot_test PWSH
run_reboot_test() {
    PATH=$(dirname "$1"):$PATH tests/lab/lab boots --env "LAB_MODULE=/repo/${module#"$PWD/"}/BlockStorage.psd1" -- tests/lab/guest/exports publish check last
}

# Connections that are to come back do, and no others. run_persistent_test PWSH
run_persistent_test() {
    PATH=$(dirname "$1"):$PATH LAB_NAME=persistent-$$ tests/lab/persistent-check
}

# The demo on a real kernel: LVM, LIO and open-iscsi, with a storage network of its own.
run_lab_demo() {
    local reason
    if reason=$(lab_unavailable); then
        echo "No lab here: $reason" >&2
        return 1
    fi
    # pwsh takes one word after -File for an array.
    tests/lab/lab run --timeout 900 -- bash -c "set -- \$LAB_DISKS
        exec pwsh -NoProfile -NonInteractive -Command \"examples/quickstart.ps1 -ModulePath /repo/${module#"$PWD/"}/BlockStorage.psd1 -Disk \$1, \$2 -StorageNetwork\""
}
