#!/usr/bin/env bash
# The one way to build, test and try BlockStorage: ./build.sh build|test|demo|docs|package|deps|clean
set -euo pipefail
cd "$(dirname "$0")"
. build/common.sh
. build/lab.sh

case "${1:-}" in
    deps) install_packages; if reason=$(lab_unavailable); then echo "No lab here: $reason" >&2; fi ;;
    build) install_packages; build_all; stage ;;
    demo) install_packages; build_all; stage; if [ "${2:-}" = --lab ]; then run_lab_demo; else run_demo; fi ;;
    test) install_packages; build_all; stage; exec build/test.sh "${@:2}" ;;
    bench) install_packages; build_all; stage; exec build/bench.sh "${@:2}" ;;
    docs) build_all; stage; build_docs ;;
    package) build_all; stage; make_package ;;
    clean) rm -rf artifacts; find src tests examples -type d \( -name bin -o -name obj \) -prune -exec rm -rf {} + ;;
    *)
        sed -n 's/^# The one way.*: //p' "$0" >&2
        exit 64
        ;;
esac
