import Foundation
import Testing
import VLMContainer
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMDelta

@Suite("Deltas of two containers")
struct RoundTripTests {
  let pair: Pair

  init() throws { pair = try Pair() }

  @Test("numbers that changed a little take a fraction of themselves, and what is equal nothing")
  func nudged() throws {
    try pair.writeNudged()
    let summary = try pair.expectRoundTrip()
    #expect(summary.unchangedTensors == 1)
    #expect(summary.changedTensors == 5)
    #expect(summary.newTensors == 0)
    #expect(
      summary.methods.map(\.method) == [.copy, .stored, .patch, .bytes, .words16, .words32]
        || summary.methods.map(\.method) == [.copy, .patch, .bytes, .words16, .words32])
    for method in summary.methods where method.method.wordSize != nil {
      let bound = method.targetBytes / 2
      #expect(method.storedBytes < bound, "\(method)")
    }
    let quarter = summary.target.byteCount / 4
    #expect(summary.byteCount < quarter)
  }

  @Test("equal containers make a delta of one copy")
  func equal() throws {
    try Pair.write(pair.old, Pair.tensors)
    try Pair.write(pair.new, Pair.tensors)
    let summary = try pair.make()
    #expect(summary.methods.map(\.method) == [.copy])
    #expect(summary.methods.map(\.operations) == [1])
    #expect(summary.byteCount == DeltaFormat.headerSize + DeltaFormat.entrySize)
    #expect(summary.base == summary.target)
  }

  @Test("tensors in another order, under other names, new ones and missing ones")
  func rearranged() throws {
    try Pair.write(pair.old, Pair.tensors)
    var others = Array(Pair.tensors.reversed().dropFirst())
    others.append(Pair.Tensor("new", Pair.panels, [16, 320], seed: 9))
    try Pair.write(pair.new, others)
    let summary = try pair.expectRoundTrip()
    #expect(summary.unchangedTensors == 5)
    #expect(summary.newTensors == 1)
    // What was called by another name is found by its bytes.
    var renamed = Pair.Tensor("renamed", Pair.panels, [64, 640], seed: 6)
    renamed.bytes = Pair.tensors[5].bytes
    try Pair.write(pair.new, [renamed])
    #expect(try pair.expectRoundTrip().unchangedTensors == 1)
  }

  @Test("rows behind the others are all that a longer table costs")
  func longer() throws {
    let short = Pair.Tensor("table", Pair.panels, [64, 1024], seed: 1)
    var long = Pair.Tensor("table", Pair.panels, [80, 1024], seed: 2)
    long.bytes.replaceSubrange(0..<short.bytes.count, with: short.bytes)
    try Pair.write(pair.old, [short])
    try Pair.write(pair.new, [long])
    let summary = try pair.expectRoundTrip()
    let bound = long.bytes.count - short.bytes.count + 2048
    #expect(summary.byteCount < bound)
  }

  @Test("tensors of several pieces, of which one changed")
  func pieces() throws {
    let base = Pair.Tensor("t", Pair.panels, [1100, 4096], seed: 1)
    var other = base
    let place = DeltaFormat.piece + 12345
    other.bytes[place] ^= 0x55
    try Pair.write(pair.old, [base])
    try Pair.write(pair.new, [other])
    let summary = try pair.expectRoundTrip()
    let copied = summary.methods.first { $0.method == .copy }
    #expect(copied.map { $0.targetBytes >= DeltaFormat.piece } == true)
    #expect(summary.byteCount < 4096)
  }

  @Test("other schemes, sections raw and compressed, and sections that come and go")
  func sections() throws {
    try Pair.write(pair.old, Pair.tensors, labels: 1000)
    try Pair.write(pair.new, Pair.tensors, labels: 1000, compress: false)
    #expect(try pair.expectRoundTrip().unchangedTensors == Pair.tensors.count)
    try Pair.write(pair.new, Pair.tensors)
    try pair.expectRoundTrip()
    try Pair.write(
      pair.new,
      [Pair.Tensor("q8", TensorFormat(scheme: .q4, layout: .panels), [48, 640], seed: 7)],
      labels: 10)
    #expect(try pair.expectRoundTrip().newTensors == 1)
  }

  @Test("every pair of the golden containers")
  func goldens() throws {
    let files = try Pair.goldenFiles("accept", ending: ".vlmz")
    #expect(files.count >= 14)
    for old in files {
      for new in files {
        let made = try DeltaMaker(from: Container.open(path: old), to: Container.open(path: new))
          .write(to: pair.delta, overwrite: true)
        let size = try Pair.bytes(new).count
        #expect(made.target.byteCount == size)
        let application = DeltaApplication(
          try DeltaFile.open(path: pair.delta), to: try Container.open(path: old))
        #expect(application.isApplied == (old == new))
        guard old != new else { continue }
        try application.check()
        try application.write(to: pair.folder.path("r.vlmz"), overwrite: true)
        let isSame = try pair.folder.read("r.vlmz") == Pair.bytes(new)
        #expect(isSame, "\(old) to \(new)")
      }
    }
  }

  @Test("the same bytes on any number of threads")
  func threads() throws {
    try pair.writeNudged()
    try pair.make()
    let reference = try Pair.bytes(pair.delta)
    let pool = WorkerPool(threadCount: 3)
    let loop: Container.Loop = { count, body in
      pool.forEach(count: count) { piece, _ in body(piece) }
    }
    _ = try DeltaMaker(from: Container.open(path: pair.old), to: Container.open(path: pair.new))
      .write(to: pair.delta, overwrite: true, threads: 3, loop: loop)
    #expect(try Pair.bytes(pair.delta) == reference)
    let application = DeltaApplication(
      try DeltaFile.open(path: pair.delta), to: try Container.open(path: pair.old))
    try application.check(loop: loop)
    try application.write(
      to: pair.folder.path("r.vlmz"), overwrite: false, threads: 3, loop: loop)
    let isSame = try pair.folder.read("r.vlmz") == Pair.bytes(pair.new)
    #expect(isSame)
  }

  @Test("differences of any words are undone", arguments: [1, 2, 4])
  func differences(_ wordSize: Int) {
    var random = SplitMix64(seed: 3)
    let target = (0..<1200).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let base = (0..<1200).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let made = target.withUnsafeBytes { target in
      base.withUnsafeBytes { Difference.make(target, base: $0, wordSize: wordSize) }
    }
    let undone = made.withUnsafeBytes { made in
      base.withUnsafeBytes { Difference.apply(made, base: $0, wordSize: wordSize) }
    }
    #expect(undone == target)
    let none = target.withUnsafeBytes { Difference.make($0, base: $0, wordSize: wordSize) }
    #expect(none == [UInt8](repeating: 0, count: 1200))
  }

  @Test("a small difference of either sign has zeros in its upper bytes")
  func planes() {
    let base: [UInt8] = [0x00, 0x01, 0x00, 0x01, 0xff, 0x00, 0x00, 0x80]
    let target: [UInt8] = [0xff, 0x00, 0x01, 0x01, 0x00, 0x01, 0x00, 0x80]
    let made = target.withUnsafeBytes { target in
      base.withUnsafeBytes { Difference.make(target, base: $0, wordSize: 2) }
    }
    // -1, 1, 1 and 0.
    #expect(made == [1, 2, 2, 0, 0, 0, 0, 0])
  }
}
