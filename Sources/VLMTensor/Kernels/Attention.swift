import CVLMKernels

/// Softmax attention of many query heads over keys and values of as many or fewer heads.
///
/// The matrix of scores never exists: keys are taken a tile at a time, and what was summed before is
/// scaled when a larger score appears.
package struct Attention: Sendable {
  package let queryHeads: Int
  package let keyValueHeads: Int
  package let headDimension: Int
  package let scale: Float
  /// c of `c tanh(score / c)`; 0 for scores as they are.
  package let cap: Float
  let kernels: KernelSet

  /// - Parameters:
  ///   - scale: of the scores; usually 1/√headDimension.
  ///   - cap: what scaled scores approach, 0 for no cap.
  /// - Precondition: `queryHeads` is a multiple of `keyValueHeads`; neighbouring query heads share.
  package init(
    queryHeads: Int, keyValueHeads: Int, headDimension: Int, scale: Float, cap: Float = 0,
    kernels: KernelSet
  ) {
    precondition(keyValueHeads > 0 && queryHeads > 0 && headDimension > 0, "heads")
    precondition(queryHeads % keyValueHeads == 0, "as many query heads for each key-value head")
    self.queryHeads = queryHeads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.scale = scale
    self.cap = cap
    self.kernels = kernels
  }

  /// Space that one thread needs.
  package final class Scratch: @unchecked Sendable {
    let headDimension: Int
    let bytes: AlignedBytes

    package init(_ attention: Attention, kernels: KernelSet) {
      headDimension = attention.headDimension
      bytes = AlignedBytes(
        count: kernels.table.pointee.attention_scratch_bytes(attention.headDimension))
    }
  }

  /// Rows of queries, times the query heads that share keys, that one thread takes at a time.
  static let rowsAtATime = 48
  private static let tilesAtATime = 4
  private static let piecesPerThread = 8

  /// `y = softmax(scale * q kᵀ) v`, heads and rows shared out over `pool`.
  ///
  /// - Parameters:
  ///   - queries: `[rows, queryHeads * headDimension]`, already rotated.
  ///   - count: how many of the stored positions are keys; at least 1.
  ///   - causalFrom: the position of the first row: row r then sees keys `0...causalFrom + r`.
  ///   - window: of causal rows, which see only so many keys, the last ones; nil: all.
  ///   - pairs: whether kernels may round what is in f16 to bf16, as `KernelSet.pairsHalves` has it.
  ///   - output: the same shape as `queries`, and not the same memory.
  ///   - scratches: one for each of the pool's threads.
  package func callAsFunction(
    _ queries: MatrixView, _ kv: KeyValues, count: Int, causalFrom: Int?, window: Int? = nil,
    pairs: Bool = false, into output: MatrixView, scratches: [Scratch], pool: WorkerPool
  ) {
    precondition(queries.columns == queryHeads * headDimension, "queries of all heads")
    precondition(output.columns == queries.columns && output.rows == queries.rows, "same shape")
    precondition(
      kv.heads == keyValueHeads && kv.headDimension == headDimension, "heads of the keys")
    precondition(count >= 1 && count <= kv.capacity, "stored keys")
    precondition(causalFrom ?? 0 >= 0, "a position")
    precondition(window ?? 1 > 0, "a window")
    precondition(scratches.count >= pool.threadCount, "scratch for each thread")
    precondition(scratches.allSatisfy { $0.headDimension >= headDimension }, "scratch of the size")
    let group = queryHeads / keyValueHeads
    let tile = max(1, Self.rowsAtATime / group)
    // Where all rows see all keys, a thread takes some tiles of a head after one another: the keys
    // stay in its cache, and the kernel asks for the next tile's queries.
    let heads = keyValueHeads
    let spare = (queries.rows + tile - 1) / tile * heads / (Self.piecesPerThread * pool.threadCount)
    let rows = causalFrom == nil ? tile * min(Self.tilesAtATime, max(1, spare)) : tile
    let tiles = (queries.rows + rows - 1) / rows
    pool.forEach(count: tiles * heads) { piece, worker in
      // The last rows of a causal tile see most keys: they go first, so that threads end together.
      let start = (causalFrom == nil ? piece % tiles : tiles - 1 - piece / heads) * rows
      let head = causalFrom == nil ? piece / tiles : piece % heads
      let column = head * group * headDimension
      var call = vlm_attention(
        rows: min(rows, queries.rows - start), group: group, count: count,
        causal: causalFrom != nil, position: (causalFrom ?? 0) + start, scale: scale, cap: cap,
        window: window ?? 0, q: queries.base + start * queries.stride + column,
        q_stride: queries.stride,
        kv: kv.head(head), pairs: pairs, pages: nil, page_keys: 0,
        y: output.base + start * output.stride + column,
        y_stride: output.stride, scratch: scratches[worker].bytes.base)
      kernels.table.pointee.attention_f32(&call)
    }
  }
}
