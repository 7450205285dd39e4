import Testing
import VLMCheckpoint
import VLMTestSupport

/// Zip archives with something wrong outside the pickle.
@Suite struct TorchArchiveTests {
  let make: TorchComposer

  init() throws { make = try TorchComposer() }

  private func zip(_ change: (inout Zip) -> Void) -> [UInt8] {
    Zip(TorchComposer.entries(), change).bytes
  }

  private func entry(_ index: Int, _ change: (inout Zip.Entry) -> Void) -> [UInt8] {
    zip { change(&$0.entries[index]) }
  }

  private func with(_ entries: Zip.Entry...) -> [UInt8] {
    Zip(TorchComposer.entries() + entries).bytes
  }

  @Test("a sound archive is read")
  func sound() throws {
    let catalog = try make.read(zip { _ in })
    #expect(catalog.format == .pyTorchZip)
    #expect(try catalog["w"]?.floats() == [1, 2, 3, 4])
    #expect(catalog["w"]?.shape == [2, 2])
  }

  @Test("Z01 an empty zip has no data.pkl")
  func z01() throws { try make.expectRefusal(Zip([]).bytes, "no data.pkl", "empty") }

  @Test("Z02 no end record, a truncated one, and one after a long comment")
  func z02() throws {
    let bytes = zip { _ in }
    try make.expectRefusal(Array(bytes.dropLast(22)), "no end record")
    try make.expectRefusal(Array(bytes.dropLast(1)), "no end record")
    let comment = [UInt8](repeating: 0x20, count: 65_535)
    #expect(try make.refusal(zip { $0.comment = comment }) == nil)
    try make.expectRefusal(zip { $0.comment = [0x20] } + [0, 0], "bytes follow the end")
    try make.expectRefusal(zip { $0.comment = comment } + [0, 0], "no end record")
  }

  @Test("Z03 two end records")
  func z03() throws {
    let second = [0x50, 0x4b, 5, 6] + [UInt8](repeating: 0, count: 18)
    try make.expectRefusal(zip { $0.comment = second }, "two ends")
  }

  @Test("Z04 a 64-bit end record that is elsewhere, missing or contradicts the other")
  func z04() throws {
    try make.expectRefusal(
      zip {
        $0.is64 = true; $0.locatorOffset = 1 << 40
      }, "locator")
    try make.expectRefusal(zip { $0.directoryOffset = .max }, "64-bit end record is missing")
    var bytes = zip { $0.is64 = true }
    bytes.replaceSubrange(bytes.count - 14..<bytes.count - 10, with: [9, 0, 9, 0])
    try make.expectRefusal(bytes, "contradicts")
  }

  @Test("Z05 several disks")
  func z05() throws {
    try make.expectRefusal(zip { $0.disk = 1 }, "several disks")
    try make.expectRefusal(entry(0) { $0.disk = 1 }, "several disks")
  }

  @Test("Z06 entry counts that are not the real one")
  func z06() throws {
    try make.expectRefusal(zip { $0.countOfEntries = 0xffff }, "64-bit end record is missing")
    try make.expectRefusal(zip { $0.countOfEntries = 2 }, "beyond its 2 entries")
    try make.expectRefusal(zip { $0.countOfEntries = 4 }, "cannot have 4 entries")
    try make.expectRefusal(zip { $0.countOfEntries = 9999 }, "cannot have 9999 entries")
  }

  @Test("Z07 a directory outside the file")
  func z07() throws {
    try make.expectRefusal(zip { $0.directoryOffset = 0x7fff_ffff }, "the directory has")
    try make.expectRefusal(zip { $0.directorySize = 0xffff_fffe }, "the directory has")
    try make.expectRefusal(entry(1) { $0.offset = 0x7fff_ffff }, "outside the file")
  }

  @Test("Z08 a local name that differs from the directory's")
  func z08() throws {
    try make.expectRefusal(entry(0) { $0.localName = "a/Data.pkl" }, "another name")
  }

  @Test("Z09 flags: encrypted, unknown, and sizes left to a descriptor")
  func z09() throws {
    try make.expectRefusal(entry(0) { $0.flags = 1 }, "encrypted")
    for flag: UInt16 in [0x20, 0x40, 0x1000] {
      try make.expectRefusal(entry(0) { $0.flags = flag }, "flags", "unknown")
    }
    #expect(try make.refusal(entry(0) { $0.flags = 0x808 }) == nil)
    // A descriptor with another checksum.
    let descriptor = [0x50, 0x4b, 7, 8] + [UInt8](repeating: 1, count: 12)
    try make.expectRefusal(
      zip {
        $0.entries[0].flags = 8
        $0.gap = descriptor
      }, "sizes after the data")
  }

