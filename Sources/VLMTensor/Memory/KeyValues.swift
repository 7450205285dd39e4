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
  private let plan: KeyValuePlan
  private let bytes: AlignedBytes

  /// Bytes that keys and values take, nil when their number overflows.
  package static func byteCount(
    capacity: Int, heads: Int, headDimension: Int, format: KeyValueFormat
  ) -> Int? {
    KeyValuePlan(
      capacity: capacity, heads: heads, headDimension: headDimension, format: format)?.byteCount
  }

  /// - Parameter kernels: what stores them; any set stores the same bits.
  /// - Precondition: `byteCount` of the same is not nil.
  package init(
    capacity: Int, heads: Int, headDimension: Int, format: KeyValueFormat,
    kernels: KernelSet = .best
  ) {
    let plan = KeyValuePlan(
      capacity: capacity, heads: heads, headDimension: headDimension, format: format)
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

  func head(_ index: Int) -> vlm_kv_head { plan.head(index, at: bytes.base, format: format) }
}
