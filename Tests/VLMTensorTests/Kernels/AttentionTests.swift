import CVLMKernels
import Testing

@testable import VLMTensor

@Suite("attention")
struct AttentionTests {
  static let sets = KernelSet.all.map(\.name)

  /// Compares with the formula; the bound is that of lanes/attention.inc.
  func check(
    _ reference: AttentionReference, _ name: String, _ format: KeyValueFormat = .f32,
    keyError: Double = 0, valueError: Double = 0, pairs: Bool = false
  ) throws {
    let kernels = try #require(KernelSet(named: name))
    let halves = pairs && kernels.pairsHalves
    let rounds = halves || format == .bf16 && kernels.multipliesPairs
    let exact = reference.exact(
      keyError: keyError + (halves ? 0x1p-9 : 0), valueError: valueError + (halves ? 0x1p-9 : 0),
      queryError: rounds ? 0x1.01p-9 : 0, weightError: rounds ? 0x1p-8 : 0)
    let found = reference.run(kernels, format: format, pairs: pairs)
    let worst = found.indices.map { abs(Double(found[$0]) - exact.output[$0]) / exact.bound[$0] }
    #expect((worst.max() ?? 0) <= 1, "\(name), \(format), \(reference.dimension) dimensions")
    if format == .f32 {
      let largest = exact.output.map(abs).max() ?? 0
      let error = found.indices.map { abs(Double(found[$0]) - exact.output[$0]) }.max() ?? 0
      #expect(error <= 1e-5 * largest)
    }
  }

  @Test("it is the formula, for all sizes of heads", arguments: sets, [8, 16, 64, 80, 128])
  func dimensions(name: String, dimension: Int) throws {
    for (rows, count) in [(1, 1), (7, 63), (65, 130)] {
      try check(
        AttentionReference(
          rows: rows, queryHeads: 4, keyValueHeads: 2, dimension: dimension, count: count, seed: 31),
        name)
    }
  }

  @Test("it is the formula over many keys", arguments: sets)
  func manyKeys(name: String) throws {
    for rows in [1, 7, 65] {
      try check(
        AttentionReference(
          rows: rows, queryHeads: 3, keyValueHeads: 1, dimension: 16, count: 577, seed: 32), name)
    }
  }

  @Test("query heads share keys in any ratio", arguments: sets)
  func groups(name: String) throws {
    for (queryHeads, heads) in [(1, 1), (9, 3), (8, 1), (5, 5), (32, 4), (71, 1)] {
      for rows in [1, 3] {
        try check(
          AttentionReference(
            rows: rows, queryHeads: queryHeads, keyValueHeads: heads, dimension: 16, count: 40,
            seed: 33), name)
      }
    }
  }

  @Test("a causal row sees what is before it and itself", arguments: sets)
  func causal(name: String) throws {
    for (rows, from) in [(1, 0), (7, 0), (65, 0), (65, 13), (1, 200), (8, 505), (200, 300)] {
      try check(
        AttentionReference(
          rows: rows, queryHeads: 4, keyValueHeads: 2, dimension: 16, count: from + rows,
          causalFrom: from, seed: 34), name)
    }
  }

  @Test("a row with a window sees the last keys alone, itself among them", arguments: sets)
  func windows(name: String) throws {
    for (rows, from, window) in [
      (1, 0, 1), (7, 0, 3), (26, 0, 5), (30, 13, 20), (1, 600, 300), (4, 505, 255), (3, 300, 256),
      (2, 510, 257), (5, 20, 4000),
    ] {
      let reference = AttentionReference(
        rows: rows, queryHeads: 4, keyValueHeads: 2, dimension: 16, count: from + rows,
        causalFrom: from, window: window, seed: 44)
      try check(reference, name)
      let kernels = try #require(KernelSet(named: name))
      for format in KeyValueFormat.allCases where !(format == .bf16 && kernels.multipliesPairs) {
        let whole = reference.run(kernels, format: format)
        let paged = reference.runPaged(kernels, format: format, pagePositions: 32)
        #expect(paged == whole, "\(format), \(rows) rows, a window of \(window)")
      }
    }
  }

  @Test("capped scores are the formula, with a window and without", arguments: sets)
  func caps(name: String) throws {
    for (cap, spread) in [(Float(50), Float(1)), (3, 1), (50, 40), (0.5, 300)] {
      for window in [nil, 33] {
        try check(
          AttentionReference(
            rows: 5, queryHeads: 3, keyValueHeads: 1, dimension: 24, count: 305, causalFrom: 300,
            window: window, cap: cap, spread: spread, seed: 45), name)
      }
    }
  }

