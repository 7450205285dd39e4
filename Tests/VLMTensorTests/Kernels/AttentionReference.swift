import CVLMKernels
import Foundation

@testable import VLMTensor

/// Attention as the formula says, in Double, one query head after the other.
struct AttentionReference {
  let rows: Int
  let queryHeads: Int
  let keyValueHeads: Int
  let dimension: Int
  let count: Int
  let causalFrom: Int?
  let window: Int?
  let scale: Float
  let cap: Float
  let queries: [Float]
  let keys: [Float]
  let values: [Float]

  init(
    rows: Int, queryHeads: Int, keyValueHeads: Int, dimension: Int, count: Int,
    causalFrom: Int? = nil, window: Int? = nil, cap: Float = 0, spread: Float = 1, seed: UInt64,
    spoiled: Int? = nil
  ) {
    var random = Generator(seed: seed)
    self.rows = rows
    self.queryHeads = queryHeads
    self.keyValueHeads = keyValueHeads
    self.dimension = dimension
    self.count = count
    self.causalFrom = causalFrom
    self.window = window
    self.cap = cap
    scale = 1 / Float(dimension).squareRoot()
    queries = random.floats(rows * queryHeads * dimension, -2 * spread...2 * spread)
    var keys = random.floats(count * keyValueHeads * dimension, -2...2)
    // One key that is not a number.
    if let spoiled { keys[spoiled] = .nan }
    self.keys = keys
    values = random.floats(count * keyValueHeads * dimension, -1...1)
  }

  private func key(_ head: Int, _ position: Int, _ k: Int) -> Double {
    Double(keys[(position * keyValueHeads + head) * dimension + k])
  }

  private func value(_ head: Int, _ position: Int, _ k: Int) -> Double {
    Double(values[(position * keyValueHeads + head) * dimension + k])
  }

  func visible(_ row: Int) -> Int { causalFrom.map { min(count, $0 + row + 1) } ?? count }

  /// The first key that a row sees.
  func first(_ row: Int) -> Int { window.map { max(0, visible(row) - $0) } ?? 0 }

  struct Exact {
    var output: [Double]
    /// Per output, what the rounding errors of a score and a weight can amount to.
    var bound: [Double]
  }

  /// The outputs, and the bound of lanes/attention.inc for f32 keys and values.
  ///
  /// - Parameters:
  ///   - keyError: largest error of a stored key, relative to its head's largest magnitude.
  ///   - valueError: the same of values.
  ///   - queryError: largest error of a query by its products, relative to each dimension.
  ///   - weightError: the same of weights.
  func exact(
    keyError: Double = 0, valueError: Double = 0, queryError: Double = 0, weightError: Double = 0
  ) -> Exact {
    let columns = queryHeads * dimension
    var output = [Double](repeating: 0, count: rows * columns)
    var bound = output
    let epsilon = 0x1p-24
    for row in 0..<rows {
      for head in 0..<queryHeads {
        let shared = head / (queryHeads / keyValueHeads)
        let q = (0..<dimension).map { Double(queries[row * columns + head * dimension + $0]) }
        let n = visible(row)
        var scores: [Double] = []
        // The largest error of a score.
        var scoreError = 0.0
        var largestValue = 0.0
        for j in first(row)..<n {
          var (sum, size, querySize, keySize) = (0.0, 0.0, 0.0, 0.0)
          for k in 0..<dimension {
            sum += q[k] * key(shared, j, k)
            size += abs(q[k] * key(shared, j, k))
            querySize += abs(q[k])
            keySize = max(keySize, abs(key(shared, j, k)))
            largestValue = max(largestValue, abs(value(shared, j, k)))
          }
          let score = sum * Double(scale)
          scores.append(cap > 0 ? Double(cap) * tanh(score / Double(cap)) : score)
          let relative = Double(dimension + 6) * epsilon + queryError
          let rounding = relative * size + keyError * keySize * querySize
          scoreError = max(scoreError, rounding * Double(scale))
        }
        let largest = scores.max() ?? 0
        // What capping adds, see lanes/activations.inc.
        scoreError += 1e-6 * Double(cap)
        scoreError += 2 * epsilon * (largest - (scores.min() ?? 0))
        let weights = scores.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        for k in 0..<dimension {
          let at = row * columns + head * dimension + k
          for j in first(row)..<n {
            output[at] += weights[j - first(row)] * value(shared, j, k)
          }
          output[at] /= total
          let relative = expm1(2 * scoreError) + Double(n + 40) * epsilon + weightError
          bound[at] = (2 * relative + valueError) * largestValue
        }
      }
    }
    return Exact(output: output, bound: bound)
  }

