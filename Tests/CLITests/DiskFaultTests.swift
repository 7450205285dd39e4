import Foundation
import Testing
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// A disk that is full, over its quota or broken, at every step of writing every kind of output.
@Suite("Failing disks", .serialized, .enabled(if: FaultyDisk.isAvailable, FaultyDisk.reason))
struct DiskFaultTests {
  static let checkpoint = TestFiles.fixture("goldens/convnext-variants/mlp-head")
  let scratch: TemporaryFolder
  let disk: FaultyDisk

  init() throws {
    scratch = try TemporaryFolder()
    disk = FaultyDisk(folder: scratch.path("out"))
    try FileManager.default.createDirectory(
      atPath: scratch.path("out"), withIntermediateDirectories: true)
  }

  private func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: disk.folder).sorted()
  }

  private func content(_ path: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: path))
  }

  /// The model that outputs of `vlm-run` are made with.
  private func model() throws -> String {
    let path = scratch.path("model.vlmz")
    let outcome = try CommandRunner.convert(Self.checkpoint, path, "--q8", "-q", "--force")
    try #require(outcome.status == 0, "\(outcome.errors)")
    return path
  }

  /// Runs a command with each fault in turn that it can meet while it writes the file `name` over an
  /// older one.
  ///
  /// - Parameters:
  ///   - beside: files that are written with it.
  ///   - keeping: files that may be left, by name.
  ///   - after: called when a fault ended the command.
  private func meet(
    _ name: String, beside: Set<String> = [], keeping: Set<String> = [], _ program: String,
    _ arguments: [String],
    after: (FaultyDisk.Fault) throws -> Void = { _ in }
  ) throws {
    let path = disk.folder + "/" + name
    let old = Data("old".utf8)
    func reset() throws {
      for name in try names() { unlink(disk.folder + "/" + name) }
      try old.write(to: URL(fileURLWithPath: path))
    }
    try reset()
    let (sound, calls) = try disk.run(program, arguments)
    try #require(sound.status == 0, "\(sound.errors)")
    let all = beside.union([name])
    #expect(Set(try names()) == all)
    let written = try content(path)
    let faults = FaultyDisk.faults(of: calls)
    #expect(Set(faults.map(\.call)).isSuperset(of: ["open", "write", "sync", "rename"]))
    // Files are put in place one after the other, each synced, renamed and its folder synced.
    let lastSync = calls.count { $0 == "sync" }
    let folderSyncs = (0...beside.count).map { lastSync - 2 * $0 }
    for fault in faults {
      try reset()
      let (outcome, _) = try disk.run(program, arguments, fault: fault)
      if fault.call == "sync", folderSyncs.contains(fault.number) {
        // The file is whole and in its place by then.
        #expect(outcome.status == 0, "\(fault): \(outcome.errors)")
        #expect(try content(path) == written, "\(fault)")
        #expect(Set(try names()) == all, "\(fault)")
        continue
      }
      #expect(outcome.status == 74, "\(fault): \(outcome.errors)")
      let lines = outcome.errors.split(separator: "\n").filter { !$0.contains(": warning: ") }
      #expect(lines.count == 1, "\(fault): \(outcome.errors)")
      #expect(lines.last?.hasPrefix("\(program): ") == true, "\(fault): \(outcome.errors)")
      #expect(lines.last?.hasSuffix(fault.reason) == true, "\(fault): \(outcome.errors)")
      #expect(try content(path) == old, "\(fault)")
      #expect(Set(try names()).subtracting(keeping) == [name], "\(fault)")
      try after(fault)
    }
  }

  @Test("V59 a container is written whole or not at all, whatever call fails")
  func container() throws {
    try meet(
      "out.vlmz", "vlm-convert",
      [Self.checkpoint, disk.folder + "/out.vlmz", "--q8", "--force", "-q"])
  }

  @Test("V59 with --resume what was written stays, and ends in the same bytes")
  func resumed() throws {
    let arguments = [Self.checkpoint, output, "--q8", "--force", "-q", "--resume"]
    let reference = try content(try model())
    var continued = 0
    try meet(
      "out.vlmz", keeping: ["out.vlmz.partial", "out.vlmz.partial.journal"], "vlm-convert",
      arguments
    ) { fault in
      let outcome = try CommandRunner.run("vlm-convert", arguments)
      #expect(outcome.status == 0, "\(fault): \(outcome.errors)")
      #expect(try content(output) == reference, "\(fault)")
      #expect(try names() == ["out.vlmz"], "\(fault)")
      continued += 1
    }
    #expect(continued > 10)
  }

  private var output: String { disk.folder + "/out.vlmz" }
  private var partial: String { output + ".partial" }

  private func convert(_ flags: String...) throws -> CommandRunner.Outcome {
    try CommandRunner.run("vlm-convert", [Self.checkpoint, output, "--q8", "-q"] + flags)
  }

  /// Leaves a partial file that has everything but its name.
  private func leaveFinished() throws {
    let fault = FaultyDisk.Fault(call: "rename", number: 1, code: EIO)
    let (outcome, _) = try disk.run(
      "vlm-convert", [Self.checkpoint, output, "--q8", "-q", "--resume"], fault: fault)
    try #require(outcome.status == 74)
    try #require(try names() == ["out.vlmz.partial", "out.vlmz.partial.journal"])
  }

  @Test("V60 a file that is finished but for its name is ours where its journal is beside it")
  func finished() throws {
    let reference = try content(try model())
    try leaveFinished()
    #expect(try content(partial) == reference)
    #expect(try convert().status == 0)
    #expect(try content(output) == reference)
    #expect(try names() == ["out.vlmz"])
    try FileManager.default.moveItem(atPath: output, toPath: partial)
    let refused = try convert()
    #expect(refused.status == 73, "\(refused.errors)")
    #expect(try content(partial) == reference)
    #expect(try names() == ["out.vlmz.partial"])
  }

  @Test("V61 a journal with counts that cannot be is not believed, nor added up")
  func impossibleCounts() throws {
    let reference = try content(try model())
    for count in [UInt64(Int64.max), 1 << 62, 1, .max] {
      try leaveFinished()
      let lines = try content(partial + ".journal").split(separator: UInt8(ascii: "\n")).map {
        Array($0)
      }
      let marker = try #require(lines.first)
      var journal = marker + [UInt8(ascii: "\n")]
      for (index, line) in lines.dropFirst().enumerated() {
        var text = Array(line.dropFirst(17))
        if index > 0 {
          var record = try #require(try JSONValue.parse(text).objectValue)
          let error = try #require(record["error"]?.arrayValue)
          let digits = String(count, radix: 16)
          record.set(
            "error", .array([.string(digits), .string(digits)] + error.dropFirst(2)))
          text = Array(JSONValue.object(record).serialized().utf8)
        }
        journal += ConversionJournal.prefix(of: text) + text + [UInt8(ascii: "\n")]
      }
      try Data(journal).write(to: URL(fileURLWithPath: partial + ".journal"))
      let outcome = try convert("--resume")
      #expect(outcome.status == 0, "\(count): \(outcome.errors)")
      #expect(try content(output) == reference, "\(count)")
      unlink(output)
    }
  }

  @Test("V59 an extracted checkpoint is written whole or not at all", arguments: ["f16", "codes"])
  func extracted(form: String) throws {
    let options = form == "codes" ? ["--codes"] : ["--dtype", form]
    try meet(
      "out.safetensors", "vlm-convert",
      ["extract", try model(), disk.folder + "/out.safetensors", "--force", "-q"] + options)
  }

  static let outputs = [
    ("--embed", "out.npy"), ("--embed", "out.safetensors"), ("--dump", "out.safetensors"),
    ("--explain", "out.png"),
  ]

  @Test("V59 what is written beside an answer is written whole or not at all", arguments: outputs)
  func besides(option: String, name: String) throws {
    let picture = TestFiles.fixture("pngsuite/basn2c08.png")
    try meet(
      name, beside: name == "out.npy" ? ["out.json"] : [],
      keeping: name == "out.npy" ? ["out.json"] : [], "vlm-run",
      [try model(), picture, option, disk.folder + "/" + name, "--force", "-q"])
  }

  /// What the program says where standard output is a full disk.
  private func intoFullDisk(_ program: String, _ arguments: [String]) throws {
    let command = try RunningCommand(program, arguments, prelude: "exec >/dev/full")
    let outcome = try command.finish()
    #expect(outcome.status == 74, "\(arguments)")
    let message = "standard output: write failed: No space left on device"
    let asJSON = arguments.contains { $0.hasPrefix("--json") }
    let expected =
      asJSON
      ? #"{"schema":1,"error":{"program":"\#(program)","message":"\#(message)","status":74}}"#
      : "\(program): \(message)"
    #expect(outcome.errors == expected + "\n", "\(arguments)")
  }

  @Test("V58 V59 results that do not fit on the disk are an error in one line")
  func standardOutput() throws {
    let model = try model()
    let picture = TestFiles.fixture("pngsuite/basn2c08.png")
    for form in [[], ["--json"], ["--jsonl"]] {
      try intoFullDisk("vlm-run", [model, picture] + form)
    }
    for arguments in [
      ["inspect", model], ["inspect", model, "--json"], ["hash", model], ["diff", model, model],
      ["verify", model], [Self.checkpoint, scratch.path("other.vlmz"), "--dry-run"],
    ] {
      try intoFullDisk("vlm-convert", arguments)
    }
  }

  @Test("notes that cannot be written change neither the work nor the status")
  func standardError() throws {
    let output = scratch.path("other.vlmz")
    for prelude in ["exec 2>/dev/full", "exec 2>&-", "exec 2>&- 0<&-"] {
      unlink(output)
      var command = try RunningCommand(
        "vlm-convert", [Self.checkpoint, output, "--q8"], prelude: prelude)
      #expect(try command.finish().status == 0, "\(prelude)")
      #expect(try content(output) == content(try model()), "\(prelude)")
      command = try RunningCommand(
        "vlm-convert", [scratch.path("nothing"), output, "--force"], prelude: prelude)
      #expect(try command.finish().status == 66, "\(prelude)")
    }
  }

  @Test("a closed standard output is an error, and no file is written in its place")
  func closedOutput() throws {
    let output = scratch.path("other.vlmz")
    let command = try RunningCommand(
      "vlm-convert", [Self.checkpoint, output, "--q8"], prelude: "exec 1>&-")
    let outcome = try command.finish()
    #expect(outcome.status == 74)
    #expect(outcome.errors.contains("standard output: write failed: Bad file descriptor"))
    // The conversion was done by then.
    #expect(try content(output) == content(try model()))
  }
}
