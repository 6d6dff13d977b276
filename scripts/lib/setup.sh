# Finds out what is missing on this machine and installs it (as root) or says how to (else). Sourced.

has() { command -v "$1" >/dev/null 2>&1; }

# PostgreSQL's programs, 15 or newer; Debian keeps them off the PATH.
has_postgres() {
    local version
    for version in /usr/lib/postgresql/*/bin/initdb; do
        version=${version%/bin/initdb} version=${version##*/}
        if [ -x "/usr/lib/postgresql/$version/bin/initdb" ] && [ "$version" -ge 15 ]; then return 0; fi
    done
    has pg_config && [ -x "$(pg_config --bindir)/initdb" ]
}

# install_missing PART: the programs that the part of the tests needs.
install_missing() {
    local missing=()
    has cc || missing+=(build-essential)
    has_postgres || missing+=(postgresql)
    has openssl || missing+=(openssl)
    has curl || missing+=(curl)
    has python3 || missing+=(python3)
    if [ "$1" != rust ]; then
        python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
    fi
    if ! has cargo; then
        echo 'Rust is missing: install it with rustup; rust-toolchain.toml names the version.' >&2
        return 1
    fi
    if [ "${#missing[@]}" != 0 ]; then
        if [ "$(id -u)" != 0 ] || ! has apt-get; then
            echo 'Missing programs. On Debian or Ubuntu install them, as root, with' >&2
            echo "    apt-get install ${missing[*]}" >&2
            return 1
        fi
        apt_install "${missing[@]}"
        has_postgres || { echo 'PostgreSQL 15 or newer is needed: Debian 12, Ubuntu 24.04 or newer have it.' >&2; return 1; }
    fi
    cargo --version
    python3 --version
    echo "everything is there"
}

apt_install() {
    # Only PostgreSQL's programs are wanted: without this, Debian also makes a cluster and starts it.
    local no_cluster=/etc/postgresql-common/createcluster.d/none-for-mintmark-tests.conf
    mkdir -p "${no_cluster%/*}"
    echo 'create_main_cluster = false' >"$no_cluster"
    local code=0
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null; } || code=$?
    rm -f "$no_cluster"
    return "$code"
}
