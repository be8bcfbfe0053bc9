# Parts that the tasks of build.sh share. Sourced, with the repository as current folder.

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 POWERSHELL_TELEMETRY_OPTOUT=1 POWERSHELL_UPDATECHECK=Off
configuration=Release
version=$(sed -n "s/.*ModuleVersion *= *'\([0-9.]*\)'.*/\1/p" BlockStorage.psd1)
module=$PWD/artifacts/module/BlockStorage/$version
pester_version=5.7.1

say() { printf '\n== %s\n' "$*"; }

# program:package pairs; a package is asked for only when its program is missing.
install_packages() {
    local pair missing=()
    for pair in tgtd:tgt qemu-storage-daemon:qemu-system-common qemu-img:qemu-utils mkfs.xfs:xfsprogs mkfs.ext4:e2fsprogs mkfs.btrfs:btrfs-progs setsid:util-linux; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    # The iSCSI driver of qemu is a module file of its own.
    compgen -G '/usr/lib/*/qemu/block-iscsi.so' >/dev/null || missing+=(qemu-block-extra)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "Missing packages: ${missing[*]}. As root on Debian or Ubuntu: apt-get install ${missing[*]}" >&2
        return 0
    fi
    say "Installing ${missing[*]}"
    apt-get update -qq
    # The distribution's own tgt service would take port 3260; ours is started when it is needed.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >artifacts-apt.log 2>&1 \
        || { cat artifacts-apt.log >&2; rm -f artifacts-apt.log; return 1; }
    rm -f artifacts-apt.log
}

build_all() {
    say "Building"
    dotnet build BlockStorage.sln -c "$configuration" -v q
}

stage() {
    say "Staging $module"
    sh build/stage.sh >/dev/null
}

# pwsh from PATH, or PowerShell as a .NET tool in artifacts/tools. Prints its path, or nothing where there is none.
find_pwsh() {
    if command -v pwsh >/dev/null; then
        command -v pwsh
        return
    fi
    [ -x artifacts/tools/pwsh ] || dotnet tool install PowerShell --version '7.6.*' --tool-path artifacts/tools >/dev/null 2>&1 || true
    [ ! -x artifacts/tools/pwsh ] || echo "$PWD/artifacts/tools/pwsh"
}

# Manifest of Pester: an installed one, or the package of the same version. Prints nothing where there is none.
find_pester() {
    local pwsh=$1 found
    found=$("$pwsh" -NoProfile -NonInteractive -Command "(Get-Module -ListAvailable Pester | Where-Object Version -eq $pester_version | Select-Object -First 1).Path")
    if [ -z "$found" ]; then
        dotnet restore build/pester.proj --packages artifacts/packages -v q >/dev/null 2>&1 || true
        found=$(find artifacts/packages/pester -name Pester.psd1 2>/dev/null | head -n 1)
        [ -z "$found" ] || found=$PWD/$found
    fi
    [ -z "$found" ] || echo "$found"
}

run_demo() {
    local pwsh
    pwsh=$(find_pwsh)
    if [ -n "$pwsh" ]; then
        "$pwsh" -NoProfile -NonInteractive -File examples/quickstart.ps1 -ModulePath "$module/BlockStorage.psd1"
    else
        echo "No PowerShell here and none could be installed (dotnet tool install PowerShell): the same story from C#."
        dotnet run --project examples/Quickstart -c "$configuration" --no-build
    fi
}

build_docs() {
    local pwsh
    pwsh=$(find_pwsh)
    [ -n "$pwsh" ] || { echo "Help is built by platyPS, which needs PowerShell: dotnet tool install --global PowerShell" >&2; return 1; }
    "$pwsh" -NoProfile -NonInteractive -File build/docs.ps1 -ModulePath "$module/BlockStorage.psd1"
}

make_package() {
    local pwsh
    pwsh=$(find_pwsh)
    [ -n "$pwsh" ] || { echo "The package is made by PSResourceGet, which needs PowerShell: dotnet tool install --global PowerShell" >&2; return 1; }
    "$pwsh" -NoProfile -NonInteractive -Command \
        "\$ErrorActionPreference = 'Stop'; Compress-PSResource -Path '$module' -DestinationPath artifacts -PassThru | ForEach-Object FullName"
}
