#!/bin/sh
# Signs what is in this folder, checks it, and makes a notarised disk image of it.  To be read before it is run.
#
#   ./sign.sh -                      ad hoc: for trying it on this Mac
#   ./sign.sh IDENTITY               for example "Developer ID Application: Your Name (TEAM)"
#   ./sign.sh IDENTITY PROFILE       and notarise, with what `xcrun notarytool store-credentials PROFILE` has stored
#
# Has not run on a Mac.
set -eu
cd "$(dirname "$0")"
launcher=bin/interlock-launcher
identity=${1:?IDENTITY is missing: the head of this file says what to give}
profile=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$identity" = - ]; then
    # No Hardened Runtime: it loads libraries of the program's own team only, and an ad hoc signature has no team.
    # The allow-list is enforced all the same (C22); allow-jit has no effect (K7).
    set -- --force --sign - --timestamp=none
else
    set -- --force --sign "$identity" --timestamp --options runtime
fi

# 1. What is nested comes first, the deepest before what holds it, and without entitlements: those are the main program's (C21).
find . -type f ! -path "./$launcher" | awk -F / '{ print NF "\t" $0 }' | LC_ALL=C sort -rn | cut -f 2- |
    while IFS= read -r file; do
        case $(file -b "$file") in
            Mach-O*executable* | Mach-O*library* | Mach-O*bundle*) codesign "$@" "$file" ;;
        esac
    done

# 2. The launcher, with its entitlements.  plutil leaves the comments out: codesign gives the file to a stricter reader.
plutil -convert xml1 -o "$work/entitlements.plist" interlock-launcher.entitlements
codesign "$@" --entitlements "$work/entitlements.plist" "$launcher"

# 3. What was signed, and whether it holds.
codesign --verify --strict --verbose=2 "$launcher"
codesign --display --verbose=4 --entitlements - "$launcher"
"./$launcher" -m interlock mac check

[ -n "$profile" ] || exit 0

# 4. Notarisation looks at signatures only; the check above is what shows that the launcher works.
if [ -e pyvenv.cfg ]; then
    echo "a virtual environment needs the Python of this Mac: notarise a folder that holds its own" >&2
    exit 1
fi
image=$PWD.dmg
hdiutil create -ov -volname "$(basename "$PWD")" -srcfolder . "$image"
codesign --force --sign "$identity" --timestamp "$image"
xcrun notarytool submit "$image" --keychain-profile "$profile" --wait
# A ticket cannot be attached to a program, but to the image that holds it.
xcrun stapler staple "$image"
xcrun stapler validate "$image"
