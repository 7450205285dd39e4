# shellcheck shell=bash disable=SC2034,SC2154
# A chroot of Debian 13, or another, for the scripts that build and test in one; they source it from the root of
# the checkout. Before it is used, `root` names the chroot's folder, and `say` prints a line for the user.

repository=$PWD
triplet=aarch64-linux-gnu
# The chroot's own architecture; another one than amd64 runs under qemu, by the kernel's binfmt_misc.
chroot_architecture=amd64
chroot_suite=trixie
# What the arm64 sysroot is made of: the Swift runtime and headers, the C and C++ ones, our libraries.
arm64_packages=(swiftlang libswiftlang libc6 libc6-dev linux-libc-dev:all libgcc-14-dev libgcc-s1
  libstdc++-14-dev libstdc++6 libcrypt-dev libgfortran5 libopenblas0-pthread libopenblas-pthread-dev
  libzstd1 libzstd-dev libpng16-16t64 libpng-dev libjpeg62-turbo libjpeg62-turbo-dev libjpeg-dev
  libwebp7 libwebpdemux2 libwebp-dev libsharpyuv0 zlib1g zlib1g-dev libpcre2-8-0 libpcre2-dev
  libmicrohttpd12t64 libmicrohttpd-dev libsodium23 libsodium-dev libgnutls30t64 libgnutls28-dev
  # What GnuTLS needs to run.
  libp11-kit0 libffi8 libidn2-0 libunistring5 libtasn1-6 libnettle8t64 libhogweed6t64 libgmp10)

die() {
  say "$*"
  exit 1
}

# Whether a machine that lacks what is needed is passed over.
if_possible=false

# cannot WHY: what this machine has not.
cannot() {
  if $if_possible; then
    say "SKIPPED: $*"
    exit 0
  fi
  die "$*"
}

# Ends the script where no chroot can be made.
require_chroot() {
  local probe
  ((EUID == 0)) || cannot "needs root (chroot, bind mounts): run 'sudo $0'"
  [[ $(dpkg --print-architecture 2>/dev/null) == amd64 ]] ||
    cannot "needs an amd64 Debian or a derivative"
  probe=$(mktemp -d)
  mount --bind "$probe" "$probe" 2>/dev/null || cannot "this system allows no bind mounts"
  umount "$probe"
  rmdir "$probe"
  [[ $chroot_architecture == amd64 || -f /proc/sys/fs/binfmt_misc/qemu-aarch64 ]] ||
    cannot "needs qemu-user-static, binfmt-support and binfmt_misc, mounted, to run $chroot_architecture"
}

# --- mounts ---------------------------------------------------------------------------------------

# Everything mounted below the chroot, innermost first; also what an interrupted run left behind.
unmount_all() {
  local target
  awk -v root="$root/" 'index($5, root) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while IFS= read -r target; do umount -l "$(printf '%b' "$target")"; done
}

# bind SOURCE TARGET [ro]: TARGET is a path inside the chroot.
bind() {
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  if [[ ${3:-} == ro ]]; then mount -o remount,bind,ro "$root$2"; fi
}

# overlay FROM TO: what is changed in TO lies elsewhere; where the kernel cannot do that, FROM is copied.
overlay() {
  mkdir -p "$2" "$2".{changed,mount}
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$2.changed,workdir=$2.mount" "$2" 2>/dev/null ||
    cp -a --one-file-system "$1/." "$2"
}

in_chroot() {
  chroot "$root" env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin "$@"
}

# --- the chroot -----------------------------------------------------------------------------------

debian_mirror() {
  if [[ -n ${VLMZ_DEBIAN_MIRROR:-} ]]; then
    printf '%s\n' "$VLMZ_DEBIAN_MIRROR"
    return
  fi
  # Suites with a dash are the security and update archives, which may lie elsewhere.
  apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
    awk '$1 !~ /-/ { print $2; exit }'
}

make_chroot() {
  local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  say "making a chroot of Debian's $chroot_suite in $root"
  apt-get update -qq || cannot "apt cannot reach its mirror"
  apt-get install -y -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 --no-install-recommends \
    debootstrap debian-archive-keyring >/dev/null
  mirror=$(debian_mirror)
  [[ -n $mirror ]] || die "apt is not configured with a Debian mirror; set VLMZ_DEBIAN_MIRROR"
  debootstrap --variant=minbase --arch="$chroot_architecture" --keyring="$keyring" "$chroot_suite" "$root" "$mirror" >&2
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod +x "$root/usr/sbin/policy-rc.d"
  # A chroot that is lost is made again: nothing has to be on the disk after each file.
  printf 'force-unsafe-io\n' >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
  touch "$root/.debootstrapped"
}

