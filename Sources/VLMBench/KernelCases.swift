import CVLMKernels
import CVLMSystem
import VLMFoundation
import VLMTensor

/// Single operations on random values, the work split over threads as the models split theirs.
struct KernelCases {
  let kernels: KernelSet
  let pool: WorkerPool
  let table: vlm_kernels

  init(kernels: KernelSet, pool: WorkerPool) {
    self.kernels = kernels
    self.pool = pool
    table = kernels.table.pointee
  }

  /// Larger than the caches of the machines we know: what a gemv reads must come from memory.
  static let streamedBytes = 256 << 20
  /// Matrix rows that a tile has, as the models cut theirs: about 1 MiB.
  static func tileRows(columns: Int) -> Int { max(64, min(256, (1 << 18) / columns)) }

  /// - Precondition: not a whole model.
  func prepare(_ name: CaseName) throws -> PreparedCase {
    switch name.work {
    case .product(let scheme, let rows, let inputs, let outputs):
      try product(name, scheme, rows, inputs, outputs)
    case .depthwise(let kernel, let height, let width, let channels):
      depthwise(name, kernel, height, width, channels)
    case .layerNorm(let rows, let columns): layerNorm(name, rows, columns)
    case .gelu(let rows, let columns): gelu(name, rows, columns)
    case .quantize(let rows, let columns): quantize(name, rows, columns)
    case .rmsNorm(let rows, let columns): rmsNorm(name, rows, columns)
    case .attention(let format, let rows, let keys, let heads, let shared, let dimension):
      attention(name, format, rows, keys, heads, shared, dimension)
    case .tower, .language, .speculation, .answers: preconditionFailure("an operation, not a model")
    }
  }

  /// Values in -1 ..< 1.
  func random(_ count: Int) -> Floats {
    let result = Floats(count: count)
    var numbers = SplitMix64(seed: UInt64(count))
    for index in 0..<count { result.base[index] = numbers.next(in: 1) }
    return result
  }

  /// Calls `body` with ranges that fill `0..<count`, `step` long, on all threads.
  static func split(
    _ count: Int, step: Int, _ pool: WorkerPool, _ body: (Range<Int>, _ worker: Int) -> Void
  ) {
    pool.forEach(count: (count + step - 1) / step) { piece, worker in
      body(piece * step..<min(count, (piece + 1) * step), worker)
    }
  }

