import CVLMKernels

extension Attention {
  /// `y = softmax(scale * q kᵀ) v` of rows that each see the positions of their sequence up to their own.
  /// The same bits as without pages, whatever other rows there are.
  ///
  /// - Parameters:
  ///   - queries: `[rows, queryHeads * headDimension]`, already rotated.
  ///   - rows: which positions they are; their keys and values are stored.
  ///   - window: how many positions a row sees, the last ones; nil: all.
  ///   - pairs: whether kernels may round what is in f16 to bf16, as `KernelSet.pairsHalves` has it.
  ///   - output: the same shape as `queries`, and not the same memory.
  ///   - scratches: one for each of the pool's threads.
  package func callAsFunction(
    _ queries: MatrixView, as rows: PagedRows, of memory: KeyValuePages, layer: Int,
    window: Int? = nil, pairs: Bool = false, into output: MatrixView, scratches: [Scratch],
    pool: WorkerPool
  ) {
    precondition(queries.columns == queryHeads * headDimension, "queries of all heads")
    precondition(output.columns == queries.columns && output.rows == queries.rows, "same shape")
    precondition(queries.rows == rows.count, "positions of all rows")
    precondition(window ?? 1 > 0, "a window")
    precondition(
      memory.heads == keyValueHeads && memory.headDimension == headDimension, "heads of the keys")
    precondition(scratches.count >= pool.threadCount, "scratch for each thread")
    precondition(scratches.allSatisfy { $0.headDimension >= headDimension }, "scratch of the size")
    let group = queryHeads / keyValueHeads
    let height = max(1, Self.rowsAtATime / group)
    var tiles: [(part: PagedRows.Part, rows: Range<Int>)] = []
    for part in rows.parts {
      var start = 0
      while start < part.rows.count {
        tiles.append((part, start..<min(part.rows.count, start + height)))
        start += height
      }
    }
    // Those that see most keys go first, so that threads end together.
    tiles.sort { $0.part.position + $0.rows.upperBound > $1.part.position + $1.rows.upperBound }
    let heads = keyValueHeads
    pool.forEach(count: tiles.count * heads) { piece, worker in
      let (part, rows) = tiles[piece / heads]
      let head = piece % heads
      let (column, first) = (head * group * headDimension, part.rows.lowerBound + rows.lowerBound)
      let position = part.position + rows.lowerBound
      var call = vlm_attention(
        rows: rows.count, group: group, count: position + rows.count, causal: true,
        position: position, scale: scale, cap: cap, window: window ?? 0,
        q: queries.base + first * queries.stride + column,
        q_stride: queries.stride, kv: memory.head(head, layer: layer),
        pairs: pairs, pages: part.table.kernelPages, page_keys: memory.pagePositions,
        y: output.base + first * output.stride + column, y_stride: output.stride,
        scratch: scratches[worker].bytes.base)
      kernels.table.pointee.attention_f32(&call)
    }
  }
}
