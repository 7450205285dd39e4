import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// Memory for activations: f32, 64-byte aligned, zero at first. The second owner of raw memory.
package final class Activations: @unchecked Sendable {
  package let count: Int
  private let memory: ZeroedMemory
  private let base: UnsafeMutablePointer<Float>

  /// For what is small, or part of a plan whose memory was asked for with `ModelError.require`: an
  /// allocation that fails is a trap.
  ///
  /// - Parameter count: elements.
  package init(count: Int) {
    precondition(count >= 0, "element count")
    self.count = count
    memory = ZeroedMemory(byteCount: count * MemoryLayout<Float>.stride)
    base = memory.base.bindMemory(to: Float.self, capacity: max(16, count))
  }

  /// For what may be large and is part of no plan.
  ///
  /// - Parameters:
  ///   - count: elements.
  ///   - what: it is for, for the error.
  /// - Throws: `ModelError` with `.noMemory` when the system refuses it.
  package convenience init(count: Int, for what: String) throws(ModelError) {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
    try ModelError.require(memory: overflow ? .max : bytes, for: what)
    self.init(count: count)
  }

  /// The first `count` elements, for code that fills or reads them as a plain buffer.
  package func withValues<R>(
    _ count: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> R
  ) rethrows -> R {
    precondition(count >= 0 && count <= self.count, "elements inside the buffer")
    return try body(UnsafeMutableBufferPointer(start: base, count: count))
  }

  /// The first `rows * columns` elements as a matrix. The owner outlives the view.
  package func matrix(rows: Int, columns: Int) -> MatrixView {
    precondition(rows >= 0 && columns >= 0 && rows * columns <= count, "matrix inside the buffer")
    return MatrixView(base: base, rows: rows, columns: columns, stride: columns)
  }
}

/// Bytes for quantized activations and kernel scratch, 64-byte aligned.
package final class AlignedBytes: @unchecked Sendable {
  package let count: Int
  private let memory: ZeroedMemory
  let base: UnsafeMutableRawPointer

  package init(count: Int) {
    self.count = count
    memory = ZeroedMemory(byteCount: count)
    base = memory.base
  }
}

/// Zeroed bytes, 64-byte aligned.
///
/// Large ones are pages that the system gives when they are first written: a cache planned for the
/// longest conversation takes memory only as the conversation grows.
private final class ZeroedMemory {
  let base: UnsafeMutableRawPointer
  /// Bytes of the mapping, 0 for what was allocated.
  private let mapped: Int

  private static let smallestMapping = 1 << 20

  init(byteCount: Int) {
    let byteCount = max(64, byteCount)
    if byteCount >= Self.smallestMapping,
      let pages = mmap(
        nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      pages != MAP_FAILED
    {
      base = pages
      mapped = byteCount
    } else {
      base = SystemMemory.pointer(byteCount)
      base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
      mapped = 0
    }
  }

  deinit {
    if mapped > 0 { munmap(base, mapped) } else { base.deallocate() }
  }
}

/// A matrix of f32 in memory that an `Activations` owns: `[rows, columns]`, rows `stride` apart.
///
/// A view is as unsafe as a pointer: whoever splits a matrix over threads gives each its own rows.
package struct MatrixView: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  package let rows: Int
  package let columns: Int
  /// Elements from one row to the next.
  package let stride: Int

  /// The rows of `range`.
  package subscript(range: Range<Int>) -> MatrixView {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows inside the matrix")
    return MatrixView(
      base: base + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride)
  }

  package subscript(row: Int, column: Int) -> Float {
    get {
      precondition(row >= 0 && row < rows && column >= 0 && column < columns, "inside the matrix")
      return base[row * stride + column]
    }
    nonmutating set {
      precondition(row >= 0 && row < rows && column >= 0 && column < columns, "inside the matrix")
      base[row * stride + column] = newValue
    }
  }

  /// The same elements as a matrix with another number of columns.
  ///
  /// - Precondition: the rows lie without gaps and the element count is the same.
  package func reshaped(rows: Int, columns: Int) -> MatrixView {
    precondition(stride == self.columns, "rows without gaps")
    precondition(rows * columns == self.rows * self.columns, "element count")
    return MatrixView(base: base, rows: rows, columns: columns, stride: columns)
  }

  /// The first `rows * columns` elements as a matrix of their own, and the rest as one row.
  ///
  /// - Precondition: this is one row, long enough.
  package func split(rows: Int, columns: Int) -> (MatrixView, MatrixView) {
    let taken = rows * columns
    precondition(self.rows == 1 && taken <= self.columns, "one row, long enough")
    let rest = self.columns - taken
    return (
      MatrixView(base: base, rows: rows, columns: columns, stride: columns),
      MatrixView(base: base + taken, rows: 1, columns: rest, stride: rest)
    )
  }

  /// The elements, row by row.
  package func array() -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(rows * columns)
    for row in 0..<rows {
      result.append(contentsOf: UnsafeBufferPointer(start: base + row * stride, count: columns))
    }
    return result
  }

  /// Copies `values` in, row by row.
  ///
  /// - Precondition: as many values as elements.
  package func assign(_ values: [Float]) {
    precondition(values.count == rows * columns, "element count")
    values.withUnsafeBufferPointer { source in
      guard let start = source.baseAddress else { return }
      for row in 0..<rows {
        (base + row * stride).update(from: start + row * columns, count: columns)
      }
    }
  }

  /// Copies the elements of `other`, which has the same shape.
  package func copy(_ other: MatrixView) {
    precondition(other.rows == rows && other.columns == columns, "same shape")
    for row in 0..<rows {
      (base + row * stride).update(from: other.base + row * other.stride, count: columns)
    }
  }

  /// The elements of one row, for code that reads them as a plain buffer.
  package func withRow<R>(
    _ row: Int, _ body: (UnsafeBufferPointer<Float>) throws -> R
  ) rethrows -> R {
    precondition(row >= 0 && row < rows, "inside the matrix")
    return try body(UnsafeBufferPointer(start: base + row * stride, count: columns))
  }

  /// Multiplies every element.
  package func multiply(by factor: Float) {
    for row in 0..<rows {
      let start = base + row * stride
      for column in 0..<columns { start[column] *= factor }
    }
  }

  package func fill(_ value: Float) {
    for row in 0..<rows { (base + row * stride).update(repeating: value, count: columns) }
  }
}
