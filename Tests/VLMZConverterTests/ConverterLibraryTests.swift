import Foundation
import Synchronization
import Testing
import VLMTestSupport
import VLMZ
import VLMZConverter

#if canImport(Glibc)
  import Glibc
#endif

@Suite("The library's converter")
struct ConverterLibraryTests {
  private static let checkpoint = TestFiles.fixture("convnext-cifar10")
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func converter(
    _ scheme: WeightScheme = .q8, _ change: (inout Converter.Options) -> Void = { _ in }
  ) throws -> Converter {
    var options = Converter.Options(scheme: scheme)
    options.threads = 2
    change(&options)
    return try Converter(opening: Self.checkpoint, options: options)
  }

  private func files() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
  }

  private func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: folder.url.appendingPathComponent(name))
  }

  /// The code of the error that `body` throws; nil where it throws none.
  private func code(_ body: () throws -> Void) -> VLMZError.Code? {
    do { try body() } catch { return (error as? VLMZError)?.code ?? .internal }
    return nil
  }

  @Test("progress never falls and ends with all bytes of the plan")
  func progress() throws {
    let converter = try converter()
    var seen: [Converter.Progress] = []
    let report = try converter.convert(to: folder.path("m.vlmz")) { seen.append($0) }
    #expect(seen.count > converter.plan.tensors.count)
    #expect(seen.first?.byteCount == 0)
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.byteCount <= $1.byteCount })
    #expect(seen.allSatisfy { $0.totalByteCount == converter.plan.sourceByteCount })
    #expect(seen.last?.byteCount == converter.plan.sourceByteCount)
    #expect(seen.last?.fraction == 1)
    #expect(try files() == ["m.vlmz"])
    #expect(try bytes("m.vlmz").count == report.fileByteCount)
  }

  @Test("the report is what was planned, with its errors")
  func report() throws {
    let converter = try converter(.q4) { $0.tensorSchemes = [.init("*head*", .f16)] }
    let plan = converter.plan
    let report = try converter.convert(to: folder.path("m.vlmz"))
    #expect(plan.architecture == "convnext")
    #expect(report.tensors.map(\.name) == plan.tensors.map(\.name))
    #expect(report.tensors.map(\.byteCount) == plan.tensors.map(\.byteCount))
    #expect(report.parameterCount == plan.parameterCount)
    let halves = report.tensors.filter { $0.scheme == .f16 }
    #expect(!halves.isEmpty)
    #expect(halves.allSatisfy { $0.reason != nil && $0.relativeError < 1e-3 })
    let coarse = report.tensors.filter { $0.scheme == .q4 }
    #expect(!coarse.isEmpty)
    #expect(coarse.allSatisfy { (1e-3...0.2).contains($0.relativeError) && $0.cosine > 0.98 })
    #expect(plan.json.contains("\"schema\":1"))
    #expect(report.json.contains("\"file_bytes\":\(report.fileByteCount)"))
  }

  @Test("a cancelled conversion leaves nothing behind")
  func cancelled() throws {
    let converter = try converter()
    let found = code {
      try converter.convert(to: folder.path("m.vlmz")) { _ in converter.cancel() }
    }
    #expect(found == .cancelled)
    #expect(try files().isEmpty)
    // The converter is as it was.
    try converter.convert(to: folder.path("m.vlmz"))
    #expect(try files() == ["m.vlmz"])
  }

  @Test("one that resumes leaves what a later one goes on with, to the same bytes")
  func resumed() throws {
    let first = try converter(.q4) { $0.resumes = true }
    var count = 0
    let found = code {
      try first.convert(to: folder.path("m.vlmz")) { _ in
        count += 1
        if count == 40 { first.cancel() }
      }
    }
    #expect(found == .cancelled)
    #expect(try files() == ["m.vlmz.partial", "m.vlmz.partial.journal"])
    let second = try converter(.q4) { $0.resumes = true }
    try second.convert(to: folder.path("m.vlmz"))
    try converter(.q4).convert(to: folder.path("whole.vlmz"))
    #expect(try files() == ["m.vlmz", "whole.vlmz"])
    #expect(try bytes("m.vlmz") == bytes("whole.vlmz"))
  }

  @Test("a cancelled task cancels its conversion")
  func cancelledTask() async throws {
    let (converter, output) = (try converter(), folder.path("m.vlmz"))
    let task = Task { () -> VLMZError.Code? in
      withUnsafeCurrentTask { $0?.cancel() }
      do { _ = try await converter.convert(to: output) } catch {
        return (error as? VLMZError)?.code
      }
      return nil
    }
    #expect(await task.value == .cancelled)
    #expect(try files().isEmpty)
  }

  @Test("a stream ends with the report, and its bytes are those of a call")
  func stream() async throws {
    let converter = try converter()
    var report: Converter.Report?
    var isAfterEnd = false
    for try await event in converter.events(convertingTo: folder.path("a.vlmz")) {
      if report != nil { isAfterEnd = true }
      if case .end(let found) = event { report = found }
    }
    let end = try #require(report)
    #expect(!isAfterEnd)
    #expect(end.path == folder.path("a.vlmz"))
    let progressed = Atomic<Int>(0)
    _ = try await converter.convert(to: folder.path("b.vlmz")) { _ in
      progressed.add(1, ordering: .relaxed)
    }
    #expect(progressed.load(ordering: .relaxed) > 0)
    #expect(try bytes("a.vlmz") == bytes("b.vlmz"))
  }

  /// What the process does on each signal: the handler's address and its flags. The rest of the
  /// structure is not written by the system.
  private func handlers() -> [[Int]] {
    (Int32(1)..<32).map { signal in
      var action = sigaction()
      sigaction(signal, nil, &action)
      let handler = withUnsafeBytes(of: action.__sigaction_handler) { $0.load(as: Int.self) }
      return [handler, Int(action.sa_flags)]
    }
  }

  @Test("signal handlers and the environment are the program's and stay as they were")
  func process() throws {
    let before = (handlers(), ProcessInfo.processInfo.environment)
    try converter(.f32).convert(to: folder.path("m.vlmz"))
    #expect(handlers() == before.0)
    #expect(ProcessInfo.processInfo.environment == before.1)
  }

  @Test("a second conversion at the same time is refused")
  func busy() throws {
    let converter = try converter()
    var inner: VLMZError.Code?
    try converter.convert(to: folder.path("a.vlmz")) { progress in
      guard progress.fraction == 1 else { return }
      inner = code { try converter.convert(to: folder.path("b.vlmz")) }
    }
    #expect(inner == .busy)
    #expect(try files() == ["a.vlmz"])
  }

  @Test("wrong options are errors that say which")
  func options() throws {
    #expect(code { _ = try WeightScheme(named: "q7") } == .invalidArgument)
    #expect(WeightScheme.all.map(\.name).contains("q4"))
    #expect(try WeightScheme(named: "bf16") == .bf16)
    let wrong: [(inout Converter.Options) -> Void] = [
      { $0.tensorSchemes = [.init("no such tensor", .f32)] }, { $0.threads = 0 },
      { $0.headActivation = "swish" }, { $0.threads = 1025 },
    ]
    for change in wrong {
      #expect(code { _ = try converter(.q8, change) } == .invalidArgument)
    }
    #expect(code { _ = try Converter(opening: folder.path("absent")) } == .notFound)
    #expect(code { _ = try Converter(opening: folder.path("")) } != nil)
  }

  @Test("what is there is replaced only when that is asked for, and a checkpoint never")
  func outputs() throws {
    let output = folder.path("m.vlmz")
    try converter().convert(to: output)
    let first = try bytes("m.vlmz")
    #expect(code { try converter(.q4).convert(to: output) } == .cannotCreate)
    #expect(try bytes("m.vlmz") == first)
    try converter(.q4) { $0.overwrites = true }.convert(to: output)
    #expect(try bytes("m.vlmz").count < first.count)
    try FileManager.default.copyItem(
      atPath: Self.checkpoint + "/model.safetensors", toPath: folder.path("c.safetensors"))
    let other = try converter { $0.overwrites = true }
    #expect(code { try other.convert(to: folder.path("c.safetensors")) } != nil)
    #expect(code { try other.convert(to: folder.path("none/m.vlmz")) } == .cannotCreate)
    #expect(try files() == ["c.safetensors", "m.vlmz"])
  }
}
