#!/usr/bin/env bash
# Orthanc, the PACS of the tests in this folder: use what is there, install Debian's where this user may.
# Not where systemd runs: installed there, it would start to serve ports of somebody's machine.
plugin=/usr/share/orthanc/plugins/libOrthancDicomWeb.so
[ -x /usr/sbin/Orthanc ] && [ -e "$plugin" ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && [ ! -d /run/systemd/system ]; then
    echo "Installing Orthanc for the tests of PACS."
    # Without systemd a package's own start script runs: this policy says no to it, and to nothing else after.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod +x "$policy" && trap 'rm -f "$policy"' EXIT; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends orthanc orthanc-dicomweb >/dev/null && exit 0
fi
echo "Tests against a PACS will be skipped for want of Orthanc with its DICOMweb plug-in: sudo apt-get install orthanc orthanc-dicomweb"
exit 0
