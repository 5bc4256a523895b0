#!/bin/sh
# Runs in the container of certbot: gets the certificate, renews it, and copies it to where nginx reads it.
set -eu
tls=${TDS_TLS:-/tls}
work=${ACME_WORK:-/tmp}

: "${ACME_DOMAIN:?the host name}"
# Each authority has its own place, so that a certificate of a test authority does not stay.
authority=${ACME_SERVER#*://}
kept=/etc/letsencrypt/${authority%%/*}
kept=${ACME_KEPT:-$kept}

# Copies the certificate if nginx has another one.
copy() {
    live=$kept/live/$ACME_DOMAIN
    cmp -s "$live/fullchain.pem" "$tls/fullchain.pem" && return 0
    # Both are complete before one is in its place: on a full disk, a new key beside an old certificate would stop nginx.
    for name in privkey.pem fullchain.pem; do
        (umask 077 && cp -L "$live/$name" "$tls/.$name") && cmp "$live/$name" "$tls/.$name" || return 1
    done
    # The key first: nginx reads both again only when the certificate changed. A rename is never seen half-written.
    mv "$tls/.privkey.pem" "$tls/privkey.pem" && mv "$tls/.fullchain.pem" "$tls/fullchain.pem"
}

# `off`: somebody else keeps the certificate in the directory of nginx.
obtain() {
    [ "$ACME_SERVER" != off ] || return 0
    certbot certonly --non-interactive --agree-tos "$contact" --server "$ACME_SERVER" \
        --webroot --webroot-path /acme --domain "$ACME_DOMAIN" --cert-name "$ACME_DOMAIN" --keep-until-expiring \
        --config-dir "$kept" --work-dir "$work/work" --logs-dir "$work/logs" && copy
}

contact=--register-unsafely-without-email
[ -z "${ACME_EMAIL:-}" ] || contact="--email=$ACME_EMAIL"
trap 'exit 0' TERM INT
while :; do
    # After a failure an hour passes: certificate authorities allow a few failures an hour.
    pause=3600
    if obtain; then
        : >"$work/last-success"
        pause=43200
    fi
    # `wait` ends at once on SIGTERM, `sleep` in the foreground would not.
    sleep "$pause" &
    wait $!
done