  @Test("Z10 compression: deflate is read, every other method refused")
  func z10() throws {
    let catalog = try make.read(zip { for i in 0..<3 { $0.entries[i].deflates = true } })
    #expect(try catalog["w"]?.floats() == [1, 2, 3, 4])
    for method: UInt16 in [1, 9, 12, 14, 93, 99] {
      try make.expectRefusal(entry(1) { $0.method = method }, "compression method \(method)")
    }
    try make.expectRefusal(entry(1) { $0.method = 8 }, "does not inflate")
  }

  @Test("Z11 a DEFLATE bomb, and an archive in an archive")
  func z11() throws {
    let zeros = [UInt8](repeating: 0, count: 40 << 20)
    let state = Pickled.state([("w", .tensor(.storage(count: 10 << 20), [10 << 20], [1]))])
    var bomb = Zip(TorchComposer.entries(state.pickle(), storage: zeros))
    bomb.entries[1].deflates = true
    try make.expectRefusal(bomb.bytes, "bytes, too many for a file of")
    bomb.entries[1].claimedCount = 64
    try make.expectRefusal(bomb.bytes, "storage 0", "expected")
    try make.expectRefusal(Zip([Zip.Entry("a.zip", zip { _ in })]).bytes, "no data.pkl")
  }

  @Test("Z12 overlapping entries")
  func z12() throws {
    try make.expectRefusal(entry(1) { $0.offset = 0 }, "overlaps")
  }

  @Test("Z13 a stored entry of two sizes")
  func z13() throws {
    try make.expectRefusal(entry(1) { $0.claimedCount = 99 }, "16 bytes but claims 99")
  }

  @Test("Z14 a wrong checksum is refused, and read on demand")
  func z14() throws {
    for index in 0..<2 {
      let bytes = entry(index) { $0.crc = 0x1234 }
      try make.expectRefusal(bytes, "CRC-32", "0x1234", "the file is damaged")
      let catalog = try make.read(bytes, .init(verifiesChecksums: false))
      #expect(try catalog["w"]?.floats() == [1, 2, 3, 4])
    }
  }

  @Test("Z15 a checksum of zero stands for none")
  func z15() throws {
    let catalog = try make.read(entry(1) { $0.crc = 0 })
    #expect(catalog.warnings == ["1 storages have no checksum and were not verified"])
  }

  @Test("Z16 a name twice")
  func z16() throws {
    try make.expectRefusal(with(.init("a/data/0", TorchComposer.floats)), "a/data/0", "twice")
  }

  @Test(
    "Z17 names that are not canonical",
    arguments: ["a/./x", "a//x", "a/x.", "a\\x", "./a", "a/DATA/0", "a/Version"])
  func z17(_ name: String) throws {
    let text = try #require(try make.refusal(with(.init(name, []))))
    #expect(text.contains("plain relative name") || text.contains("differs only by case"))
  }

  @Test(
    "Z18 names that lead out of the archive or cannot be shown",
    arguments: ["a/../x", "../x", "/x", "C:/x", "a/\u{0}", "a/\u{7f}"])
  func z18(_ name: String) throws {
    try make.expectRefusal(with(.init(name, [])), "no plain relative name")
  }

  @Test("Z18 a name of 60 KB")
  func z18Long() throws {
    let name = "a/" + String(repeating: "x", count: 60_000)
    try make.expectRefusal(with(.init(name, [])), "no plain relative name")
  }

  @Test("Z19 entries in two folders")
  func z19() throws {
    try make.expectRefusal(with(.init("b/data/1", [])), "b/data/1", "outside the folder 'a/'")
  }

  @Test("Z20 several data.pkl, or one in an inner folder")
  func z20() throws {
    try make.expectRefusal(with(.init("a/b/data.pkl", [])), "2 entries are called data.pkl")
    try make.expectRefusal(
      Zip(TorchComposer.entries(root: "a/b")).bytes, "not in the archive's first folder")
  }

  @Test("Z21 bytes before the first entry")
  func z21() throws {
    try make.expectRefusal(zip { $0.prefix = [0x50, 0x4b, 3, 4] }, "4 bytes at byte 0")
    try make.expectRefusal(zip { $0.prefix = Array("#!/bin/sh\n".utf8) }, "a script")
    try make.expectRefusal(zip { $0.gap = [0x80, 2, 0x4e, 0x2e] }, "belong to no entry")
  }

