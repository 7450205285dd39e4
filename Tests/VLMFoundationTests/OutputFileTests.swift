import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@Suite("Output files")
struct OutputFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func problem(_ path: String, overwrite: Bool = false) -> FileError.Problem? {
    do throws(FileError) {
      _ = try OutputFile(path: path, overwrite: overwrite)
      return nil
    } catch {
      return error.problem
    }
  }

  /// As a child process has it that another thread starts, until it runs its program.
  private func duplicates(of path: String) throws -> [Int32] {
    let descriptors = "/proc/self/fd"
    let names = try FileManager.default.contentsOfDirectory(atPath: descriptors)
    let own = names.filter {
      let target = try? FileManager.default.destinationOfSymbolicLink(
        atPath: descriptors + "/" + $0)
      return target == path
    }
    return own.compactMap { Int32($0) }.map { dup($0) }
  }

  @Test("a partial file that is dropped is free, whoever still has its descriptor")
  func inherited() throws {
    let path = folder.path("out")
    let partial = OutputFile.partialPath(of: path)
    func open() throws -> OutputFile {
      try OutputFile(path: path, overwrite: true, marker: [7], keeping: true)
    }
    var output: OutputFile? = try open()
    try output?.write([7, 1])
    let inherited = try duplicates(of: partial)
    defer { inherited.forEach { close($0) } }
    #expect(inherited.count == 1)
    output = nil
    output = try open()
    #expect(throws: FileError.self) { _ = try open() }
  }

  @Test("nothing is at the destination until commit, and only the file after it")
  func publish() throws {
    let output = try OutputFile(path: folder.path("out"), overwrite: false)
    try output.write([1, 2, 3])
    try output.write([4])
    try [UInt8(9)].withUnsafeBytes { try output.write($0, at: 1) }
    #expect(output.count == 4)
    #expect(try !folder.names.contains("out"))
    try output.commit()
    #expect(try folder.names == ["out"])
    #expect(try folder.read("out") == [1, 9, 3, 4])
  }

  @Test("a dropped output leaves the existing file and no temporary one")
  func dropped() throws {
    try folder.write("out", [7])
    do {
      let output = try OutputFile(path: folder.path("out"), overwrite: true)
      try output.write([1, 2, 3])
    }
    #expect(try folder.names == ["out"])
    #expect(try folder.read("out") == [7])
  }

  @Test("an existing file is replaced only when asked")
  func overwriting() throws {
    try folder.write("out", [7])
    #expect(problem(folder.path("out")) == .exists)
    let output = try OutputFile(path: folder.path("out"), overwrite: true)
    try output.write([1])
    try output.commit()
    #expect(try folder.read("out") == [1])
  }

  @Test("a file that appears before commit is not replaced unasked")
  func raced() throws {
    let output = try OutputFile(path: folder.path("out"), overwrite: false)
    try output.write([1])
    try folder.write("out", [7])
    #expect(throws: FileError(path: folder.path("out"), problem: .exists)) { try output.commit() }
    #expect(try folder.read("out") == [7])
  }

  @Test("two outputs for one destination do not share a temporary file")
  func concurrent() throws {
    let path = folder.path("out")
    let first = try OutputFile(path: path, overwrite: true)
    let second = try OutputFile(path: path, overwrite: true)
    try first.write([1, 1, 1, 1])
    try second.write([2, 2])
    #expect(try folder.names.count == 2)
    try first.commit()
    #expect(try folder.read("out") == [1, 1, 1, 1])
    try second.commit()
    #expect(try folder.read("out") == [2, 2])
    #expect(try folder.names == ["out"])
  }

  @Test("a folder, device, empty or impossible path is refused")
  func badDestinations() throws {
    #expect(problem(folder.url.path, overwrite: true) == .notReplaceable("directory"))
    #expect(problem("/dev/null", overwrite: true) == .notReplaceable("device"))
    #expect(problem("", overwrite: true) == .call("create", errno: ENOENT))
    #expect(problem(folder.path("no/such/folder")) == .call("create", errno: ENOENT))
    #expect(
      FileError(path: "", problem: .call("create", errno: ENOENT)).exitStatus == .cannotCreate)
  }

  @Test("a folder that is not there is known before anything is written")
  func missingFolder() throws {
    let path = folder.path("none/file")
    #expect(throws: FileError.self) { try OutputFile.check(path, overwrite: true) }
    try OutputFile.check(folder.path("file"), overwrite: true)
    #expect(!FileManager.default.fileExists(atPath: folder.path("file")))
  }

  @Test("a link stays, and the file that it leads to is replaced or made")
  func links() throws {
    for name in ["a", "b"] {
      try FileManager.default.createDirectory(
        atPath: folder.path(name), withIntermediateDirectories: false)
    }
    try folder.write("b/there", [7])
    symlink("../b/there", folder.path("a/link"))
    symlink("a/link", folder.path("chain"))
    symlink(folder.path("b/new"), folder.path("dangling"))
    #expect(problem(folder.path("chain")) == .exists)
    // Where there is nothing yet, nothing is replaced.
    for (link, target, bytes) in [
      ("chain", "b/there", [UInt8(1), 2]), ("dangling", "b/new", [3]),
    ] {
      let output = try OutputFile(path: folder.path(link), overwrite: link == "chain")
      #expect(output.temporaryPath.hasPrefix(folder.path("")))
      try output.write(bytes)
      try output.commit()
      #expect(try folder.read(target) == bytes)
      #expect(FileSystem.target(ofLink: folder.path(link)) != nil)
    }
    #expect(FileSystem.target(ofLink: folder.path("a/link")) == "../b/there")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("a")) == ["link"])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path("b")).sorted()
        == ["new", "there"])
  }

  @Test("links that lead to each other, to a device, a pipe or a folder are refused")
  func badLinks() throws {
    symlink("two", folder.path("one"))
    symlink("one", folder.path("two"))
    symlink("/dev/null", folder.path("device"))
    symlink(".", folder.path("folder"))
    mkfifo(folder.path("fifo"), 0o600)
    symlink("fifo", folder.path("pipe"))
    #expect(problem(folder.path("one"), overwrite: true) == .call("create", errno: ELOOP))
    for (name, kind) in [("device", "device"), ("folder", "directory"), ("pipe", "pipe")] {
      #expect(problem(folder.path(name), overwrite: true) == .notReplaceable(kind))
      let error = FileError(path: name, problem: .notReplaceable(kind))
      #expect(error.exitStatus == .cannotCreate)
    }
  }

  @Test("a link to an open file that has lost its name is refused")
  func lostName() throws {
    let path = try folder.write("gone", [7])
    let descriptor = open(path, O_RDWR)
    defer { close(descriptor) }
    unlink(path)
    symlink("/proc/self/fd/\(descriptor)", folder.path("link"))
    #expect(
      problem(folder.path("link"), overwrite: true)
        == .notReplaceable("link to a file that is open elsewhere"))
    #expect(try folder.names == ["link"])
  }

  @Test("a file that is replaced keeps its permissions, and they hold for the unfinished one")
  func permissions() throws {
    let path = try folder.write("out", [7])
    for mode in [mode_t(0o600), 0o644, 0o444] {
      chmod(path, mode)
      let output = try OutputFile(path: path, overwrite: true)
      let unfinished = try #require(FileSystem.status(output.temporaryPath))
      #expect(unfinished.st_mode & 0o777 & ~(mode | 0o600) == 0)
      try output.write([1])
      try output.commit()
      #expect(FileSystem.status(path)?.st_mode ?? 0 & 0o777 == mode | S_IFREG)
    }
  }

  @Test("a name as long as names may be can be written")
  func longName() throws {
    let name = String(repeating: "é", count: 127)
    let output = try OutputFile(path: folder.path(name), overwrite: false)
    try output.write([5])
    try output.commit()
    #expect(try folder.read(name) == [5])
  }

  @Test("reserving space does not change the size of what is published")
  func reserving() throws {
    let output = try OutputFile(path: folder.path("out"), overwrite: false)
    try output.reserve(1 << 20)
    try output.write([1, 2])
    try output.commit()
    #expect(try folder.read("out") == [1, 2])
    #expect(throws: FileError.self) {
      try OutputFile(path: folder.path("huge"), overwrite: false).reserve(1 << 60)
    }
    #expect(try folder.names == ["out"])
  }

  @Test("the file's mode is what the umask leaves")
  func mode() throws {
    #expect(try Probe.run("umask", folder.path("out")).status == 0)
    var status = stat()
    stat(folder.path("out"), &status)
    #expect(status.st_mode & 0o777 == 0o640)
  }

  @Test("a write past the file size limit is an error, and the existing file stays")
  func limit() throws {
    try folder.write("out", [7])
    let result = try Probe.run("file-size-limit", folder.path("out"))
    #expect(result.status == ExitStatus.ioError.rawValue)
    #expect(result.output == "\(folder.path("out")): write failed: File too large\n")
    #expect(try folder.names == ["out"])
    #expect(try folder.read("out") == [7])
  }

  @Test(
    "a signal that ends the program leaves the existing file and nothing else",
    arguments: [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)] as [(String, Int32)])
  func signals(_ name: String, _ status: Int32) throws {
    try folder.write("out", [7])
    let result = try Probe.run(name, folder.path("out"))
    #expect(result.status == status)
    #expect(try folder.names == ["out"])
    #expect(try folder.read("out") == [7])
  }

  @Test("what killed processes left of an output goes when it is written again, and nothing else")
  func abandoned() throws {
    // Beyond every number that a process can have.
    let dead = ".out.2147483647-1.tmp"
    try folder.write(dead, [1, 2, 3])
    try folder.write(".out.2147483647-22.tmp", [1])
    let others = [
      ".out.\(getpid())-900000.tmp", ".out.2147483647-x.tmp", ".out.2147483647.tmp", ".out.tmp",
      ".out2.2147483647-1.tmp", "out.2147483647-1.tmp", ".out.2147483647-1.tmp.old",
      ".out.-5-1.tmp", ".out.0-1.tmp", ".out.99999999999-1.tmp",
    ]
    for name in others { try folder.write(name, [4]) }
    // One that a process holds which only seems dead, as one in another container does.
    let held = try folder.write(".out.2147483646-1.tmp", [5])
    let descriptor = open(held, O_RDONLY)
    defer { close(descriptor) }
    #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    try FileManager.default.createSymbolicLink(
      atPath: folder.path(".out.2147483645-1.tmp"), withDestinationPath: "target")
    let output = try OutputFile(path: folder.path("out"), overwrite: false)
    try output.commit()
    let left = others + ["out", ".out.2147483646-1.tmp", ".out.2147483645-1.tmp"]
    #expect(Set(try FileManager.default.contentsOfDirectory(atPath: folder.url.path)) == Set(left))
  }

  @Test("an output that is being written is nobody's to remove")
  func locked() throws {
    let output = try OutputFile(path: folder.path("out"), overwrite: false)
    let other = open(output.temporaryPath, O_RDONLY)
    defer { close(other) }
    #expect(flock(other, LOCK_EX | LOCK_NB) != 0)
    let second = try OutputFile(path: folder.path("out"), overwrite: false)
    #expect(second.temporaryPath != output.temporaryPath)
    #expect(FileManager.default.fileExists(atPath: output.temporaryPath))
    try output.commit()
  }

  @Test("files that are held stay if the output gets its place, and go if it does not")
  func held() throws {
    for isThere in [false, true] {
      let kept = try folder.write("kept", [1])
      OutputFile.hold(kept)
      let output = try OutputFile(path: folder.path("out"), overwrite: false)
      if isThere { try folder.write("out", [7]) }
      var isRefused = false
      do { try output.commit(keeping: [kept]) } catch { isRefused = true }
      #expect(isRefused == isThere)
      #expect(FileManager.default.fileExists(atPath: kept) == !isThere)
      #expect(try folder.read("out") == (isThere ? [7] : []))
      try FileManager.default.removeItem(atPath: folder.path("out"))
    }
  }
}
