import Foundation
import VLMCheckpoint
import VLMFoundation
import VLMTensor

/// Files that tests read: those of the project, and what may lie beside it.
package enum TestFiles {
  /// The project's root.
  package static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// `../shared`, where present: cases from the field, and what a licence keeps out of the project.
  /// `VLMZ_SHARED` names another folder.
  package static let shared =
    ProcessInfo.processInfo.environment["VLMZ_SHARED"].map { URL(fileURLWithPath: $0) }
    ?? root.deletingLastPathComponent().appendingPathComponent("shared")

  /// What upstream's own code computed.
  package static func golden(_ path: String) -> String { fixture("goldens/" + path) }

  package static func asset(_ path: String) -> String {
    shared.appendingPathComponent("assets").appendingPathComponent(path).path
  }

  /// A situation from the field, with its right values.
  package static func checkpointCase(_ path: String) -> String {
    shared.appendingPathComponent("cases/checkpoints").appendingPathComponent(path).path
  }

  package static func fixture(_ path: String) -> String {
    root.appendingPathComponent("Tests/Fixtures").appendingPathComponent(path).path
  }

  package static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: path)
  }

  /// Whether they are there; a test that needs them is skipped otherwise, with the reason.
  package static let hasAssets = exists(asset("README.md"))
  package static let hasCases = exists(shared.appendingPathComponent("cases").path)
  package static let casesReason = "needs the cases in ../shared, which are not here"
  package static let assetsReason = "needs files in ../shared whose licence keeps them out"
}

/// A folder that disappears with the object.
package final class TemporaryFolder {
  package let url: URL

  package init() throws {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("vlmz-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  package func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}

/// A tensor of expected values.
package struct ExpectedTensor {
  package let shape: [Int]
  package let values: [Float]

  package init(shape: [Int], values: [Float]) {
    self.shape = shape
    self.values = values
  }

  /// Largest magnitude, at least 1: what tolerances are relative to.
  package var scale: Float { max(1, values.reduce(0) { max($0, abs($1)) }) }
}

/// `expected.safetensors` of a golden folder.
package struct Expected {
  private let catalog: TensorCatalog

  package init(_ path: String) throws { catalog = try SafetensorsFile.read(path: path) }

  package var names: [String] { catalog.tensors.map(\.name) }

  /// The tensor called `name`, or nil.
  package func tensor(_ name: String) -> ExpectedTensor? {
    guard let tensor = catalog[name], let values = try? tensor.floats() else { return nil }
    return ExpectedTensor(shape: tensor.shape, values: values)
  }

  /// The expected values of `name` and those of `values` that they stand for: goldens called
  /// `NAME__strideK` hold every K-th row and column of the last two axes.
  package func match(
    _ name: String, shape: [Int], values: [Float]
  ) -> (expected: ExpectedTensor, found: [Float])? {
    if let expected = tensor(name) {
      return expected.shape == shape ? (expected, values) : nil
    }
    guard
      let strided = names.first(where: { $0.hasPrefix(name + "__stride") }),
      let step = Int(strided.dropFirst(name.count + 8)), shape.count >= 2,
      let expected = tensor(strided)
    else { return nil }
    let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
    let planes = values.count / max(1, height * width)
    var found: [Float] = []
    for plane in 0..<planes {
      for y in stride(from: 0, to: height, by: step) {
        for x in stride(from: 0, to: width, by: step) {
          found.append(values[(plane * height + y) * width + x])
        }
      }
    }
    return found.count == expected.values.count ? (expected, found) : nil
  }
}

/// What `body` throws, when it is a `Failure`; nil when it throws nothing or something else.
package func thrownError<Failure: Error, Result>(
  _ type: Failure.Type, by body: () throws -> Result
) -> Failure? {
  do {
    _ = try body()
    return nil
  } catch {
    return error as? Failure
  }
}

/// max |a − b|; infinite when the counts differ or a value is not a number.
package func maxAbsDifference(_ a: [Float], _ b: [Float]) -> Float {
  guard a.count == b.count else { return .infinity }
  var result: Float = 0
  for (x, y) in zip(a, b) {
    let difference = abs(x - y)
    if difference.isNaN { return .infinity }
    result = max(result, difference)
  }
  return result
}

/// Σab / √(Σa² Σb²).
package func cosine(_ a: [Float], _ b: [Float]) -> Double {
  var (dot, aa, bb) = (0.0, 0.0, 0.0)
  for (x, y) in zip(a, b) {
    dot += Double(x) * Double(y)
    aa += Double(x) * Double(x)
    bb += Double(y) * Double(y)
  }
  return dot / (aa * bb).squareRoot()
}

extension TestFiles {
  package static func json(_ path: String) throws -> JSONValue {
    let file = try MappedFile(path: path)
    return try file.withBytes(0..<file.count) { bytes in
      try JSONValue.parse(bytes, limits: JSONLimits(maximumBytes: 64 << 20))
    }
  }
}
