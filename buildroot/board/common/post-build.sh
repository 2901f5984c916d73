#!/bin/sh
# The last touches to the root file system, for Buildroot and for `cargo image` alike: the folder is the first
# argument.
set -eu
root=$1

# Places that are mounted on, and nothing else in them.
for place in data dev proc run sys tmp; do
    rm -rf "${root:?}/$place"
    mkdir -m 755 "$root/$place"
done
# Nothing is written outside of /run and /data.
rm -rf "${root:?}/var"
ln -sfn run "$root/var"
rmdir "$root/tmp"
ln -sfn run "$root/tmp"
# The inittab is the whole start: scripts that it does not call are not there.
rm -rf "$root/etc/init.d" "$root/etc/network"
# Addresses come from the WAN's network, names from nowhere: the box itself resolves nothing.
rm -f "$root/etc/resolv.conf" "$root/etc/mtab" "$root/etc/fstab"
