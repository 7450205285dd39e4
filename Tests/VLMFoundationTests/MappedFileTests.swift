import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@Suite("Mapped files")
struct MappedFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func problem(_ path: String) -> FileError.Problem? {
    do throws(FileError) {
      _ = try MappedFile(path: path)
      return nil
    } catch {
      return error.problem
    }
  }

  @Test("the bytes of a file are there, and of a link to it, and none of an empty one")
  func bytes() throws {
    let path = try folder.write("a", [1, 2, 3, 4])
    symlink(path, folder.path("link"))
    for name in ["a", "link"] {
      let file = try MappedFile(path: folder.path(name))
      #expect(file.count == 4)
      #expect(file.withBytes(1..<3) { Array($0) } == [2, 3])
      #expect(file.isSameFile(as: path))
    }
    let empty = try MappedFile(path: folder.write("empty", []))
    #expect(empty.count == 0)
    #expect(empty.withBytes(0..<0) { $0.count } == 0)
    #expect(!empty.isSameFile(as: path))
  }

  @Test("S47 a pipe, folder, socket or device is refused by name, without waiting on it")
  func irregular() throws {
    mkfifo(folder.path("pipe"), 0o600)
    #expect(problem(folder.path("pipe")) == .notRegular("pipe"))
    #expect(problem(folder.url.path) == .notRegular("directory"))
    #expect(problem("/dev/zero") == .notRegular("device"))
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = "/tmp/vlm-\(getpid()).sock"
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0)
    defer { unlink(path) }
    #expect(problem(path) == .notRegular("socket"))
  }

  @Test(
    "S47 kernel files that pretend to be regular are refused or empty",
    arguments: [
      "/proc/kcore", "/proc/self/mem", "/proc/self/pagemap", "/proc/self/maps",
    ])
  func kernelFiles(_ path: String) throws {
    let file = try? MappedFile(path: path)
    #expect(file.map(\.count) ?? 0 == 0)
  }

  @Test("a missing file is 'no input', a file without permission is 'no permission'")
  func missing() {
    let missing = FileError(path: "x", problem: .call("open", errno: ENOENT))
    #expect(problem(folder.path("none")) == missing.problem)
    #expect(missing.exitStatus == .noInput)
    #expect(FileError(path: "x", problem: .call("open", errno: EACCES)).exitStatus == .noPermission)
  }

  @Test(
    "an unreadable file is refused with the system's reason",
    .enabled(if: geteuid() != 0, "permissions do not bind root"))
  func unreadable() throws {
    let path = try folder.write("secret", [1])
    chmod(path, 0)
    #expect(problem(path) == .call("open", errno: EACCES))
  }

  @Test("a link that leads to itself is refused")
  func loop() {
    symlink(folder.path("loop"), folder.path("loop"))
    #expect(problem(folder.path("loop")) == .call("open", errno: ELOOP))
  }

  @Test("S50 a file modified in place after mapping is noticed")
  func changed() throws {
    let path = try folder.write("a", [1, 2, 3, 4])
    let file = try MappedFile(path: path)
    try file.checkUnchanged()
    let handle = try #require(fopen(path, "r+"))
    fputs("x", handle)
    fclose(handle)
    var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    utimensat(AT_FDCWD, path, &times, 0)
    #expect(throws: FileError(path: path, problem: .changed)) { try file.checkUnchanged() }
  }

  @Test("a change is noticed whose time was put back, and moving or sharing a file is none")
  func changedSecretly() throws {
    let path = try folder.write("a", [1, 2, 3, 4])
    var status = stat()
    stat(path, &status)
    let file = try MappedFile(path: path)
    link(path, folder.path("b"))
    try file.checkUnchanged()
    unlink(folder.path("b"))
    let other = try MappedFile(path: path)
    chmod(path, 0o600)
    try other.checkUnchanged()
    let moved = try MappedFile(path: path)
    rename(path, folder.path("c"))
    try moved.checkUnchanged()
    rename(folder.path("c"), path)
    let last = try MappedFile(path: path)
    // Clocks of file systems tick some hundred times a second.
    while FileSystem.status(path)?.st_ctim.tv_nsec == status.st_ctim.tv_nsec {
      utimensat(AT_FDCWD, path, nil, 0)
    }
    try folder.write("a", [9, 2, 3, 4])
    var times = [status.st_atim, status.st_mtim]
    utimensat(AT_FDCWD, path, &times, 0)
    #expect(throws: FileError(path: path, problem: .changed)) { try last.checkUnchanged() }
  }

  @Test("S49 a file truncated while mapped ends the process with 74, one line and no output left")
  func fault() throws {
    let path = try folder.write("mapped", [UInt8](repeating: 1, count: 100_000))
    let result = try Probe.run("fault", path)
    #expect(result.status == 74)
    #expect(result.errors == "probe: \(path): changed or failed to read while in use\n")
    #expect(result.output == "")
    #expect(try folder.names == ["mapped"])
  }

  @Test("a file in memory has the bytes it was given, and never changes")
  func inMemory() throws {
    let bytes: [UInt8] = [1, 2, 3]
    let file = bytes.withUnsafeBytes { MappedFile(name: "memory", copying: $0) }
    #expect(file.count == 3)
    #expect(file.withBytes(1..<3) { Array($0) } == [2, 3])
    file.advise(0..<3, 4)
    try file.checkUnchanged()
    #expect(file.withBytes(0..<3) { Array($0) } == bytes)
    #expect(!file.isSameFile(as: "memory"))
    let empty = MappedFile(name: "empty", copying: UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(empty.count == 0)
  }

  @Test("a bus error from elsewhere is not taken for a file's")
  func strayFault() throws {
    let result = try Probe.run("stray-fault", "-")
    #expect(result.signal == SIGBUS)
    #expect(!result.errors.contains("while in use"))
  }
}
