#!/bin/sh
# Runs in the container of nginx before nginx starts: reloads nginx when certbot brought another certificate.
set -eu
certificate=${TDS_TLS:?}/fullchain.pem
(
    known=$(cksum <"$certificate")
    while sleep "${TDS_RELOAD_PAUSE:-300}"; do
        now=$(cksum <"$certificate") || continue
        [ "$now" = "$known" ] && continue
        # A broken certificate must not stop nginx, which still has the old one in memory.
        if nginx -t -q; then
            nginx -s reload && known=$now
        fi
    done
) &
