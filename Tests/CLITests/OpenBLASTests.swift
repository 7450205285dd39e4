import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Machines on which OpenBLAS cannot be had.
@Suite("Without OpenBLAS")
struct OpenBLASTests {
  /// Probabilities of the sample model at f32, as a command says them.
  private func probabilities(
    _ folder: TemporaryFolder, _ environment: [String: String] = [:], prelude: String? = nil
  ) throws -> [Double] {
    let model = folder.path("model.vlmz")
    if !FileManager.default.fileExists(atPath: model) {
      let converted = try CommandRunner.convert(
        TestFiles.fixture("convnext-cifar10"), model, "--f32", "-q")
      try #require(converted.status == 0, "\(converted.errors)")
    }
    let picture = TestFiles.fixture("pngsuite/basn2c08.png")
    let arguments = [model, picture, "--json", "--top", "10"]
    let outcome =
      try prelude.map { try RunningCommand("vlm-run", arguments, prelude: $0).finish() }
      ?? CommandRunner.run("vlm-run", arguments, environment: environment)
    try #require(outcome.status == 0, "\(outcome.errors)")
    let json = try JSONValue.parse(Array(outcome.output.utf8))
    let top = try #require(json.arrayValue?.first?["top"]?.arrayValue)
    let pairs = top.compactMap { entry -> (Int, Double)? in
      guard let index = entry["index"]?.intValue else { return nil }
      return entry["probability"]?.doubleValue.map { (index, $0) }
    }
    return pairs.sorted { $0.0 < $1.0 }.map(\.1)
  }

  private func expectClose(_ found: [Double], _ expected: [Double]) {
    #expect(found.count == 10 && expected.count == 10)
    for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-5) }
  }

  @Test("an f32 model runs on our own kernels where the library is damaged")
  func damaged() throws {
    let folder = try TemporaryFolder()
    let usual = try probabilities(folder)
    try folder.write("libopenblas.so.0", [])
    expectClose(try probabilities(folder, ["LD_LIBRARY_PATH": folder.path("")]), usual)
  }

  @Test("and where address space is limited")
  func limited() throws {
    let folder = try TemporaryFolder()
    let usual = try probabilities(folder)
    let limited = try probabilities(folder, prelude: "ulimit -v 500000; export VLM_THREADS=2")
    expectClose(limited, usual)
  }
}
