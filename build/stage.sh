#!/bin/sh
# Puts the module, as it would be published, into artifacts/module/BlockStorage/<version>/.
set -eu
cd "$(dirname "$0")/.."

version=$(sed -n "s/.*ModuleVersion *= *'\([0-9.]*\)'.*/\1/p" BlockStorage.psd1)
stage=artifacts/module/BlockStorage/$version
work=artifacts/stage
rm -rf "$stage" "$work"
mkdir -p "$stage/Dependencies" "$work"

dotnet publish src/BlockStorage.PowerShell -c Release -o "$work/module" -v q -nologo
dotnet publish src/BlockStorage.Engine -c Release -o "$work/engine" -v q -nologo

cp BlockStorage.psd1 BlockStorage.*.ps1xml LICENSE "$stage"
cp "$work/module/BlockStorage.Model.dll" "$work/module/BlockStorage.PowerShell.dll" "$stage"
for optional in README.md en-US systemd; do
    [ ! -e "$optional" ] || cp -r "$optional" "$stage"
done

# One copy of the model ships, beside the module; the engine's private context takes that one.
for file in "$work"/engine/*.dll "$work"/engine/BlockStorage.Engine.deps.json; do
    [ "${file##*/}" = BlockStorage.Model.dll ] || cp "$file" "$stage/Dependencies"
done
for rid in linux-x64 linux-arm64 linux-musl-x64 linux-musl-arm64; do
    mkdir -p "$stage/Dependencies/runtimes/$rid"
    cp -r "$work/engine/runtimes/$rid/native" "$stage/Dependencies/runtimes/$rid"
done
rm -rf "$work"
echo "$stage"
