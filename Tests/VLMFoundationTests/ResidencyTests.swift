import Testing
import VLMFoundation
import VLMTestSupport

/// Whether a file's pages are in memory, and bringing them there.
struct ResidencyTests {
  @Test("what was just written or loaded is in memory, by any sample and any range")
  func resident() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("file", [UInt8](repeating: 7, count: 300_001))
    let file = try MappedFile(path: path)
    for range in [0..<300_001, 4095..<4097, 100_000..<100_001, 5..<5] {
      // Systems older than Linux 5.14 cannot; they say so.
      _ = file.load(range, next: 1 << 20)
      for samples in [1, 3, 512] {
        #expect(file.residentShare(range, samples: samples) == 1)
      }
    }
    #expect(file.withBytes(300_000..<300_001) { $0[0] } == 7)
  }

  @Test("what the system reads ahead is that of the file's disk, and nothing where it does not say")
  func readAhead() throws {
    let folder = try TemporaryFolder()
    let file = try MappedFile(path: try folder.write("file", [1]))
    func found(_ name: String, _ text: String) -> Int {
      file.readAheadByteCount { path in
        path.hasPrefix("/sys/dev/block/") && path.hasSuffix(name) ? text : nil
      }
    }
    #expect(found("/queue/read_ahead_kb", "128\n") == 128 << 10)
    #expect(found("/../queue/read_ahead_kb", "4096\n") == 4096 << 10)
    #expect(found("/queue/read_ahead_kb", "-1") == 0)
    #expect(found("/queue/read_ahead_kb", "much") == 0)
    #expect(file.readAheadByteCount { _ in nil } == 0)
  }

  @Test("a file of no bytes is loaded without a call")
  func empty() throws {
    let folder = try TemporaryFolder()
    let file = try MappedFile(path: try folder.write("empty", []))
    #expect(file.residentShare(0..<0) == 1)
    #expect(file.load(0..<0))
  }
}
