import CVLMKernels
import VLMTensor

/// What only language models need.
extension KernelCases {
  func rmsNorm(_ name: CaseName, _ rows: Int, _ columns: Int) -> PreparedCase {
    let (x, y) = (random(rows * columns), Floats(count: rows * columns))
    let weight = random(columns)
    let (pool, norm) = (pool, table.rms_norm_f32)
    return PreparedCase(
      name: name, operations: 4 * Double(rows * columns), bytes: 8 * Double(rows * columns),
      bound: name.bound
    ) {
      Self.split(rows, step: Self.tileRows(columns: columns), pool) { range, _ in
        let start = range.lowerBound * columns
        norm?(
          range.count, columns, x.base + start, columns, weight.base, 1e-6, y.base + start, columns)
      }
      withExtendedLifetime((x, y, weight)) {}
    }
  }

  /// One row reads the keys and values of many layers in turn, as decoding does: from memory.
  func attention(
    _ name: CaseName, _ format: KeyValueFormat, _ rows: Int, _ keys: Int, _ heads: Int,
    _ keyValueHeads: Int, _ dimension: Int
  ) -> PreparedCase {
    let attention = Attention(
      queryHeads: heads, keyValueHeads: keyValueHeads, headDimension: dimension,
      scale: 1 / Float(dimension).squareRoot(), kernels: kernels)
    let width = keyValueHeads * dimension
    let stored = random(2 * keys * width)
    let source = Activations(count: stored.count)
    source.withValues(stored.count) { values in
      for index in 0..<stored.count { values[index] = stored.base[index] }
    }
    let both = source.matrix(rows: 2 * keys, columns: width)
    let bytes =
      KeyValues.byteCount(
        capacity: keys, heads: keyValueHeads, headDimension: dimension, format: format) ?? 1
    let copies = rows == 1 ? max(1, Self.streamedBytes / bytes) : 1
    let layers = (0..<copies).map { _ in
      let kv = KeyValues(
        capacity: keys, heads: keyValueHeads, headDimension: dimension, format: format)
      kv.store(keys: both[0..<keys], values: both[keys..<2 * keys], at: 0)
      return kv
    }
    let owner = Activations(count: 2 * rows * heads * dimension)
    let (q, rest) = owner.matrix(rows: 1, columns: owner.count).split(
      rows: rows, columns: heads * dimension)
    let y = rest.reshaped(rows: rows, columns: heads * dimension)
    q.fill(0.5)
    let scratches = (0..<pool.threadCount).map { _ in Attention.Scratch(attention, kernels: kernels)
    }
    let pool = pool
    // Row r of the last `rows` sees keys - rows + r + 1 positions.
    let pairs = Double(rows) * Double(keys - rows) + Double(rows) * Double(rows + 1) / 2
    var turn = 0
    return PreparedCase(
      name: name, operations: 4 * pairs * Double(heads * dimension), bytes: Double(bytes),
      bound: name.bound
    ) {
      let kv = layers[turn]
      turn = (turn + 1) % copies
      attention(
        q, kv, count: keys, causalFrom: keys - rows, into: y, scratches: scratches, pool: pool)
      withExtendedLifetime(owner) {}
    }
  }
}