  private func product(
    _ name: CaseName, _ scheme: Scheme, _ rows: Int, _ inputs: Int, _ outputs: Int
  ) throws -> PreparedCase {
    let kernel = scheme.kernel(in: kernels)
    guard let multiply = kernel.multiply else {
      return floatProduct(name, rows, inputs, outputs)
    }
    let format = TensorFormat(scheme: scheme, layout: .panels)
    let panels = (outputs + TensorFormat.panelOutputs - 1) / TensorFormat.panelOutputs
    let first = random(TensorFormat.panelOutputs * inputs)
    let values = Array(UnsafeBufferPointer(start: first.base, count: first.count))
    let panel = try TensorEncoder.encode(
      values: values, shape: [TensorFormat.panelOutputs, inputs], format: format
    ).bytes
    let matrixBytes = panels * panel.count
    let copies = rows == 1 ? max(1, Self.streamedBytes / matrixBytes) : 1
    let weights = Bytes(count: copies * matrixBytes)
    for index in 0..<copies * panels {
      panel.withUnsafeBytes { bytes in
        UnsafeMutableRawBufferPointer(
          start: weights.base + index * panel.count, count: bytes.count
        ).copyMemory(from: bytes)
      }
    }

    let x = random(rows * inputs)
    let y = Floats(count: rows * outputs)
    let bias = random(outputs)
    let stride = MatrixProduct.quantizedStride(inputs)
    let isQuantized = kernel.takesCodes
    let quantized = Bytes(count: isQuantized ? rows * stride : 0)
    let quants = Bytes(count: rows * MemoryLayout<vlm_row_quant>.stride)
    let rowQuants = quants.base.assumingMemoryBound(to: vlm_row_quant.self)
    if isQuantized {
      table.quantize_rows_u8(
        rows, inputs, x.base, inputs, quantized.base.assumingMemoryBound(to: UInt8.self), stride,
        rowQuants)
    }
    let scratchBytes = (table.gemm_scratch_bytes(inputs) + 63) / 64 * 64
    let scratch = Bytes(count: pool.threadCount * scratchBytes)
    let tile = Self.tileRows(columns: max(inputs, outputs))
    let byRows = rows > tile
    let panelStep = max(1, panels / (4 * pool.threadCount))
    let (pool, elementBytes) = (pool, isQuantized ? 1 : 4)
    let xStride = isQuantized ? stride : inputs
    var turn = 0
    return PreparedCase(
      name: name, operations: 2 * Double(rows) * Double(inputs) * Double(outputs),
      bytes: Double(matrixBytes + rows * (inputs * elementBytes + outputs * 4)), bound: name.bound
    ) {
      let matrix = weights.base + turn * matrixBytes
      turn = (turn + 1) % copies
      Self.split(byRows ? rows : panels, step: byRows ? tile : panelStep, pool) { range, worker in
        let taken = byRows ? range : 0..<rows
        var call = vlm_gemm(
          rows: taken.count, inputs: inputs, outputs: outputs,
          x: (isQuantized ? quantized.base : UnsafeMutableRawPointer(x.base))
            + taken.lowerBound * xStride * elementBytes,
          x_stride: xStride, x_quant: rowQuants + taken.lowerBound, weights: matrix,
          panel_begin: byRows ? 0 : range.lowerBound, panel_end: byRows ? panels : range.upperBound,
          y: y.base + taken.lowerBound * outputs, y_stride: outputs,
          epilogue: vlm_epilogue(
            bias: bias.base, gamma: nil, residual: nil, residual_stride: 0,
            activation: VLM_ACTIVATION_NONE),
          scratch: scratch.base + worker * scratchBytes, outliers: nil, outliers_per_row: 0)
        multiply(&call)
      }
      withExtendedLifetime((weights, x, y, bias, quantized, quants, scratch)) {}
    }
  }

  /// OpenBLAS's product, which chooses its instructions by itself.
  private func floatProduct(
    _ name: CaseName, _ rows: Int, _ inputs: Int, _ outputs: Int
  ) -> PreparedCase {
    let matrixCount = inputs * outputs
    let copies = rows == 1 ? max(1, Self.streamedBytes / (4 * matrixCount)) : 1
    let (x, y) = (random(rows * inputs), Floats(count: rows * outputs))
    let weights = random(copies * matrixCount)
    let tile = Self.tileRows(columns: max(inputs, outputs))
    let byRows = rows > tile
    let (pool, step) = (pool, max(1, outputs / (4 * self.pool.threadCount)))
    var turn = 0
    return PreparedCase(
      name: name, operations: 2 * Double(rows) * Double(matrixCount),
      bytes: 4 * Double(matrixCount + rows * (inputs + outputs)), bound: name.bound
    ) {
      let matrix = weights.base + turn * matrixCount
      turn = (turn + 1) % copies
      Self.split(byRows ? rows : outputs, step: byRows ? tile : step, pool) { range, _ in
        let taken = byRows ? range : 0..<rows
        let columns = byRows ? 0..<outputs : range
        vlm_sgemm(
          taken.count, columns.count, inputs, x.base + taken.lowerBound * inputs, inputs,
          matrix + columns.lowerBound * inputs, 0,
          y.base + taken.lowerBound * outputs + columns.lowerBound, outputs)
      }
      withExtendedLifetime((weights, x, y)) {}
    }
  }

