# shellcheck shell=bash disable=SC2034
# What the scripts share that build for others' machines; they source it from the root of the checkout.
#
# Without PACKAGING in the environment it changes nothing: a build as `swift build` makes it. With
# PACKAGING=1 the same sources give the same bytes in any folder, without symbols for a debugger: whoever
# needs those builds the same version without. PACKAGING_TARGET=arm64 cross-builds, in the chroot that
# scripts/build-packages makes; PACKAGING_SYSROOT=DIR links with the libraries that scripts/build-tarball
# has unpacked there.

# For swift build; for swiftc that compiles; for swiftc that links.
build_flags=()
compile_flags=()
link_flags=()
# For the linker itself.
linker_flags=()
cc=(cc)
strip="strip"
nm="nm"
# What runs a program that was built.
runner=()
foundation=.build/packaging-foundation

if [[ ${PACKAGING:-} ]]; then
  # Swift's compiler goes through some sets in the order of addresses, which it shows in registers and places on the
  # stack: where the kernel allows it, addresses are the same each time.
  if setarch -R true 2>/dev/null; then
    swift() { setarch -R swift "$@"; }
    swiftc() { setarch -R swiftc "$@"; }
  fi
  # The same versions of what we depend on, too.
  cp scripts/packaging/dependencies.json Package.resolved
  build_flags+=(--scratch-path .build/packaging -debug-info-format none
    -Xswiftc -file-prefix-map -Xswiftc "$PWD=." -Xcc "-ffile-prefix-map=$PWD=."
    # Loops over many bytes are C.
    -Xswiftc -Osize
    # What nothing refers to is left out, function by function.
    -Xswiftc -Xfrontend -Xswiftc -function-sections -Xcc -ffunction-sections -Xcc -fdata-sections
    # Public functions too, which are marked as to be kept otherwise.
    -Xswiftc -Xfrontend -Xswiftc -internalize-at-link
    # ArgumentParser is compiled with a Foundation that has what it uses; see make_foundation.
    -Xswiftc "-I$PWD/$foundation" -Xlinker "$PWD/$foundation/FoundationEssentials.o")
  compile_flags+=(-swift-version 6 -O -wmo -parse-as-library -static -Xfrontend -function-sections
    -Xfrontend -internalize-at-link -file-prefix-map "$PWD=.")
  link_flags+=(-use-ld=lld -resource-dir "$foundation/swift_static")
  # Functions of the same instructions become one; Swift's objects do not say of which the address matters,
  # which it does of none: data, whose address may, is not folded.
  linker_flags+=(--icf=all --as-needed)
  # See scripts/packaging/scalar-names.c, and no-backtrace.c beside it.
  link_flags+=("$foundation/scalar-names.o" "$foundation/no-backtrace.o")
  linker_flags+=(--wrap=_swift_stdlib_getScalarName)
  if [[ ${PACKAGING_SYSROOT:-} ]]; then
    # Linked with the libraries of an older system, beside which others may lie: they are taken first, also
    # for one another, hence the older kind of path.
    link_flags+=(-Xclang-linker "--sysroot=$PACKAGING_SYSROOT" "$foundation/older-system.o")
    linker_flags+=(--disable-new-dtags '-rpath=$ORIGIN/../lib')
    runner=(env "LD_LIBRARY_PATH=$PACKAGING_SYSROOT/bundled")
  else
    # Relative relocations take a hundredth of the place, where the C library knows the packed form: that
    # is from glibc 2.36 on.
    linker_flags+=(-z pack-relative-relocs)
  fi
fi

if [[ ${PACKAGING_TARGET:-} == arm64 ]]; then
  # Swift's own libraries are those of Debian 13, whatever the system's are.
  sysroot=/sysroot
  sdk=debian13-arm64
  runner=(qemu-aarch64)
  if [[ ${PACKAGING_SYSROOT:-} ]]; then
    sysroot=$PACKAGING_SYSROOT
    sdk=debian11-arm64
    runner+=(-E "LD_LIBRARY_PATH=$PACKAGING_SYSROOT/bundled")
  fi
  target=(-target aarch64-unknown-linux-gnu -sdk "$sysroot")
  runtime=/sysroot/usr/libexec/swift/lib
  build_flags+=(--swift-sdks-path /sdk --swift-sdk "$sdk" -Xswiftc -no-toolchain-stdlib-rpath)
  compile_flags+=("${target[@]}" -resource-dir "$runtime/swift")
  link_flags+=("${target[@]}")
  cc=(aarch64-linux-gnu-gcc)
  strip=aarch64-linux-gnu-strip
  nm=aarch64-linux-gnu-nm
  runner+=(-L "$sysroot")
