import Foundation
import Testing
import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Files of statistics: what is written is read, and what is wrong is told.
@Suite("Files of statistics")
struct StatisticsFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Four rows of three inputs.
  private func statistics() -> InputStatistics {
    let statistics = InputStatistics(inputs: 3, detail: .hessian, kernels: .best)
    let memory = Activations(count: 12)
    let rows = memory.matrix(rows: 4, columns: 3)
    rows.assign([1, 0, 2, 0, 3, 0, 1, 1, 1, 2, 0, 0])
    statistics.add(rows, pool: WorkerPool(threadCount: 1))
    withExtendedLifetime(memory) {}
    return statistics
  }

  private let group = StatisticsGroup(tensors: ["a", "b"], inputs: 3, hasHessian: true)

  private func write(_ name: String = "s") throws -> String {
    let path = folder.path(name)
    let pool = WorkerPool(threadCount: 1)
    let writer = try StatisticsWriter(
      path: path, overwrite: false, groups: [group], provenance: ["tokens": 4], pool: pool)
    try writer.write(group, statistics())
    try writer.commit()
    return path
  }

  @Test("sums come back, and a matrix has those of its group")
  func roundTrip() throws {
    let file = try StatisticsFile.open(path: try write())
    #expect(file.groups == [group])
    #expect(file.provenance == ["tokens": 4])
    let (rows, sums, squares) = file.moments(of: group)
    #expect(rows == 4)
    #expect(sums == [4, 4, 3])
    #expect(squares == [6, 10, 5])
    func known(_ tensor: String, _ inputs: Int, _ scheme: Scheme) throws -> CalibrationStatistics? {
      try file.statistics(
        of: tensor, inputs: inputs, for: scheme, kernels: .best, pool: WorkerPool(threadCount: 1))
    }
    let found = try #require(try known("b", 3, .q4))
    #expect(found.importance == [1.5, 2.5, 1.25])
    #expect(found.factor?.inputs == 3)
    #expect(try known("b", 3, .f16)?.inputs == nil)
    #expect(try known("c", 3, .q4)?.inputs == nil)
    #expect(throws: StatisticsError.self) { try known("a", 4, .q4) }
    // Any reader of safetensors finds the triangle: (0,0) (0,1) (0,2) (1,1) (1,2) (2,2).
    let triangle = try #require(try Expected(file.path).tensor("a.hessian"))
    #expect(triangle.values == [6, 1, 3, 10, 1, 5])
  }

  @Test("what models lost is kept in the file, which stays the same statistics")
  func losses() throws {
    let path = try write()
    let file = try StatisticsFile.open(path: path)
    #expect(file.losses.isEmpty)
    let losses = MeasuredLosses([
      .init(expected: 0.01, measured: 0.02), .init(expected: 0.1, measured: 0.3),
    ])
    #expect(file.keep(losses))
    let again = try StatisticsFile.open(path: path)
    #expect(again.losses == losses && again.fingerprint == file.fingerprint)
    let listing = try #require(try StatisticsListing(path: path))
    #expect(listing.lines.count == 4)
    #expect(listing.json["losses"]?.arrayValue?.count == 2)
    #expect(try damaged { $0.append(self.doubles("vlmz.losses", [0.01, 0.02])) } != nil)
    #expect(
      try damaged { $0.append(self.doubles("vlmz.losses", [Double](repeating: 0, count: 32))) }
        != nil)
  }

  @Test("inspect tells inputs, rows and how few inputs have half of the squares")
  func listing() throws {
    let listing = try #require(try StatisticsListing(path: try write()))
    #expect(listing.lines.count == 2)
    #expect(listing.lines[1].contains("3 inputs, 4 rows"))
    #expect(listing.lines[1].contains("half of the squares in 2, Hessian"))
    #expect(listing.json["groups"]?.arrayValue?.first?["rows"]?.intValue == 4)
    let model = TestFiles.fixture("convnext-cifar10/model.safetensors")
    #expect(try StatisticsListing(path: model)?.lines == nil)
  }

  /// A file like that of `write`, changed.
  private func damaged(
    metadata: String? = nil, _ change: (inout [SafetensorsWriter.Entry]) -> Void = { _ in }
  ) throws -> StatisticsError? {
    var entries = [
      doubles("a.rows", [4]), doubles("a.sums", [4, 4, 3]), doubles("a.squares", [6, 10, 5]),
      .init(name: "a.hessian", shape: [6], floats: [6, 1, 3, 10, 1, 5]),
    ]
    change(&entries)
    let path = folder.path(UUID().uuidString)
    let text = #"{"version":1,"groups":[{"tensors":["a","b"],"inputs":3,"hessian":true}]}"#
    try SafetensorsWriter.write(
      path: path, overwrite: true, metadata: [(StatisticsFile.key, metadata ?? text)],
      tensors: entries)
    do {
      _ = try StatisticsFile.open(path: path)
      return nil
    } catch { return error as? StatisticsError }
  }

  private func doubles(_ name: String, _ values: [Double]) -> SafetensorsWriter.Entry {
    .init(
      name: name, dtype: .f64, shape: [values.count], bytes: values.withUnsafeBytes { Array($0) })
  }

  @Test("a Hessian whose diagonal is not Σ x² is refused when it is asked for")
  func diagonal() throws {
    func known(_ triangle: [Float]) throws -> CalibrationStatistics? {
      let path = folder.path(UUID().uuidString)
      let text = #"{"version":1,"groups":[{"tensors":["a"],"inputs":3,"hessian":true}]}"#
      try SafetensorsWriter.write(
        path: path, overwrite: true, metadata: [(StatisticsFile.key, text)],
        tensors: [
          doubles("a.rows", [4]), doubles("a.sums", [4, 4, 3]), doubles("a.squares", [6, 10, 5]),
          .init(name: "a.hessian", shape: [6], floats: triangle),
        ])
      return try StatisticsFile.open(path: path).statistics(
        of: "a", inputs: 3, for: .q4, kernels: .best, pool: WorkerPool(threadCount: 1))
    }
    #expect(try known([6, 1, 3, 10, 1, 5])?.factor?.inputs == 3)
    #expect(try known([6.001, 1, 3, 10, 1, 5])?.factor?.inputs == 3)
    for wrong in [[6, 1, 3, 12, 1, 5], [0, 1, 3, 10, 1, 5], [.nan, 1, 3, 10, 1, 5]] as [[Float]] {
      #expect(throws: StatisticsError.self) { try known(wrong) }
    }
  }

  @Test("an unfinished file is no statistics, goes when it is dropped, and can be gone on with")
  func unfinished() throws {
    let path = folder.path("s")
    let pool = WorkerPool(threadCount: 1)
    func writer(keeping: Bool) throws -> StatisticsWriter {
      try StatisticsWriter(
        path: path, overwrite: false, groups: [group], provenance: ["tokens": 4], pool: pool,
        keeping: keeping)
    }
    var digest = ""
    do {
      let first = try writer(keeping: true)
      #expect(try !first.holds(["a": "0"]))
      try first.restart()
      digest = try first.write(group, statistics())
    }
    let partial = path + ".partial"
    #expect(throws: StatisticsError.self) { try StatisticsFile.open(path: partial) }
    do {
      let second = try writer(keeping: true)
      #expect(try !second.holds(["a": "0000000000000000"]))
      #expect(try second.holds(["a": digest]))
      try second.commit()
    }
    #expect(try StatisticsFile.open(path: path).moments(of: group).squares == [6, 10, 5])
    #expect(!FileManager.default.fileExists(atPath: partial))
    // What a killed process left is taken over, and goes.
    try FileManager.default.removeItem(atPath: path)
    do {
      let third = try writer(keeping: true)
      try third.restart()
    }
    #expect(FileManager.default.fileExists(atPath: partial))
    do { _ = try writer(keeping: false) }
    #expect(!FileManager.default.fileExists(atPath: partial))
  }

  @Test("files that contradict themselves are refused")
  func malformed() throws {
    #expect(try damaged() == nil)
    for text in [
      "", "[]", #"{"version":2,"groups":[]}"#, #"{"version":1}"#,
      #"{"version":1,"groups":[{"tensors":[],"inputs":3,"hessian":true}]}"#,
      #"{"version":1,"groups":[{"tensors":["a"],"inputs":0,"hessian":true}]}"#,
      #"{"version":1,"groups":[{"tensors":["a"],"inputs":99999999999,"hessian":true}]}"#,
      #"{"version":1,"groups":[{"tensors":["a",1],"inputs":3,"hessian":true}]}"#,
      #"{"version":1,"groups":[{"tensors":["a","a"],"inputs":3,"hessian":true}]}"#,
      #"{"version":1,"groups":[{"tensors":["z"],"inputs":3,"hessian":true}]}"#,
      #"{"version":1,"groups":[{"tensors":["a"],"inputs":4,"hessian":true}]}"#,
    ] {
      #expect(try damaged(metadata: text) != nil, "\(text)")
    }
    #expect(try damaged { $0.removeLast() } != nil)
    #expect(try damaged { $0[0] = doubles("a.rows", [0]) } != nil)
    #expect(try damaged { $0[1] = doubles("a.sums", [.nan, 0, 0]) } != nil)
    #expect(try damaged { $0[2] = doubles("a.squares", [1, -1, 0]) } != nil)
    #expect(try damaged { $0[2] = doubles("a.squares", [1, 1]) } != nil)
  }

  @Test("other files and those that were cut off are errors, not crashes")
  func others() throws {
    let path = try write()
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    for count in [0, 7, 100, bytes.count - 1] {
      let cut = folder.path("cut-\(count)")
      try bytes.prefix(count).write(to: URL(fileURLWithPath: cut))
      #expect(throws: StatisticsError.self) { try StatisticsFile.open(path: cut) }
    }
    let model = TestFiles.fixture("convnext-cifar10/model.safetensors")
    #expect(throws: StatisticsError(path: model, .notStatistics)) {
      try StatisticsFile.open(path: model)
    }
  }
}