  @Test("large scores neither overflow nor lose the answer", arguments: sets)
  func largeScores(name: String) throws {
    let reference = AttentionReference(
      rows: 3, queryHeads: 2, keyValueHeads: 1, dimension: 64, count: 300, spread: 300, seed: 35)
    let kernels = try #require(KernelSet(named: name))
    let exact = reference.exact()
    let found = reference.run(kernels, format: .f32)
    for i in found.indices {
      #expect(abs(Double(found[i]) - exact.output[i]) <= min(exact.bound[i], 0.01))
    }
  }

  @Test("halves and bytes stay within the error of their rounding", arguments: sets)
  func stored(name: String) throws {
    for (rows, dimension, count) in [(1, 64, 577), (7, 80, 63), (65, 8, 65), (1, 128, 33)] {
      let reference = AttentionReference(
        rows: rows, queryHeads: 6, keyValueHeads: 2, dimension: dimension, count: count,
        causalFrom: rows > count ? nil : count - rows, seed: 36)
      // f16 keeps 11 bits; q8 rounds to 1/254 of the largest.
      try check(reference, name, .f16, keyError: 0x1p-11, valueError: 0x1p-11)
      try check(reference, name, .q8, keyError: 0.00394, valueError: 0.00394)
      // bf16 keeps 8 bits.
      try check(reference, name, .bf16, keyError: 0x1p-9, valueError: 0x1p-9)
    }
  }

  @Test(
    "pairs of bf16 are right for odd sizes, with all keys and with those before", arguments: sets)
  func pairs(name: String) throws {
    for (rows, dimension, count) in [
      (1, 3, 1), (5, 20, 31), (49, 96, 129), (50, 33, 577), (200, 64, 257), (3, 130, 300),
    ] {
      for causal in [false, true] where !causal || rows <= count {
        let reference = AttentionReference(
          rows: rows, queryHeads: 2, keyValueHeads: 1, dimension: dimension, count: count,
          causalFrom: causal ? count - rows : nil, seed: 40)
        try check(reference, name, .bf16, keyError: 0x1p-9, valueError: 0x1p-9)
      }
    }
  }

  @Test(
    "f16 in pairs of bf16 is the formula, for odd sizes and with caps and windows", arguments: sets)
  func halvesInPairs(name: String) throws {
    for (rows, dimension, count) in [
      (1, 3, 1), (5, 20, 31), (49, 96, 129), (50, 33, 577), (200, 64, 257), (3, 130, 300),
    ] {
      for (window, cap) in [(nil, Float(0)), (50, 0), (nil, 9)] {
        let causalFrom = rows <= count ? count - rows : nil
        let reference = AttentionReference(
          rows: rows, queryHeads: 3, keyValueHeads: 1, dimension: dimension, count: count,
          causalFrom: causalFrom, window: causalFrom == nil ? nil : window, cap: cap, seed: 46)
        try check(reference, name, .f16, keyError: 0x1p-11, valueError: 0x1p-11, pairs: true)
      }
    }
  }

  @Test(
    "a row of f16 in pairs has the same bits alone, among others, on more threads and in pages",
    arguments: sets)
  func halvesInPairsApart(name: String) throws {
    let kernels = try #require(KernelSet(named: name))
    for (rows, dimension, count) in [(97, 40, 300), (1, 64, 300), (8, 24, 577), (50, 33, 257)] {
      let reference = AttentionReference(
        rows: rows, queryHeads: 6, keyValueHeads: 2, dimension: dimension, count: count,
        causalFrom: count - rows, seed: 47)
      let alone = reference.run(kernels, format: .f16, pairs: true, threads: 1)
      #expect(reference.run(kernels, format: .f16, pairs: true, threads: 3) == alone)
      #expect(reference.run(kernels, format: .f16, pairs: true, capacity: 999) == alone)
      for positions in [32, 64, 96, 1024] {
        let paged = reference.runPaged(
          kernels, format: .f16, pagePositions: positions, pairs: true)
        #expect(paged == alone, "\(name), \(rows) rows, pages of \(positions)")
      }
      let plain = reference.run(kernels, format: .f16, threads: 1)
      #expect((plain == alone) == !kernels.pairsHalves, "\(name) rounds or does not")
    }
  }

  @Test("a row of bf16 has the same bits alone, among others and on more threads", arguments: sets)
  func pairsApart(name: String) throws {
    let kernels = try #require(KernelSet(named: name))
    for causalFrom in [nil, 203] {
      let reference = AttentionReference(
        rows: 97, queryHeads: 4, keyValueHeads: 2, dimension: 40, count: 300,
        causalFrom: causalFrom, seed: 41)
      let alone = reference.run(kernels, format: .bf16, threads: 1)
      #expect(reference.run(kernels, format: .bf16, threads: 3) == alone)
      #expect(reference.run(kernels, format: .bf16, threads: 2, capacity: 999) == alone)
    }
  }

