#!/bin/sh
# Starts the server of a custom environment, with the options that the platform gives. `drum`, where it is installed,
# starts the same server by its hook.
set -eu

cd "${CODE_DIR:=/opt/code}"
export CODE_DIR
export ADDRESS="${ADDRESS:-0.0.0.0:8080}"

if command -v drum >/dev/null; then
    exec drum server "$@"
fi
exec drum-litestar server "$@"
