#!/usr/bin/env bash
# Signs conf/quickstart.zone afresh and serves it with conf/quickstart.conf until Ctrl-C. Called by `make run`.
set -eu
cd "$(dirname "$0")/.."
B=${B:-build}
dir=build/run
mkdir -p $dir
rm -f $dir/Kquickstart.example.*
key=$(cd $dir && ldns-keygen -a ECDSAP256SHA256 -k quickstart.example)
until=$(date -u -d '+14 days' +%Y%m%d%H%M%S)
ldns-signzone -e "$until" -f $dir/quickstart.zone.signed conf/quickstart.zone "$dir/$key"
cat <<EOF
signed    conf/quickstart.zone with a fresh key, valid until $until UTC
starting  $B/weir serve -c conf/quickstart.conf: 127.0.0.1@5353, through the chain "validate"

try, in another terminal:
  dig @127.0.0.1 -p 5353 www.quickstart.example A +dnssec          an answer with its RRSIG
  dig @127.0.0.1 -p 5353 nosuch.quickstart.example A +dnssec       a denial, proved by NSEC
  dig @127.0.0.1 -p 5353 quickstart.example AXFR                   the whole zone
and  $B/weir status -c conf/quickstart.conf

Ctrl-C ends it.
EOF
exec "$B/weir" serve -c conf/quickstart.conf
