import CVLMKernels

/// A scheme whose matrices are stored in panels of 16 outputs (`vlm_blocks.h`).
///
/// In all functions `rowCount` is 1...16 and `inputs` is 1...65,536; `PanelEncoder` and `PanelFault`
/// have checked them.
package protocol PanelScheme: SchemeDescriptor {
  /// Bytes of one panel, a multiple of 64: the function of `vlm_blocks.h` that the kernels use.
  static func panelByteCount(inputs: Int) -> Int

  /// Whether the encoder minimises an error that `CalibrationStatistics.importance` weighs.
  static var usesImportance: Bool { get }
  /// Whether the encoder makes use of `CalibrationStatistics.hessian`.
  static var usesHessian: Bool { get }

  /// Encodes up to 16 rows as one panel.
  ///
  /// - Parameters:
  ///   - panel: `panelByteCount` bytes, all of which are written. They depend on `source` alone:
  ///     neither on the processor nor on threads.
  ///   - encoder: the functions of one instruction set.
  /// - Returns: the error against the rows, unweighted.
  static func encode(
    _ source: PanelSource, into panel: UnsafeMutableRawPointer,
    with encoder: UnsafePointer<vlm_encoder>
  ) -> QuantizationError

  /// Decodes the first `rowCount` outputs: output n, input k to `rows[n * rowStride + k]`. Any bytes
  /// are decoded without a trap.
  static func decode(
    panel: UnsafeRawPointer, inputs: Int, rowCount: Int, into rows: UnsafeMutablePointer<Float>,
    rowStride: Int)

  /// The first rule of `formats/blocks.md` that a panel breaks whose first `rowCount` outputs are
  /// real; nil for a sound one.
  static func fault(in panel: UnsafeRawPointer, inputs: Int, rowCount: Int) -> PanelFault?

  /// The arrays that a panel consists of, as `vlm-convert extract --codes` writes them; none for a
  /// scheme whose values stand in its panels themselves.
  static var parts: [PanelPart] { get }
}

extension PanelScheme {
  package static var panels: (any PanelScheme.Type)? { self }
  package static var usesImportance: Bool { false }
  package static var usesHessian: Bool { false }
  package static var parts: [PanelPart] { [] }
}

/// Up to 16 outputs of a matrix, to be encoded as one panel.
package struct PanelSource {
  /// `rows[n * rowStride + k]` is the weight of output n for input k.
  let rows: UnsafePointer<Float>
  /// 1...16.
  let rowCount: Int
  let rowStride: Int
  /// 1...65,536, and the inputs of `statistics` too.
  let inputs: Int
  let statistics: CalibrationStatistics?

  /// Runs an encoder of the C library on these rows.
  ///
  /// - Parameter weighs: whether the encoder takes the importance of inputs where no Hessian is known.
  func encode(
    by function: (UnsafePointer<vlm_encode_panel>?, UnsafeMutablePointer<vlm_encode_stats>?) ->
      Void,
    weighs: Bool = false, into panel: UnsafeMutableRawPointer
  ) -> QuantizationError {
    let scratch = UnsafeMutableRawPointer.allocate(
      byteCount: vlm_encode_scratch_bytes(inputs), alignment: 64)
    defer { scratch.deallocate() }
    var call = vlm_encode_panel()
    (call.rows, call.row_count, call.row_stride) = (rows, rowCount, rowStride)
    (call.inputs, call.panel, call.scratch) = (inputs, panel, scratch)
    func run() -> QuantizationError {
      var stats = vlm_encode_stats()
      function(&call, &stats)
      return QuantizationError(stats)
    }
    if let factor = statistics?.factor {
      return factor.withPointers { values, pivots, order, weights in
        (call.factor, call.pivots, call.order, call.importance) = (values, pivots, order, weights)
        return run()
      }
    }
    guard weighs, let importance = statistics?.importance else { return run() }
    return importance.withUnsafeBufferPointer {
      call.importance = $0.baseAddress
      return run()
    }
  }
}

/// One of the arrays that a panel consists of: its codes, its scales.
package struct PanelPart: Sendable {
  /// What the tensor's name is followed by, as in ".codes".
  package let suffix: String
  package let type: DType
  /// Values of one output for so many inputs; nil where there is one, without an axis of its own.
  package let width: (@Sendable (_ inputs: Int) -> Int)?
  /// The values of the panel's first outputs, `[rows][width]` little-endian.
  ///
  /// - Precondition: `panel` has the bytes of one panel.
  package let read:
    @Sendable (_ panel: UnsafeRawBufferPointer, _ inputs: Int, _ rows: Int) -> [UInt8]

  /// The scales of all outputs, f32, at `offset` in a panel.
  static func scales(at offset: @escaping @Sendable (_ inputs: Int) -> Int) -> PanelPart {
    PanelPart(suffix: ".scales", type: .f32, width: nil) { panel, inputs, rows in
      let start = offset(inputs)
      return Array(panel[start..<start + rows * MemoryLayout<Float>.size])
    }
  }

  /// An array of bytes, each found by its output and its place among the output's `width` values.
  static func bytes(
    _ suffix: String, _ type: DType, width: @escaping @Sendable (_ inputs: Int) -> Int,
    _ value:
      @escaping @Sendable (
        _ panel: UnsafeRawBufferPointer, _ inputs: Int, _ row: Int, _ place: Int
      ) -> UInt8
  ) -> PanelPart {
    PanelPart(suffix: suffix, type: type, width: width) { panel, inputs, rows in
      let count = width(inputs)
      var result = [UInt8](repeating: 0, count: rows * count)
      for row in 0..<rows {
        for place in 0..<count { result[row * count + place] = value(panel, inputs, row, place) }
      }
      return result
    }
  }
}
