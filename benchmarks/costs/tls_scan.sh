#!/usr/bin/env bash
# What a TLS endpoint accepts, tried with openssl: benchmarks/costs/tls_scan.sh HOST:PORT
#
# Prints each protocol version and cipher that a handshake succeeds with. Exit code 1 when TLS 1.1 or older, or a
# cipher without forward secrecy or authenticated encryption, is accepted.
set -euo pipefail
target=${1:?usage: tls_scan.sh HOST:PORT}
bad=0

# A handshake with these options succeeds. Security level 0 lets the client offer what openssl would hold back.
accepted() { timeout 10 openssl s_client -connect "$target" "$@" </dev/null >/dev/null 2>&1; }

echo "openssl: $(openssl version)"
echo "versions"
for version in ssl3 tls1 tls1_1 tls1_2 tls1_3; do
    options=("-$version")
    [ "$version" = tls1_3 ] || options+=(-cipher 'ALL:COMPLEMENTOFALL:@SECLEVEL=0')
    if accepted "${options[@]}"; then
        echo "  $version: accepted"
        case $version in ssl3 | tls1 | tls1_1) bad=1 ;; esac
    else
        echo "  $version: refused"
    fi
done
echo "ciphers of TLS 1.2"
for cipher in $(openssl ciphers -tls1_2 'ALL:COMPLEMENTOFALL:@SECLEVEL=0' | tr ':' '\n' | grep -v '^TLS_'); do
    if accepted -tls1_2 -cipher "$cipher:@SECLEVEL=0"; then
        echo "  $cipher"
        case $cipher in ECDHE-*GCM* | ECDHE-*CHACHA20*) ;; *) bad=1 ;; esac
    fi
done
echo "ciphers of TLS 1.3"
for cipher in $(openssl ciphers -tls1_3 -s | tr ':' '\n' | grep '^TLS_') TLS_AES_128_CCM_SHA256; do
    if accepted -tls1_3 -ciphersuites "$cipher"; then echo "  $cipher"; fi
done
echo "renegotiation and compression"
timeout 10 openssl s_client -connect "$target" -tls1_2 </dev/null 2>/dev/null | grep -E 'Secure Renegotiation|Compression|Server Temp Key' | sed 's/^ */  /' || true
exit $bad
