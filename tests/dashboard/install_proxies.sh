#!/usr/bin/env bash
# nginx and Caddy for tests/dashboard/test_behind_proxy.py: use what is there, install Debian's where this user may.
# Not where systemd runs: installed there, they would start to serve port 80 of somebody's machine.
wanted=()
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || wanted+=(nginx-light)
command -v caddy >/dev/null || wanted+=(caddy)
[ ${#wanted[@]} = 0 ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && [ ! -d /run/systemd/system ]; then
    echo "Installing ${wanted[*]} for the tests behind a reverse proxy."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null && exit 0
fi
echo "Tests behind a reverse proxy will be skipped for want of: ${wanted[*]}."
exit 0
