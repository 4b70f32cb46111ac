#!/usr/bin/env bash
# Chromium for the browser tests: use what is there (as `find_chromium` in bench/chromium.py does), install Debian's where
# this user may, else say how.
[ -n "$READROOM_TEST_CHROMIUM" ] && exit 0
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
for folder in /Applications "$HOME/Applications"; do
    [ -x "$folder/Chromium.app/Contents/MacOS/Chromium" ] && exit 0
    [ -x "$folder/Google Chrome.app/Contents/MacOS/Google Chrome" ] && exit 0
done
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "Installing Chromium for the browser tests."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null && exit 0
fi
echo "Browser tests will be skipped: install Chromium with 'sudo apt-get install chromium' (Debian) or 'brew install --cask chromium' (macOS), or name one in READROOM_TEST_CHROMIUM."
exit 0
