import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@Suite("Weights that are read as they are used")
struct WeightReaderTests {
  private static let partBytes = 300_000
  private static let partCount = 8

  /// A file whose parts begin and end within pages, and have a number of their own in each byte.
  private func file(_ folder: TemporaryFolder) throws -> (MappedFile, [WeightReader.Part]) {
    let content = (0..<Self.partCount).flatMap {
      [UInt8](repeating: UInt8($0 + 1), count: Self.partBytes)
    }
    let file = try MappedFile(path: try folder.write("weights", content))
    let parts = (0..<Self.partCount).map { index in
      let (start, middle) = (index * Self.partBytes, index * Self.partBytes + 100_000)
      let end = start + Self.partBytes
      return WeightReader.Part(name: "\(index)", ranges: [start..<middle, middle + 7..<end])
    }
    return (file, parts)
  }

  private func isWhole(_ file: MappedFile, _ part: WeightReader.Part, _ number: Int) -> Bool {
    part.ranges.allSatisfy { range in
      file.withBytes(range) { bytes in bytes.allSatisfy { $0 == UInt8(number + 1) } }
    }
  }

  @Test("every part has its bytes when it is used, with memory for two of eight")
  func passes() throws {
    let folder = try TemporaryFolder()
    let (file, parts) = try file(folder)
    let reader = WeightReader(file: file, parts: parts) { 2 * Self.partBytes + 10 }
    #expect(reader.byteCount == Self.partCount * (Self.partBytes - 7))
    for _ in 0..<5 {
      for (number, part) in parts.enumerated() {
        reader.use(number)
        reader.use(number)
        #expect(isWhole(file, part, number))
        #expect(reader.bytesHeld <= 2 * Self.partBytes + 10)
      }
    }
    // A pass reads what has no room, and not more than all.
    let (least, most) = (5 * (Self.partCount - 2), 5 * Self.partCount + 1)
    let read = Double(reader.bytesRead) / Double(Self.partBytes)
    #expect(read > Double(least) - 1 && read < Double(most))
  }

  @Test("callers on several threads, each at its own part, all get theirs")
  func threads() throws {
    let folder = try TemporaryFolder()
    let (file, parts) = try file(folder)
    let reader = WeightReader(file: file, parts: parts) { 3 * Self.partBytes }
    let right = Lock()
    nonisolated(unsafe) var count = 0
    let pool = WorkerPool(threadCount: 4)
    pool.forEach(count: 200) { piece, _ in
      let number = piece * 5 % Self.partCount
      reader.use(number)
      let found = isWhole(file, parts[number], number)
      right.withLock { count += found ? 1 : 0 }
    }
    #expect(count == 200)
  }

  @Test("a reader that nobody waits for ends while it reads")
  func ends() throws {
    let folder = try TemporaryFolder()
    let (file, parts) = try file(folder)
    for number in parts.indices {
      let reader = WeightReader(file: file, parts: parts) { .max }
      reader.use(number)
      #expect(reader.bytesRead > 0)
    }
    #expect(isWhole(file, parts[7], 7))
  }

  @Test("bytes that were discarded are read again, and those beside them stay")
  func discarded() throws {
    let folder = try TemporaryFolder()
    let (file, parts) = try file(folder)
    for range in [0..<0, 5..<9, 0..<file.count, 100_000..<200_001, file.count - 3..<file.count] {
      file.beginLoad(range)
      file.finishLoad(range)
      file.discard(range)
      for (number, part) in parts.enumerated() { #expect(isWhole(file, part, number)) }
    }
  }
}