  /// The same by a table, on a pool.
  func run(
    _ kernels: KernelSet, format: KeyValueFormat, pairs: Bool = false, threads: Int = 2,
    capacity: Int? = nil
  ) -> [Float] {
    let kv = KeyValues(
      capacity: capacity ?? count, heads: keyValueHeads, headDimension: dimension, format: format,
      kernels: kernels)
    let attention = Attention(
      queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDimension: dimension, scale: scale,
      cap: cap, kernels: kernels)
    let width = keyValueHeads * dimension
    let owner = Activations(count: count * width * 2 + rows * queryHeads * dimension * 2)
    let all = owner.matrix(rows: 1, columns: owner.count)
    let (k, afterKeys) = all.split(rows: count, columns: width)
    let (v, afterValues) = afterKeys.split(rows: count, columns: width)
    let (q, afterQueries) = afterValues.split(rows: rows, columns: queryHeads * dimension)
    let (y, _) = afterQueries.split(rows: rows, columns: queryHeads * dimension)
    k.assign(keys)
    v.assign(values)
    q.assign(queries)
    // In two pieces, as a prompt and what follows it.
    let pool = WorkerPool(threadCount: threads)
    let first = count / 3
    kv.store(keys: k[0..<first], values: v[0..<first], at: 0)
    kv.store(keys: k[first..<count], values: v[first..<count], at: first, pool: pool)
    let scratches = (0..<threads).map { _ in Attention.Scratch(attention, kernels: kernels) }
    attention(
      q, kv, count: count, causalFrom: causalFrom, window: window, pairs: pairs, into: y,
      scratches: scratches, pool: pool)
    let result = y.array()
    withExtendedLifetime(owner) {}
    return result
  }

  /// The same with keys and values in pages that lie in another order.
  func runPaged(
    _ kernels: KernelSet, format: KeyValueFormat, pagePositions: Int, pairs: Bool = false,
    threads: Int = 2
  ) -> [Float] {
    let pageCount = (count + pagePositions - 1) / pagePositions
    let memory = KeyValuePages(
      pageCount: pageCount + 1, pagePositions: pagePositions, layers: 2, heads: keyValueHeads,
      headDimension: dimension, format: format, kernels: kernels)
    let attention = Attention(
      queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDimension: dimension, scale: scale,
      cap: cap, kernels: kernels)
    let width = keyValueHeads * dimension
    let owner = Activations(count: count * width * 2 + rows * queryHeads * dimension * 2)
    let all = owner.matrix(rows: 1, columns: owner.count)
    let (k, afterKeys) = all.split(rows: count, columns: width)
    let (v, afterValues) = afterKeys.split(rows: count, columns: width)
    let (q, afterQueries) = afterValues.split(rows: rows, columns: queryHeads * dimension)
    let (y, _) = afterQueries.split(rows: rows, columns: queryHeads * dimension)
    k.assign(keys)
    v.assign(values)
    q.assign(queries)
    let table = PageTable(of: memory, positions: count)
    for page in (0..<pageCount).reversed() { table.append(page + 1) }
    let pool = WorkerPool(threadCount: threads)
    let first = count / 3
    for range in [0..<first, first..<count] where !range.isEmpty {
      var part = PagedRows()
      part.append(range.count, at: range.lowerBound, in: table)
      memory.store(
        keys: k[range], values: v[range], as: part, layer: 1,
        pool: range.lowerBound > 0 ? pool : nil)
    }
    // The last row apart from the others, as if it were another sequence's.
    var queried = PagedRows()
    if rows > 1 { queried.append(rows - 1, at: count - rows, in: table) }
    queried.append(1, at: count - 1, in: table)
    let scratches = (0..<threads).map { _ in Attention.Scratch(attention, kernels: kernels) }
    attention(
      q, as: queried, of: memory, layer: 1, window: window, pairs: pairs, into: y,
      scratches: scratches, pool: pool)
    let result = y.array()
    withExtendedLifetime(owner) {}
    return result
  }
}