  private func depthwise(
    _ name: CaseName, _ kernel: Int, _ height: Int, _ width: Int, _ channels: Int
  ) -> PreparedCase {
    let count = height * width * channels
    let (x, y) = (random(count), Floats(count: count))
    let weights = random(kernel * kernel * channels)
    let bias = random(channels)
    let step = max(1, Self.tileRows(columns: 4 * channels) / width)
    let (pool, depthwise) = (pool, table.depthwise_f32)
    return PreparedCase(
      name: name, operations: 2 * Double(count * kernel * kernel), bytes: 8 * Double(count),
      bound: name.bound
    ) {
      Self.split(height, step: step, pool) { lines, _ in
        var call = vlm_depthwise(
          height: height, width: width, channels: channels, kernel: kernel, dilation: 1,
          row_begin: lines.lowerBound, row_end: lines.upperBound, x: x.base, weights: weights.base,
          bias: bias.base, y: y.base + lines.lowerBound * width * channels)
        depthwise?(&call)
      }
      withExtendedLifetime((x, y, weights, bias)) {}
    }
  }

  private func layerNorm(_ name: CaseName, _ rows: Int, _ columns: Int) -> PreparedCase {
    let (x, y) = (random(rows * columns), Floats(count: rows * columns))
    let (weight, bias) = (random(columns), random(columns))
    let (pool, norm) = (pool, table.layer_norm_f32)
    return PreparedCase(
      name: name, operations: 7 * Double(rows * columns), bytes: 8 * Double(rows * columns),
      bound: name.bound
    ) {
      Self.split(rows, step: Self.tileRows(columns: columns), pool) { range, _ in
        let start = range.lowerBound * columns
        norm?(
          range.count, columns, x.base + start, columns, weight.base, bias.base, 1e-6,
          y.base + start, columns)
      }
      withExtendedLifetime((x, y, weight, bias)) {}
    }
  }

  private func gelu(_ name: CaseName, _ rows: Int, _ columns: Int) -> PreparedCase {
    let count = rows * columns
    let (x, y) = (random(count), Floats(count: count))
    let (pool, activation) = (pool, table.activation_f32)
    return PreparedCase(
      name: name, operations: Double(count), bytes: 8 * Double(count), bound: name.bound
    ) {
      Self.split(count, step: 1 << 16, pool) { range, _ in
        activation?(
          range.count, VLM_ACTIVATION_GELU, x.base + range.lowerBound, y.base + range.lowerBound)
      }
      withExtendedLifetime((x, y)) {}
    }
  }

  private func quantize(_ name: CaseName, _ rows: Int, _ columns: Int) -> PreparedCase {
    let stride = MatrixProduct.quantizedStride(columns)
    let x = random(rows * columns)
    let codes = Bytes(count: rows * stride)
    let quants = Bytes(count: rows * MemoryLayout<vlm_row_quant>.stride)
    let (pool, quantize) = (pool, table.quantize_rows_u8)
    return PreparedCase(
      name: name, operations: 4 * Double(rows * columns), bytes: 5 * Double(rows * columns),
      bound: name.bound
    ) {
      Self.split(rows, step: Self.tileRows(columns: columns), pool) { range, _ in
        quantize?(
          range.count, columns, x.base + range.lowerBound * columns, columns,
          codes.base.assumingMemoryBound(to: UInt8.self) + range.lowerBound * stride, stride,
          quants.base.assumingMemoryBound(to: vlm_row_quant.self) + range.lowerBound)
      }
      withExtendedLifetime((x, codes, quants)) {}
    }
  }
}

/// Memory of a case, 64-byte aligned. Threads write parts of it that do not overlap.
final class Bytes: @unchecked Sendable {
  let count: Int
  let base: UnsafeMutableRawPointer

  init(count: Int) {
    self.count = count
    base = .allocate(byteCount: max(64, count), alignment: 64)
    // Written once, so that no case pays for its first touch.
    base.initializeMemory(as: UInt8.self, repeating: 0, count: max(64, count))
  }

  deinit { base.deallocate() }
}

/// As `Bytes`, of f32.
final class Floats: @unchecked Sendable {
  let count: Int
  let base: UnsafeMutablePointer<Float>
  private let bytes: Bytes

  init(count: Int) {
    self.count = count
    bytes = Bytes(count: 4 * count)
    base = bytes.base.bindMemory(to: Float.self, capacity: max(16, count))
  }
}
