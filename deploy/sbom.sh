#!/bin/sh
# Writes the list of components of the program (CycloneDX, JSON) to the file that is named.
# cargo-cyclonedx also lists what only tests use, because cargo resolves the features of a whole workspace at once.
# `cargo tree` knows what is linked, so the list is cut down to that.
set -eu
target=${1:?usage: deploy/sbom.sh FILE}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo cyclonedx --quiet --manifest-path tds-server/Cargo.toml --no-default-features --format json --override-filename sbom.cdx
cargo tree --locked --package tds-server --no-default-features --edges normal --prefix none --format '{p}' |
    sed 's/ v/@/; s/ .*//' | sort -u >"$work/linked"
jq --rawfile linked "$work/linked" '
    ($linked | split("\n") | map({(.): true}) | add) as $is
    | [.components[] | select($is["\(.name)@\(.version)"])] as $kept
    | ([.metadata.component["bom-ref"]] + [$kept[]["bom-ref"]] | map({(.): true}) | add) as $refs
    | .components = $kept
    | .dependencies = [.dependencies[] | select($refs[.ref]) | .dependsOn = [(.dependsOn // [])[] | select($refs[.])]]
' tds-server/sbom.cdx.json >"$work/kept"
# cargo-cyclonedx writes one file for each member of the workspace. The target may have the same name, so it comes last.
find . -name sbom.cdx.json -not -path './target/*' -delete
mv "$work/kept" "$target"
