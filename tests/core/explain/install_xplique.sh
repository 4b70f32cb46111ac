#!/usr/bin/env bash
# Xplique for test_xplique.py, in build/xplique and not in the virtual environment: it asks for libraries older than
# ours, with which it works all the same. Some 170 kB; again when the list is newer; else say why its tests are skipped.
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target="$root/build/xplique"
[ -e "$target/.installed" ] && [ "$target/.installed" -nt "$here/xplique.txt" ] && exit 0
if "$root/.venv/bin/uv" pip install --quiet --require-hashes --no-deps --python "$root/.venv/bin/python" \
    --target "$target" -r "$here/xplique.txt"; then
    touch "$target/.installed"
    exit 0
fi
echo "The comparison of the explanations with Xplique will be skipped: it could not be downloaded."
exit 0