# Downloads need the host's name resolution and, where it has one, its proxy.
copy_network_settings() {
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  apt-config dump | grep -E '^Acquire::[a-z]+::Proxy' >"$root/etc/apt/apt.conf.d/90proxy" || true
}

# Git's URL rewriting comes along, with the local folders it points to.
copy_git_settings() {
  local key value base
  rm -f "$root/etc/gitconfig"
  git config --file "$root/etc/gitconfig" safe.directory '*'
  while IFS= read -r -d '' entry; do
    key=${entry%%$'\n'*} value=${entry#*$'\n'}
    base=${key#url.} base=${base%.insteadof}
    git config --file "$root/etc/gitconfig" --add "url.$base.insteadOf" "$value"
    base=${base#file://}
    if [[ $base == /* && -d $base ]] && ! mountpoint -q "$root$base"; then bind "$base" "$base" ro; fi
  done < <(git -C "$repository" config -z --get-regexp '^url\..*\.insteadof$' || true)
}

# Takes the chroot for this process, and mounts what every use of it needs; all is unmounted at the end.
enter_chroot() {
  mkdir -p "$root"
  exec 9>"$root.lock"
  flock -n 9 || die "another run is using $root"
  trap unmount_all EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  unmount_all
  [[ -f $root/.debootstrapped ]] || make_chroot
  bind /proc /proc
  bind /dev /dev
  copy_network_settings
  copy_git_settings
}

# done_with STAMP WORD…: whether the step STAMP was last done with just these words.
done_with() { [[ -f $root/$1 && $(<"$root/$1") == "${*:2}" ]]; }
mark_done() { printf '%s\n' "${*:2}" >"$root/$1"; }

# install_packages STAMP PACKAGE…: STAMP is the caller's own.
install_packages() {
  if done_with "$@"; then return; fi
  say "installing ${*:2}"
  in_chroot apt-get update -qq
  in_chroot apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "${@:2}" >/dev/null
  in_chroot apt-get clean
  mark_done "$@"
}

# copy_checkout FOLDER: the files that git knows, as they are; what was compiled there before is used again.
copy_checkout() {
  mkdir -p "$1"
  find "$1" -mindepth 1 -maxdepth 1 ! -name .build -exec rm -rf {} +
  git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$1"
}

# --- arm64 ----------------------------------------------------------------------------------------

# The arm64 packages are only unpacked, never run: no emulated installation is needed.
make_sysroot() {
  local sysroot=$root/sysroot name
  # A package for all architectures says so itself.
  local names=("${arm64_packages[@]/%/:arm64}")
  names=("${names[@]/%:all:arm64/:all}")
  if done_with .sysroot "${arm64_packages[@]}"; then return; fi
  say "unpacking the arm64 sysroot"
  rm -rf "$sysroot" "$root/debs"
  mkdir -p "$sysroot"/usr/{lib,bin,sbin} "$root/debs"
  for name in lib bin sbin; do ln -s "usr/$name" "$sysroot/$name"; done
  in_chroot dpkg --add-architecture arm64
  in_chroot apt-get update -qq
  in_chroot chown _apt /debs
  in_chroot bash -euc 'cd /debs; apt-get download -qq "$@"' download "${names[@]}"
  in_chroot bash -euc 'for deb in /debs/*.deb; do dpkg-deb -x "$deb" /sysroot; done'
  rm -rf "$root/debs"
  mark_done .sysroot "${arm64_packages[@]}"
}

# make_swift_sdk NAME SYSTEM: the Swift SDK 'NAME-arm64' in /sdk, that the chroot's own compiler compiles against: Swift of
# the sysroot above, with the libraries and headers in SYSTEM, which may be /sysroot as well.
make_swift_sdk() {
  local name=$1-arm64 system=$2
  local bundle=$root/sdk/$name.artifactbundle
  rm -rf "$root/sdk"
  mkdir -p "$bundle/$name"
  cat >"$bundle/info.json" <<JSON
{"schemaVersion": "1.0", "artifacts": {"$name": {"version": "6.0.3", "type": "swiftSDK",
 "variants": [{"path": "$name"}]}}}
JSON
  cat >"$bundle/$name/swift-sdk.json" <<JSON
{"schemaVersion": "4.0", "targetTriples": {"aarch64-unknown-linux-gnu": {
  "sdkRootPath": "$system",
  "swiftResourcesPath": "/sysroot/usr/libexec/swift/lib/swift",
  "swiftStaticResourcesPath": "/sysroot/usr/libexec/swift/lib/swift_static",
  "toolsetPaths": ["toolset.json"]}}}
JSON
  cat >"$bundle/$name/toolset.json" <<'JSON'
{"schemaVersion": "1.0", "rootPath": "/usr/libexec/swift/bin",
 "swiftCompiler": {"extraCLIOptions": ["-use-ld=lld"]}}
JSON
}
