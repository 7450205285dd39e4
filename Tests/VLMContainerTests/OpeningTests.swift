import Foundation
import Testing
import VLMContainer
import VLMTensor

@Suite("Opening a container")
struct OpeningTests {
  @Test(
    "opening maps a large file and touches none of its tensors",
    .enabled(
      if: FileManager.default.isReadableFile(atPath: "/proc/self/smaps"), "no /proc/self/smaps"))
  func untouched() throws {
    let sample = try Sample()
    let size = 64 << 20
    let writer = try ContainerWriter(path: sample.folder.path("big.vlmz"), overwrite: false)
    try writer.beginTensor(
      name: "t", format: TensorFormat(scheme: .f32), role: .vector, shape: [size / 4])
    let piece = [UInt8](repeating: 3, count: 1 << 20)
    for _ in 0..<size >> 20 { try writer.write(piece) }
    try writer.endTensor()
    try writer.add(section: .config, Sample.config)
    _ = try writer.finish()

    let container = try sample.open("big.vlmz")
    _ = try container.section(.config)
    let resident = try #require(try Self.resident("big.vlmz", under: sample.folder.url.path))
    // The kernel maps cached neighbours of a page that is touched, 64 KiB or one large folio.
    #expect(resident < size / 4)
    let range = try #require(container.tensor(named: "t")).range
    #expect(container.file.withBytes(range) { $0[size - 1] } == 3)
  }

  /// Resident bytes of the process's mappings of a file.
  private static func resident(_ name: String, under folder: String) throws -> Int? {
    // The kernel hands such a file out in pieces and states no size.
    let handle = try #require(FileHandle(forReadingAtPath: "/proc/self/smaps"))
    var text = Data()
    while let piece = try handle.read(upToCount: 4096), !piece.isEmpty { text += piece }
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    guard let start = lines.firstIndex(where: { $0.hasSuffix("/\(name)") }) else { return nil }
    let line = lines[start...].first { $0.hasPrefix("Rss:") }
    return line?.split(separator: " ").compactMap { Int($0) }.first.map { $0 << 10 }
  }
}
