# Shared by the scripts beside it; sourced, not run. Everything happens in the checkout's root.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The first Python of 3.10 to 3.13 on the path (PYTHON names another). Newer ones come last: frameworks lag behind.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.12 python3.11 python3.13 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    for candidate in ${PYTHON:-} python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 10))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "Python 3.10 or newer is needed and was not found on the path; install it, or name one with PYTHON=/path/to/python3"
}

# Debian leaves ensurepip out of python3; bring it in when we may.
ensure_venv_module() {
    local python=$1 version
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing python$version-venv"
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "python$version-venv" >&2 ||
            DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >&2
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$python has no venv module; install it first (Debian, Ubuntu: apt-get install python$version-venv)"
}

# make_venv DIR COMMAND...: a virtual environment in DIR, filled by COMMAND (run with its python on the path). Both
# are done again only when pyproject.toml, this file or COMMAND has changed.
make_venv() {
    local home=$1 python stamp
    shift
    stamp=$(cat pyproject.toml "${BASH_SOURCE[0]}" <(declare -f "$1") | cksum | tr ' ' -)
    if [ "$(cat "$home/.stamp" 2>/dev/null)" = "$stamp" ] && "$home/bin/python" -c 'import drum_litestar' 2>/dev/null; then
        return
    fi
    if ! "$home/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        ensure_venv_module "$python"
        say "making $home with $("$python" -V)"
        "$python" -m venv --clear "$home"
    fi
    rm -f "$home/.stamp"
    say "installing into $home (this takes a few minutes)"
    PATH="$PWD/$home/bin:$PATH" "$@"
    printf '%s' "$stamp" >"$home/.stamp"
}

pip_install() { python -m pip install --disable-pip-version-check --quiet --quiet --progress-bar off "$@"; }

# The test environment: all extras, and CPU builds of the frameworks that are too large for an extra of this package.
install_for_tests() {
    pip_install --editable '.[dev]'
    say "installing torch (CPU) and keras"
    # 2.13.0 comes as a CPU build where an index offers one; elsewhere any torch will do.
    pip_install 'torch==2.13.0' || pip_install torch
    pip_install 'keras>=3.0' 'h5py>=3.8'
    untrace_imports
}

# Where coverage measures, imports of installed modules are not traced; a2 comes after coverage's own a1_coverage.pth.
untrace_imports() {
    local site
    site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cp tests/support/measured/untraced_imports.py "$site/"
    echo 'import sys; sys.gettrace() and __import__("untraced_imports")' >"$site/a2_untraced_imports.pth"
}

# ensure_program PACKAGE COMMAND...: one of the commands, which some tests need, from a package of Debian where we may.
ensure_program() {
    local package=$1
    shift
    PATH="$PATH:/usr/sbin" command -v "$@" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $package"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package"; } >&2 ||
            say "$package could not be installed: its tests are skipped"
    else
        say "no $package: its tests are skipped"
    fi
}

# The auditor alone; the package without its dependencies, which are read from the lock, but for what its settings need.
install_for_audit() {
    pip_install msgspec
    pip_install pip-audit || say "pip-audit is not available from the package index"
    pip_install --no-deps --editable .  # last: pip would name each dependency that it lacks
}

install_for_examples() { pip_install --editable '.[sklearn,sparse]'; }
