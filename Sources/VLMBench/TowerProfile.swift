import CVLMKernels
import CVLMPeak
import VLMTensor
import VLMZ

/// Where the time of a tower goes, measured inside the tower: its kernels are wrapped in a table
/// that counts, so caches are as they are.
package struct TowerProfile: Sendable {
  package struct Part: Sendable {
    package let name: String
    /// Seconds of one image, over all threads.
    package let seconds: Double
  }

  package let name: CaseName
  /// Seconds of one image from start to end.
  package let wallSeconds: Double
  package let parts: [Part]

  /// Order of `vlm_counted`.
  private static let partNames = [
    "products with activation", "products", "quantize", "depthwise", "layer norm",
    "epilogue after OpenBLAS", "activation, GRN", "attention",
  ]

  /// Runs the tower `runs` times on the counting table.
  ///
  /// - Throws: `BenchError` when `name` is no tower or its kernels cannot run.
  package static func measure(_ name: CaseName, runs: Int) throws -> TowerProfile {
    guard case .tower(let model, let scheme, let side) = name.work else {
      throw BenchError(
        .caseName("\(name)", part: "operation", found: name.operation, expected: "a tower"))
    }
    let kernels = try Benchmark.kernels(named: name.isa)
    guard let table = vlm_counted_kernels(kernels.table) else {
      throw BenchError(.unavailableKernels(name.isa, available: []))
    }
    let towers = try Towers()
    let tower = try towers.tower(
      model, scheme, kernels: KernelSet(table: table), threads: name.threads)
    towers.removeFiles()
    let image = Towers.image(side: side)
    try tower.run(image)
    var counts = [UInt64](repeating: 0, count: Int(VLM_COUNTED_KINDS.rawValue))
    vlm_counted_take(&counts)
    let wall = try Clock.seconds { for _ in 0..<runs { try tower.run(image) } }
    vlm_counted_take(&counts)
    let scale = 1 / Double(runs)
    var parts = zip(partNames, counts).map { Part(name: $0, seconds: Double($1) * 1e-9 * scale) }
    let counted = parts.reduce(0) { $0 + $1.seconds }
    let isFloat = scheme.matrixLayout == .rowMajor
    parts.append(
      Part(
        name: isFloat ? "OpenBLAS, gathering, waiting" : "gathering, waiting, the rest",
        seconds: max(0, wall * scale * Double(name.threads) - counted)))
    return TowerProfile(
      name: name, wallSeconds: wall * scale, parts: parts.filter { $0.seconds > 0 })
  }
}
