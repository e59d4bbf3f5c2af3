#!/bin/sh
# The browser tests drive Debian's chromium: install it when it is missing and we may, else say what to install.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
    exit 0
fi
echo "The browser tests need chromium. Install it with:  sudo apt-get install chromium" >&2
exit 1