  @Test("the number of threads and the room left change no bit", arguments: sets)
  func threads(name: String) throws {
    let kernels = try #require(KernelSet(named: name))
    for rows in [1, 2, 50] {
      let reference = AttentionReference(
        rows: rows, queryHeads: 6, keyValueHeads: 3, dimension: 16, count: 300,
        causalFrom: 300 - rows, seed: 37)
      let alone = reference.run(kernels, format: .f16, threads: 1)
      #expect(reference.run(kernels, format: .f16, threads: 3) == alone)
      #expect(reference.run(kernels, format: .f16, threads: 2, capacity: 999) == alone)
    }
  }

  @Test("pages change no bit, whatever their size and order", arguments: sets)
  func pages(name: String) throws {
    let kernels = try #require(KernelSet(named: name))
    var compared = 0
    for (rows, dimension, count) in [(1, 64, 300), (1, 16, 32), (50, 24, 577), (3, 80, 257)] {
      let reference = AttentionReference(
        rows: rows, queryHeads: 6, keyValueHeads: 3, dimension: dimension, count: count,
        causalFrom: count - rows, seed: 42)
      for format in KeyValueFormat.allCases {
        // Without pages these sets have bf16 in products of their own.
        if format == .bf16, kernels.multipliesPairs { continue }
        let whole = reference.run(kernels, format: format)
        for positions in [32, 64, 96, 1024] {
          #expect(
            reference.runPaged(kernels, format: format, pagePositions: positions) == whole,
            "\(name), \(format), pages of \(positions)")
          compared += 1
        }
      }
    }
    #expect(compared >= 48)
  }

  @Test("all sets store the same bits", arguments: KeyValueFormat.allCases)
  func storedBits(format: KeyValueFormat) throws {
    var random = Generator(seed: 38)
    let (rows, heads, dimension) = (37, 2, 24)
    let spread = random.floats(rows * heads * dimension, -1...1)
    let keys = spread.enumerated().map {
      $1 * Float(sign: .plus, exponent: $0 % 40 - 28, significand: 1)
    }
    let values = spread.reversed().map { $0 * 30 }
    var first: [UInt8]?
    for kernels in KernelSet.all {
      let kv = KeyValues(
        capacity: 50, heads: heads, headDimension: dimension, format: format, kernels: kernels)
      let k = Activations(count: keys.count)
      let v = Activations(count: keys.count)
      k.matrix(rows: rows, columns: heads * dimension).assign(keys)
      v.matrix(rows: rows, columns: heads * dimension).assign(values)
      kv.store(
        keys: k.matrix(rows: rows, columns: heads * dimension),
        values: v.matrix(rows: rows, columns: heads * dimension), at: 5)
      let stored = kv.storedBytes
      #expect(first == nil || first == stored, "\(kernels.name)")
      first = first ?? stored
    }
    #expect(first?.contains { $0 != 0 } == true)
  }

  @Test("a key or a value that is not finite gives an answer that is not", arguments: sets)
  func notFinite(name: String) throws {
    let kernels = try #require(KernelSet(named: name))
    for format in KeyValueFormat.allCases {
      let reference = AttentionReference(
        rows: 1, queryHeads: 1, keyValueHeads: 1, dimension: 16, count: 20, seed: 39,
        spoiled: 7 * 16 + 3)
      #expect(!reference.run(kernels, format: format).contains { $0.isFinite }, "\(format)")
    }
  }

  @Test("the size of keys and values is that of the plan, and nil where it overflows")
  func byteCount() throws {
    let f16 = KeyValues.byteCount(capacity: 2048, heads: 3, headDimension: 64, format: .f16)
    let positions: Int = 2048 * 3
    let halfBytes: Int = positions * 64 * 4
    #expect(f16 == halfBytes)
    let q8 = KeyValues.byteCount(capacity: 2048, heads: 3, headDimension: 64, format: .q8)
    let codeBytes: Int = positions * 136
    #expect(q8 == codeBytes)
    #expect(KeyValues.byteCount(capacity: 0, heads: 0, headDimension: 0, format: .q8) == 0)
    for capacity in [Int.max, Int.max / 8, -1] {
      #expect(
        KeyValues.byteCount(capacity: capacity, heads: 8, headDimension: 128, format: .f32) == nil)
    }
  }
}
