#!/usr/bin/env bash
# What the viewer's own tests (tests/dashboard/test_viewer_units.py) run on: installed from the lock where Node is there,
# again when the lock is newer; else say why they will be skipped.
cd "$(dirname "$0")/../../frontend" || exit 0
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "The viewer's own tests will be skipped: install Node 20.19 or newer, with npm."
    exit 0
fi
[ node_modules/.package-lock.json -nt package-lock.json ] && exit 0
npm ci --no-fund --no-audit --loglevel=error && exit 0
echo "The viewer's own tests will be skipped: 'npm ci' in frontend/ did not succeed."
exit 0
