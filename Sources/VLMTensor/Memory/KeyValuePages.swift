import CVLMKernels

/// Keys and values of many sequences, of all layers, in pages of a fixed number of positions.
///
/// Whoever owns a sequence says which pages are its own; sequences that begin alike may share them. All
/// pages are one reservation of memory, of which the system gives what is written.
package final class KeyValuePages: @unchecked Sendable {
  package let pageCount: Int
  /// Positions of a page.
  package let pagePositions: Int
  /// Bytes of a page, all layers and heads.
  package let pageBytes: Int
  package let layers: Int
  package let heads: Int
  package let headDimension: Int
  package let format: KeyValueFormat
  private let kernels: KernelSet
  private let plan: KeyValuePlan
  private let bytes: AlignedBytes

  /// Positions of a page are a multiple of this: threads that store share no line.
  package static let panel = 2 * Int(VLM_KV_PANEL)

  /// Bytes that a page takes; nil when their number overflows.
  package static func pageBytes(
    positions: Int, layers: Int, heads: Int, headDimension: Int, format: KeyValueFormat
  ) -> Int? {
    KeyValuePlan(capacity: positions, heads: heads, headDimension: headDimension, format: format)
      .flatMap { KeyValuePlan.product($0.byteCount, layers, 1) }
  }

  /// - Precondition: `pageBytes` of the same is not nil, times `pageCount` it does not overflow, and
  ///   `pagePositions` is a multiple of `panel`.
  package init(
    pageCount: Int, pagePositions: Int, layers: Int, heads: Int, headDimension: Int,
    format: KeyValueFormat, kernels: KernelSet
  ) {
    let plan = KeyValuePlan(
      capacity: pagePositions, heads: heads, headDimension: headDimension, format: format)
    guard let plan else { preconditionFailure("a size that was checked") }
    precondition(pagePositions > 0 && pagePositions % Self.panel == 0, "whole panels")
    self.pageCount = pageCount
    self.pagePositions = pagePositions
    self.layers = layers
    self.heads = heads
    self.headDimension = headDimension
    self.format = format
    self.kernels = kernels
    self.plan = plan
    pageBytes = plan.byteCount * layers
    bytes = AlignedBytes(count: pageBytes * pageCount)
  }

  /// A head of a layer, in page 0.
  func head(_ index: Int, layer: Int) -> vlm_kv_head {
    plan.head(index, at: bytes.base + layer * plan.byteCount, format: format)
  }

  /// Stores rows at their positions, over what was there.
  ///
  /// - Parameters:
  ///   - keys: `[rows, heads * headDimension]`, already rotated.
  ///   - values: the same shape.
  ///   - rows: which positions they are.
  ///   - pool: shares them out; nil: the calling thread stores them all.
  package func store(
    keys: MatrixView, values: MatrixView, as rows: PagedRows, layer: Int, pool: WorkerPool?
  ) {
    precondition(keys.columns == heads * headDimension, "keys of all heads")
    precondition(values.columns == keys.columns && values.rows == keys.rows, "a value per key")
    precondition(keys.rows == rows.count && layer >= 0 && layer < layers, "rows of a layer")
    let runs = rows.runs(panel: Self.panel)
    let storeRun = { (piece: Int, _: Int) in
      let run = runs[piece]
      let page = run.table.page(holding: run.position)
      precondition(page < self.pageCount, "a page of these")
      let base = self.bytes.base + page * self.pageBytes + layer * self.plan.byteCount
      for head in 0..<self.heads {
        var place = self.plan.head(head, at: base, format: self.format)
        let column = head * self.headDimension
        self.kernels.table.pointee.store_keys_values(
          &place, run.position % self.pagePositions, run.count,
          keys.base + run.row * keys.stride + column, keys.stride,
          values.base + run.row * values.stride + column, values.stride)
      }
    }
    if let pool {
      pool.forEach(count: runs.count, storeRun)
    } else {
      for piece in runs.indices { storeRun(piece, 0) }
    }
  }
}

/// Which pages hold the positions of a sequence, in their order.
package final class PageTable: @unchecked Sendable {
  /// The page of each `pagePositions` positions.
  package private(set) var pages: [Int] = []
  private let pagePositions: Int
  private let pageBytes: Int
  private let capacity: Int
  /// Bytes from page 0 to each of them.
  private let distances: AlignedBytes

  /// - Parameter positions: of the longest sequence.
  package init(of memory: KeyValuePages, positions: Int) {
    pagePositions = memory.pagePositions
    pageBytes = memory.pageBytes
    capacity = (positions + pagePositions - 1) / pagePositions
    distances = AlignedBytes(count: capacity * MemoryLayout<Int>.stride)
  }

  /// Positions that the pages have room for.
  package var positions: Int { pages.count * pagePositions }

  package func append(_ page: Int) {
    precondition(pages.count < capacity && page >= 0, "room in the table")
    kernelPages[pages.count] = page * pageBytes
    pages.append(page)
  }

  func page(holding position: Int) -> Int { pages[position / pagePositions] }

  /// What kernels read.
  var kernelPages: UnsafeMutablePointer<Int> {
    distances.base.assumingMemoryBound(to: Int.self)
  }
}

/// Rows of a matrix that are positions of sequences, one sequence after the other.
package struct PagedRows: Sendable {
  package struct Part: Sendable {
    /// The part's rows of the matrix.
    package let rows: Range<Int>
    /// Of the first row; the others follow.
    package let position: Int
    package let table: PageTable
  }

  package private(set) var parts: [Part] = []
  /// Rows of all parts.
  package private(set) var count = 0

  package init() {}

  /// Appends rows.
  ///
  /// - Precondition: the table has pages for them.
  package mutating func append(_ rows: Int, at position: Int, in table: PageTable) {
    precondition(rows > 0 && position >= 0, "rows at a position")
    precondition(position + rows <= table.positions, "pages for the rows")
    parts.append(Part(rows: count..<count + rows, position: position, table: table))
    count += rows
  }

  /// The same positions without the rows that are not in `kept`, which ascend.
  package func keeping(_ kept: [Int]) -> PagedRows {
    var result = PagedRows()
    var rest = kept[...]
    for part in parts {
      while let row = rest.first, part.rows.contains(row) {
        result.append(1, at: part.position + row - part.rows.lowerBound, in: part.table)
        rest.removeFirst()
      }
    }
    return result
  }

  /// Rows that one thread stores at a time.
  struct Run {
    let row: Int
    let position: Int
    let count: Int
    let table: PageTable
  }

  /// All rows, cut where `panel` positions end.
  func runs(panel: Int) -> [Run] {
    var runs: [Run] = []
    for part in parts {
      var at = 0
      while at < part.rows.count {
        let position = part.position + at
        let count = min(part.rows.count - at, panel - position % panel)
        runs.append(
          Run(
            row: part.rows.lowerBound + at, position: position, count: count, table: part.table))
        at += count
      }
    }
    return runs
  }
}
