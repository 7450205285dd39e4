import CVLMKernels

/// How keys and values are kept.
package enum KeyValueFormat: String, Sendable, CaseIterable {
  case f32
  /// Rounded to nearest; what is past 65504 becomes infinite.
  case f16
  /// int8 with one scale per position and head.
  case q8
  /// Rounded to nearest. A set of kernels with products of bf16 rounds queries and weights too.
  case bf16

  var kernel: vlm_kv_format {
    switch self {
    case .f32: VLM_KV_F32
    case .f16: VLM_KV_F16
    case .q8: VLM_KV_Q8
    case .bf16: VLM_KV_BF16
    }
  }

  var elementBytes: Int { vlm_kv_element_bytes(kernel) }
}

/// Keys and values of one layer (or of one image): planned once, never grows.
///
/// They lie in the order in which attention reads them, head by head; `vlm_kv_head` says how. What
/// is not stored yet is zero.
package final class KeyValues: @unchecked Sendable {
  package let capacity: Int
  package let heads: Int
  package let headDimension: Int
  package let format: KeyValueFormat
  private let kernels: KernelSet
  private let plan: Plan
  private let bytes: AlignedBytes

  /// Where the parts of one head lie.
  private struct Plan {
    let values: Int
    let keyScales: Int
    let valueScales: Int
    let headBytes: Int
    let byteCount: Int

    init?(capacity: Int, heads: Int, headDimension: Int, format: KeyValueFormat) {
      guard capacity >= 0, heads >= 0, headDimension >= 0,
        let positions = Self.roundedUp(capacity, to: Int(VLM_KV_PANEL)),
        let columns = Self.roundedUp(headDimension, to: 16),
        let rows = Self.roundedUp(headDimension, to: format == .bf16 ? 32 : 1),
        let keys = Self.product(positions, rows, format.elementBytes),
        let values = Self.product(positions, columns, format.elementBytes),
        let scales = Self.product(positions, format == .q8 ? 4 : 0, 1)
      else { return nil }
      var end = 0
      // Whole lines, so that no two parts share one.
      func place(_ size: Int) -> Int? {
        guard let size = Self.roundedUp(size, to: 64) else { return nil }
        let (sum, overflow) = end.addingReportingOverflow(size)
        guard !overflow else { return nil }
        defer { end = sum }
        return end
      }
      guard place(keys) != nil, let values = place(values), let keyScales = place(scales),
        let valueScales = place(scales), let total = Self.product(end, heads, 1)
      else { return nil }
      self.values = values
      self.keyScales = keyScales
      self.valueScales = valueScales
      headBytes = end
      byteCount = total
    }

    static func roundedUp(_ value: Int, to multiple: Int) -> Int? {
      let (sum, overflow) = value.addingReportingOverflow(multiple - 1)
      return overflow ? nil : sum / multiple * multiple
    }

    static func product(_ a: Int, _ b: Int, _ c: Int) -> Int? {
      let (first, overflow) = a.multipliedReportingOverflow(by: b)
      let (second, overflow2) = first.multipliedReportingOverflow(by: c)
      return overflow || overflow2 ? nil : second
    }
  }

  /// Bytes that keys and values take, nil when their number overflows.
  package static func byteCount(
    capacity: Int, heads: Int, headDimension: Int, format: KeyValueFormat
  ) -> Int? {
    Plan(capacity: capacity, heads: heads, headDimension: headDimension, format: format)?.byteCount
  }

  /// - Parameter kernels: what stores them; any set stores the same bits.
  /// - Precondition: `byteCount` of the same is not nil.
  package init(
    capacity: Int, heads: Int, headDimension: Int, format: KeyValueFormat,
    kernels: KernelSet = .best
  ) {
    let plan = Plan(capacity: capacity, heads: heads, headDimension: headDimension, format: format)
    guard let plan else { preconditionFailure("a size that was checked") }
    self.capacity = capacity
    self.heads = heads
    self.headDimension = headDimension
    self.format = format
    self.plan = plan
    self.kernels = kernels
    bytes = AlignedBytes(count: plan.byteCount)
  }

  /// Stores some rows as the positions from `position` on, over what was there.
  ///
  /// - Parameters:
  ///   - keys: `[rows, heads * headDimension]`, already rotated.
  ///   - values: the same shape.
  ///   - pool: shares the positions out; nil: the calling thread stores them all.
  package func store(
    keys: MatrixView, values: MatrixView, at position: Int, pool: WorkerPool? = nil
  ) {
    precondition(keys.columns == heads * headDimension, "keys of all heads")
    precondition(values.columns == keys.columns && values.rows == keys.rows, "a value per key")
    precondition(
      position >= 0 && position <= capacity && keys.rows <= capacity - position, "room for the rows"
    )
    guard keys.rows > 0 else { return }
    // Some positions of all heads rather than all positions of a head: rows are read from end to
    // end. Panels are whole, so that no two threads write to one.
    let panel = Int(VLM_KV_PANEL)
    let first = position / panel
    let storePanel = { (piece: Int, _: Int) in
      let start = max(position, (first + piece) * panel) - position
      let end = min(keys.rows, (first + piece + 1) * panel - position)
      for head in 0..<self.heads {
        var place = self.head(head)
        let column = head * self.headDimension
        self.kernels.table.pointee.store_keys_values(
          &place, position + start, end - start, keys.base + start * keys.stride + column,
          keys.stride, values.base + start * values.stride + column, values.stride)
      }
    }
    let panels = (position + keys.rows - 1) / panel - first + 1
    if let pool {
      pool.forEach(count: panels, storePanel)
    } else {
      for piece in 0..<panels { storePanel(piece, 0) }
    }
  }

  /// All that is stored, for tests that compare instruction sets.
  var storedBytes: [UInt8] {
    Array(UnsafeRawBufferPointer(start: bytes.base, count: plan.byteCount))
  }

  func head(_ index: Int) -> vlm_kv_head {
    let base = bytes.base + index * plan.headBytes
    return vlm_kv_head(
      format: format.kernel, head_dim: headDimension, keys: base, values: base + plan.values,
      key_scales: (base + plan.keyScales).assumingMemoryBound(to: Float.self),
      value_scales: (base + plan.valueScales).assumingMemoryBound(to: Float.self))
  }
}