  @Test("Z22 bytes after the end")
  func z22() throws {
    try make.expectRefusal(zip { $0.suffix = [0] }, "bytes follow the end")
    try make.expectRefusal(
      zip { $0.suffix = TorchComposer.legacy() }, "bytes follow the end")
  }

  @Test("Z23 byte orders: little, none, big, and no such")
  func z23() throws {
    #expect(try make.refusal(with(.init("a/byteorder", Array("little".utf8)))) == nil)
    let swapped = stride(from: 0, to: 16, by: 4).flatMap { start in
      TorchComposer.floats[start..<start + 4].reversed()
    }
    for deflates in [false, true] {
      var entries = TorchComposer.entries(storage: swapped)
      entries[1].deflates = deflates
      entries.append(.init("a/byteorder", Array("big".utf8)))
      #expect(try make.read(Zip(entries).bytes)["w"]?.floats() == [1, 2, 3, 4])
    }
    try make.expectRefusal(
      with(.init("a/byteorder", Array("middle".utf8))), "byte order is 'middle'")
  }

  @Test("Z24 version entries")
  func z24() throws {
    let unknown = try make.read(entry(2) { $0.data = Array("99\n".utf8) })
    #expect(unknown.warnings == ["version 99 of the archive's format is not known here"])
    try make.expectRefusal(entry(2) { $0.data = Array("x\n".utf8) }, "a/version", "'x'")
    try make.expectRefusal(entry(2) { $0.data = [UInt8](repeating: 0x39, count: 40) }, "a number")
    try make.expectRefusal(entry(2) { $0.data = [UInt8](repeating: 0x39, count: 99) }, "a word")
  }

  @Test("Z25 a TorchScript archive gives its parameters and buffers, not its working memory")
  func z25() throws {
    let state = Pickled.dict([
      (.text("w"), .tensor(.storage(count: 4), [2, 2], [2, 1])),
      (.text("scratch"), .tensor(.storage(count: 4), [4], [1])),
      (.text("training"), .bool(false)),
    ])
    let object = Pickled.global("__torch__.net", "Net").opcodes + [0x29, 0x81]
    let root = Pickled.build(.raw(object), state)
    let code = "class Net(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n"
    var entries = TorchComposer.entries(root.pickle())
    entries.append(.init("a/code/__torch__/net.py", Array(code.utf8)) { $0.deflates = true })
    entries.append(.init("a/constants.pkl", [0x80, 2, 0x29, 0x2e]))
    let catalog = try make.read(Zip(entries).bytes)
    #expect(catalog.format == .torchScript)
    #expect(catalog.tensors.map(\.name) == ["w"])
    // Without its code, all its tensors.
    entries.remove(at: 3)
    #expect(try make.read(Zip(entries).bytes).tensors.map(\.name) == ["w", "scratch"])
  }

  @Test("Z26 extra fields, hidden folders and format marks do no harm")
  func z26() throws {
    var entries = TorchComposer.entries()
    entries[1].extra = [0x46, 0x42, 40, 0] + [UInt8](repeating: 0x5a, count: 40)
    entries.append(.init("a/.data/serialization_id", Array("123".utf8)))
    entries.append(.init("a/.format_version", Array("1".utf8)))
    entries.append(.init("a/data/", []))
    #expect(try make.refusal(Zip(entries).bytes) == nil)
  }

  @Test("Z27 a missing storage is refused, an unused one not")
  func z27() throws {
    try make.expectRefusal(zip { $0.entries.remove(at: 1) }, "storage 0", "missing")
    #expect(try make.refusal(with(.init("a/data/7", [1, 2, 3]))) == nil)
  }

  @Test("Z28 a storage of another size than declared")
  func z28() throws {
    for count in [0, 15, 17, 32] {
      try make.expectRefusal(
        entry(1) { $0.data = [UInt8](repeating: 0, count: count) },
        "has \(count) bytes, expected 4 elements of 4 bytes")
    }
  }

  @Test("Z32 storages at any alignment, in any folder, in 64-bit archives")
  func z32() throws {
    for root in ["x", "some name (1)", "naïve"] {
      for is64 in [false, true] {
        let bytes = Zip(TorchComposer.entries(root: root)) { $0.is64 = is64 }.bytes
        #expect(try make.read(bytes)["w"]?.floats() == [1, 2, 3, 4])
      }
    }
  }
}
