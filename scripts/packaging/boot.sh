# shellcheck shell=bash disable=SC2154
# Boots a root, for scripts/test-packages, which sources it: systemd as the first process of namespaces of its
# own, as in a container. Needs the control groups of version 2. `say` prints a line for the user.

# The first process, and the process that waits for it.
boot_init=
boot_waits=

# can_boot: whether the kernel lets this user do it.
can_boot() {
  local probe
  probe=$(mktemp -d)
  unshare --mount --pid --cgroup --uts --ipc --net --fork \
    mount -t cgroup2 cgroup2 "$probe" 2>/dev/null || { rmdir "$probe"; return 1; }
  rmdir "$probe"
}

# boot ROOT LOG: returns when every service is started.
boot() {
  local attempt child
  unshare --mount --pid --cgroup --uts --ipc --net --fork bash -euc '
    root=$1
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for name in null zero full random urandom tty; do
      touch "$root/dev/$name"
      mount --bind "/dev/$name" "$root/dev/$name"
    done
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    # Not by chroot, in which the kernel lets nobody make the user namespace of PrivateUsers=.
    cd "$root"
    pivot_root . .
    umount -l .
    exec env -i container=vlmz TERM=dumb /lib/systemd/systemd --system \
      --log-target=console --show-status=no --unit=multi-user.target' boot "$1" >"$2" 2>&1 &
  boot_waits=$!
  for ((attempt = 0; attempt < 120; attempt++)); do
    sleep 0.5
    child=$(pgrep -P "$boot_waits") || { cat "$2" >&2; return 1; }
    boot_init=$child
    if in_booted "$1" systemctl --quiet is-active multi-user.target 2>/dev/null; then return; fi
  done
  cat "$2" >&2
  return 1
}

# in_booted ROOT COMMAND…
in_booted() {
  shift
  nsenter --target "$boot_init" --mount --pid --cgroup --uts --ipc --net env -i HOME=/root \
    LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin "$@"
}

# Ends everything in it with its first process.
shut_down() {
  [[ $boot_waits ]] || return 0
  if [[ $boot_init ]]; then kill -KILL "$boot_init" 2>/dev/null || true; fi
  wait "$boot_waits" 2>/dev/null || true
  boot_init='' boot_waits=''
}