fi

if [[ ${PACKAGING:-} ]]; then
  mkdir -p "$foundation"
  for part in scalar-names no-backtrace older-system; do
    "${cc[@]}" -O2 -Wall -fPIC -ffunction-sections -c "scripts/packaging/$part.c" -o "$foundation/$part.o"
  done
  static_runtime=${runtime:+$runtime/swift_static}
  [[ $static_runtime ]] || static_runtime=$(swiftc -print-target-info -static-stdlib |
    sed -n 's/^ *"runtimeResourcePath": "\(.*\)",*$/\1/p')
  scripts/packaging/discardable.py "$static_runtime" "$foundation/swift_static"
fi

# make_witnesses OUT OBJECT|ARCHIVE|@FILE…: an object that has the functions of scripts/packaging/witnesses.c under
# the names that the compiler gave those of each type, which are weak there.
make_witnesses() {
  local out=$1 name which
  shift
  {
    "${cc[@]}" -Os -Wall -Wno-alloca -fPIC -fvisibility=hidden -fno-asynchronous-unwind-tables -S \
      scripts/packaging/witnesses.c -o -
    "$nm" "$@" 2>/dev/null | awk '$2 == "W" && $3 ~ /^\$s.*w[ct]a$/ { print $3 }' | sort -u |
      while read -r name; do
        if [[ $name == *wca ]]; then which=copy; else which=take; fi
        printf '\t.globl "%s"\n\t.hidden "%s"\n\t.set "%s", vlmz_assign_%s\n' "$name" "$name" "$name" "$which"
      done
  } >"${out%.o}.s"
  "${cc[@]}" -c "${out%.o}.s" -o "$out"
}

# make_no_tasks OUT LIST: an object that has the function of scripts/packaging/no-tasks.c under every name of the module
# of tasks that an object in the file LIST refers to. Being strong, they clash with that module where something else
# links it. Fails if an object makes a task.
make_no_tasks() {
  local out=$1 list=$2 name
  {
    "${cc[@]}" -Os -Wall -fPIC -fvisibility=hidden -fno-asynchronous-unwind-tables -S \
      scripts/packaging/no-tasks.c -o -
    comm -12 <("$nm" -u "@$list" | awk 'NF == 2 { print $2 }' | sort -u) \
      <("$nm" "$foundation/swift_static/linux/libswift_Concurrency.a" 2>/dev/null |
        awk 'NF == 3 && $2 ~ /[TDRB]/ { print $3 }' | sort -u) |
      while read -r name; do
        printf '\t.globl "%s"\n\t.hidden "%s"\n\t.set "%s", vlmz_no_tasks\n' "$name" "$name" "$name"
      done
  } >"${out%.o}.s"
  if grep -q swift_task_create "${out%.o}.s"; then
    printf 'an object in %s makes a task, which its program is to be without\n' "$list" >&2
    return 1
  fi
  "${cc[@]}" -c "${out%.o}.s" -o "$out"
}

# Compiles the module that stands in for Swift's FoundationEssentials, which is 5 MB in each program.
make_foundation() {
  mkdir -p "$foundation"
  swiftc "${compile_flags[@]}" -module-name FoundationEssentials -emit-module -emit-object \
    scripts/packaging/FoundationEssentials.swift \
    -emit-module-path "$foundation/FoundationEssentials.swiftmodule" -o "$foundation/FoundationEssentials.o"
}

# The version of the product, of which there is one.
product_version() {
  local version
  version=$(sed -n 's/^package let productVersion = "\(.*\)"$/\1/p' \
    Sources/VLMFoundation/Machine/ProductVersion.swift)
  [[ $version ]] || { printf 'no version in ProductVersion.swift\n' >&2; return 1; }
  printf '%s\n' "$version"
}
