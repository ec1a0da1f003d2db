# Shared by the scripts of this folder: sourced, not run.
#
# need PACKAGE…      install what is missing (names are Debian's), or say what is and end with status 2
# need_rust [PART…]  a Rust toolchain that is new enough, with the parts clippy or rustfmt
# step NAME CMD…     run a step, say how long it took
# die TEXT…          say what is wrong and end with status 2

set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin${HOME:+:$HOME/.cargo/bin}"

say() {
    printf '== %s\n' "$*" >&2
}

die() {
    printf 'error: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf 'hint: %s\n' "$@" >&2
    exit 2
}

need_root() {
    [ "$(id -u)" = 0 ] || die "$(basename "$0") needs root: it mounts filesystems and starts containers" \
        "run it with sudo --preserve-env=PATH,HOME"
}

# Whether what the Debian package $1 is needed for is there, installed by whatever means.
has() {
    case $1 in
        gcc) command -v cc && command -v gcc ;;
        libc6-dev) [ -e /usr/include/stdio.h ] ;;
        libseccomp-dev) pkg-config --exists libseccomp ;;
        libssl-dev) pkg-config --exists openssl ;;
        acl) command -v setfacl ;;
        attr) command -v setfattr ;;
        libcap2-bin) command -v setcap ;;
        xz-utils) command -v xz ;;
        libarchive-tools) command -v bsdtar ;;
        erofs-utils) command -v mkfs.erofs ;;
        busybox-static) is_static "$(command -v busybox)" ;;
        ca-certificates) [ -e /etc/ssl/certs/ca-certificates.crt ] ;;
        time) [ -x /usr/bin/time ] ;;
        openssh-server) [ -x /usr/sbin/sshd ] && command -v ssh ;;
        docker.io) command -v dockerd && command -v docker ;;
        debian-archive-keyring) [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

# A program without an interpreter: one that runs in a root that holds nothing else.
is_static() {
    [ -n "$1" ] && [[ $(ldd "$1" 2>&1) =~ (not a dynamic executable|statically linked) ]]
}

missing() {
    local package
    for package; do
        has "$package" || printf '%s\n' "$package"
    done
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -q "$@" >&2
}

# Update the package lists once a run. A source that can't be reached doesn't matter if the others have the packages.
apt_update() {
    [ -n "${apt_updated-}" ] && return 1
    apt_updated=yes
    apt update || say "some package lists could not be updated"
}

apt_install() {
    if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
        apt_update
    fi
    apt install -y --no-install-recommends "$@" ||
        { apt_update && apt install -y --no-install-recommends "$@"; }
}

# Debian's packages start their services when installed; a script that wants a program doesn't want its service.
without_services() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    "$@"
)

# Install what is missing of the packages; the words of the failure name what is missing still.
need() {
    local wanted manager
    mapfile -t wanted < <(missing "$@")
    ((${#wanted[@]} == 0)) && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "install ${wanted[*]}"
        without_services apt_install "${wanted[@]}" || true
        mapfile -t wanted < <(missing "${wanted[@]}")
        ((${#wanted[@]} == 0)) && return
        die "these packages are missing and could not be installed: ${wanted[*]}" "see what apt-get said above"
    fi
    for manager in apt-get dnf zypper apk pacman; do
        command -v "$manager" >/dev/null && break
        manager="the package manager"
    done
    die "these packages are missing (by their Debian names): ${wanted[*]}" \
        "install what your distribution calls them with $manager, as root"
}

# What cargo needs to build rd. pkg-config comes first: it answers whether the libraries are there.
need_build() {
    need pkg-config
    need gcc libc6-dev git ca-certificates libseccomp-dev libssl-dev
}

# rust-version of the workspace is the oldest toolchain that may build it; any newer one will do.
need_rust() {
    command -v cargo >/dev/null || die "cargo is missing" "install a Rust toolchain: https://rustup.rs"
    local want have part
    want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$repository/Cargo.toml")
    have=$(rustc --version | cut -d' ' -f2)
    [ "$(printf '%s\n' "$want" "$have" | sort -V | head -1)" = "$want" ] ||
        die "Rust $have is too old" "rd needs Rust $want or newer: rustup update stable"
    for part; do
        cargo "${part/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$part" >&2 ||
            die "cargo ${part/rustfmt/fmt} is missing" "rustup component add $part"
    done
}

timings=()

# Run a step; its name and time are kept for `print_timings`.
step() {
    local name=$1 start=$EPOCHREALTIME
    shift
    say "$name"
    local status=0
    "$@" || status=$?
    timings+=("$(printf '%8.1f s  %s' "$(awk "BEGIN{print $EPOCHREALTIME-$start}")" "$name")")
    if [ "$status" != 0 ]; then
        print_timings
        say "failed: $name"
        exit 1
    fi
}

print_timings() {
    printf '%s\n' "${timings[@]}" >&2
}

# Filesystems that rd mounts may be modules; a kernel that has them built in or lacks them answers alike here.
load_modules() {
    local module
    for module in overlay erofs loop; do
        modprobe -q "$module" 2>/dev/null || true
    done
}

# The distribution's own package sources as this machine is set up to use them, a line each as in sources.list(5).
# The first line's suite is the distribution's release.
distribution_sources() {
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
        awk '($1 == "Debian" || $1 == "Ubuntu") && $4 == "main" && !seen[$0]++ { print "deb", $2, $3, $4 }' |
        sort -s -k3,3
}

# apt's settings that decide whether its sources can be used at all, as options for mmdebstrap.
distribution_options() {
    apt-config dump | awk '
        /^Acquire::(http|https)::Proxy / || /^Acquire::Check-(Valid-Until|Date) / { print "--aptopt=" $0 }'
}

# bootstrap FILE [OPTION…]: make a tar of a fresh root of this machine's distribution. An existing FILE is kept.
bootstrap() {
    local file=$1 sources options
    shift
    [ ! -e "$file" ] || return 0
    command -v apt-get >/dev/null || die "no apt-get: a Debian or Ubuntu root is bootstrapped from this machine's sources"
    need mmdebstrap
    ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt_update || true
    sources=$(distribution_sources)
    [ -n "$sources" ] || die "apt knows no package source of Debian or Ubuntu" "see /etc/apt/sources.list.d"
    mapfile -t options < <(distribution_options)
    mkdir -p "$(dirname "$file")"
    say "bootstrap $(basename "$file")"
    mmdebstrap --quiet --mode=root --variant=minbase "${options[@]}" "$@" \
        "$(cut -d' ' -f3 <<<"$sources" | head -1)" "$file.part.tar" - <<<"$sources"
    mv "$file.part.tar" "$file"
}
