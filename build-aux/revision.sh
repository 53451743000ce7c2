#!/bin/sh
# revision.sh SOURCE HEADER - write the git revision of the tree SOURCE into HEADER, "unknown" outside git.
# The header keeps its time where the revision is the one it has.
set -e
revision=unknown
if [ -e "$1/.git" ]; then
  revision=$(GIT_OPTIONAL_LOCKS=0 git -C "$1" describe --always --dirty 2>/dev/null) || revision=unknown
fi
line="#define ADAMIX_REVISION \"$revision\""
[ -f "$2" ] && [ "$(cat "$2")" = "$line" ] && exit 0
printf '%s\n' "$line" > "$2.new"
mv "$2.new" "$2"
