#!/usr/bin/env bash
# Chromium for the browser tests. Debian's headless shell is the cheapest and is installed where this user may; else any
# Chromium that is there (as `find_chromium` in bench/chromium.py looks for it) does; else this says how to get one.
[ -n "$READROOM_TEST_CHROMIUM" ] && exit 0
command -v chromium-headless-shell >/dev/null && exit 0

install_with_apt() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
    echo "Installing $1 for the browser tests."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" >/dev/null
}

install_with_apt chromium-headless-shell 2>/dev/null && exit 0
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
for folder in /Applications "$HOME/Applications"; do
    [ -x "$folder/Chromium.app/Contents/MacOS/Chromium" ] && exit 0
    [ -x "$folder/Google Chrome.app/Contents/MacOS/Google Chrome" ] && exit 0
done
install_with_apt chromium && exit 0
echo "Browser tests will be skipped: install Chromium with 'sudo apt-get install chromium-headless-shell' (Debian), 'sudo apt-get install chromium' (Ubuntu) or 'brew install --cask chromium' (macOS), or name one in READROOM_TEST_CHROMIUM."
exit 0
