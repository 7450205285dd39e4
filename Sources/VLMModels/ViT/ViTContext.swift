import VLMFoundation
import VLMTensor

/// Memory of one pass of a `ViT`, planned once for one size of image.
package final class ViTContext: @unchecked Sendable {
  package let height: Int
  package let width: Int
  /// Patches.
  package let grid: MapExtent
  package let tokenCount: Int
  /// The residual stream: `[tokens, width]`.
  let tokens: Activations
  let transformer: TransformerContext
  private let pixelBuffer: Activations

  /// - Parameter format: the tower's `keyValueFormat`.
  /// - Throws: `ModelError` when the image has no whole patch, or needs more memory than the
  ///   machine has.
  package init(
    _ config: ViTConfig, height: Int, width: Int, format: KeyValueFormat, pool: WorkerPool,
    kernels: KernelSet
  ) throws(ModelError) {
    let plan = try ViTPlan(config, height: height, width: width, format: format)
    try MemoryLimit.check(plan.byteCount, height: height, width: width)
    self.height = height
    self.width = width
    grid = plan.grid
    tokenCount = plan.tokenCount
    pixelBuffer = Activations(count: height * width * 3)
    tokens = Activations(count: tokenCount * config.encoder.width)
    transformer = TransformerContext(
      config.encoder, rows: tokenCount, inputs: config.patchInputs, format: format, pool: pool,
      kernels: kernels)
  }

  /// Room for the normalised image, channels last: `[height * width, 3]`.
  package var pixels: MatrixView { pixelBuffer.matrix(rows: height * width, columns: 3) }
}

/// Sizes of everything that a pass needs, from shapes alone.
struct ViTPlan {
  let grid: MapExtent
  let tokenCount: Int
  /// Nil when it overflows.
  let byteCount: Int?

  init(
    _ config: ViTConfig, height: Int, width: Int, format: KeyValueFormat
  ) throws(ModelError) {
    let patch = config.patchSize
    // Larger images are refused by memory; this keeps the arithmetic from overflowing.
    guard height >= patch, width >= patch, height <= 1 << 20, width <= 1 << 20 else {
      throw ModelError(
        .image(
          found: "\(width)×\(height) pixels",
          expected: "at least \(patch)×\(patch), one patch"))
    }
    grid = config.grid(height: height, width: width)
    tokenCount = grid.count + (config.usesClassToken ? 1 : 0)
    let layers = TransformerPlan(config.encoder, rows: tokenCount, inputs: config.patchInputs)
    let own = (height * width * 3 + 2 * tokenCount * config.encoder.width) * 4
    byteCount = layers.byteCount(format).flatMap { bytes in
      let (sum, overflow) = bytes.addingReportingOverflow(own)
      return overflow ? nil : sum
    }
  }
}

/// How much of the machine's memory activations may take.
enum MemoryLimit {
  /// Bytes beside the plan: what each thread's kernels work in.
  private static let workingBytes = 4 << 20

  /// - Throws: `ModelError` naming the image when `bytes`, nil for too many to count, are more
  ///   than is planned with, or than the system gives.
  static func check(_ bytes: Int?, height: Int, width: Int) throws(ModelError) {
    let memory = Machine.memory
    if let bytes, bytes <= memory.planned {
      return try ModelError.require(
        memory: bytes + workingBytes, for: "a picture of \(width)×\(height)")
    }
    throw ModelError(
      .memory(
        "a picture of \(width)×\(height)", needed: bytes, limit: memory.text, .smallerSide))
  }
}
