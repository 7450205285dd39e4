import CVLMKernels

/// Where the keys and values of one layer lie: head by head, the parts of each on lines of their own.
struct KeyValuePlan {
  private let values: Int
  private let keyScales: Int
  private let valueScales: Int
  private let headDimension: Int
  private let headBytes: Int
  /// Of all heads.
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
    self.headDimension = headDimension
    headBytes = end
    byteCount = total
  }

  private static func roundedUp(_ value: Int, to multiple: Int) -> Int? {
    let (sum, overflow) = value.addingReportingOverflow(multiple - 1)
    return overflow ? nil : sum / multiple * multiple
  }

  static func product(_ a: Int, _ b: Int, _ c: Int) -> Int? {
    let (first, overflow) = a.multipliedReportingOverflow(by: b)
    let (second, overflow2) = first.multipliedReportingOverflow(by: c)
    return overflow || overflow2 ? nil : second
  }

  /// The head number `index` of what begins at `base`.
  func head(_ index: Int, at base: UnsafeMutableRawPointer, format: KeyValueFormat) -> vlm_kv_head {
    let base = base + index * headBytes
    return vlm_kv_head(
      format: format.kernel, head_dim: headDimension, keys: base, values: base + values,
      key_scales: (base + keyScales).assumingMemoryBound(to: Float.self),
      value_scales: (base + valueScales).assumingMemoryBound(to: Float.self))
  }
}
