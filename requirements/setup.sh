# Sourced by quickstart and run-tests from the root of the checkout: system packages and the venv.
# Each function is idempotent and silent when there is nothing to do; it prints what failed and returns non-zero.

PACKAGES_runtime="python3 python3-venv libseccomp2 libnftables1 nftables busybox-static mmdebstrap iproute2 tini curl ca-certificates debian-archive-keyring"
PACKAGES_test="$PACKAGES_runtime docker-compose docker-registry apache2-utils skopeo runc crun procps psmisc util-linux"

# setup_system runtime|test: install the Debian packages that are missing
setup_system() {
  local want missing="" p
  eval "want=\$PACKAGES_$1"
  for p in $want; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
  done
  [ -n "$missing" ] || return 0
  echo "installing:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || { echo "apt-get update failed" >&2; return 1; }
  # a policy that refuses: a package may not start a service of its own here
  local policy=/usr/sbin/policy-rc.d made=""
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy && made=1; }
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/tmp/scow-apt.$$ 2>&1; local rc=$?
  [ -z "$made" ] || rm -f $policy
  [ $rc = 0 ] || { tail -n 20 /tmp/scow-apt.$$ >&2; echo "apt-get install$missing failed" >&2; }
  rm -f /tmp/scow-apt.$$
  return $rc
}

# setup_venv runtime|dev: .venv on the system's Python, with exactly the locked packages, and compiled bytecode
setup_venv() {
  local lock=requirements/$1.lock stamp have
  have=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') || return 1
  /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or newer, /usr/bin/python3 is $have" >&2; return 1; }
  stamp="$have $PWD $(sha256sum < "$lock")"
  if [ "$(cat ".venv/.stamp-$1" 2>/dev/null)" != "$stamp" ]; then
    # the dev lock holds all of the runtime lock, so a venv made for tests serves the daemon too
    if [ "$1" = runtime ] && [ "$(cat .venv/.stamp-dev 2>/dev/null)" = "$have $PWD $(sha256sum < requirements/dev.lock)" ]; then
      :
    else
      echo "filling .venv from $lock"
      [ -x .venv/bin/python ] && [ "$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$have" ] ||
        { rm -rf .venv; /usr/bin/python3 -m venv .venv; } || { echo "python3 -m venv .venv failed" >&2; return 1; }
      .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r "$lock" ||
        { echo "pip install -r $lock failed" >&2; return 1; }
      printf '%s' "$stamp" > ".venv/.stamp-$1"
    fi
  fi
  # scow itself: a path file, so that a checkout and its daemon are always the same code
  local site; site=$(echo .venv/lib/python3*/site-packages)
  [ "$(cat "$site/scow.pth" 2>/dev/null)" = "$PWD/src" ] || printf '%s\n' "$PWD/src" > "$site/scow.pth" || return 1
  /usr/bin/python3 -m compileall -q src || { echo "a file under src does not compile" >&2; return 1; }
}
