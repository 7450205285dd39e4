import CCodecs
import Testing
import VLMCheckpoint
import VLMTensor
import VLMTestSupport

/// A valid or invalid pickle, composed from opcodes.
indirect enum Pickled: Sendable {
  case none
  case bool(Bool)
  case int(Int)
  case text(String)
  case tuple([Pickled])
  case list([Pickled])
  case dict([(Pickled, Pickled)])
  case global(String, String)
  case call(Pickled, [Pickled])
  case build(Pickled, Pickled)
  case persistent(Pickled)
  case raw([UInt8])

  var opcodes: [UInt8] {
    switch self {
    case .none: return [0x4e]
    case .bool(let value): return [value ? 0x88 : 0x89]
    case .int(let value): return [0x8a, 8] + Zip.little(UInt64(bitPattern: Int64(value)))
    case .text(let value):
      return [0x58] + Zip.little(UInt32(value.utf8.count)) + Array(value.utf8)
    case .tuple(let items): return [0x28] + items.flatMap(\.opcodes) + [0x74]
    case .list(let items): return [0x5d, 0x28] + items.flatMap(\.opcodes) + [0x65]
    case .dict(let items):
      return [0x7d, 0x28] + items.flatMap { $0.0.opcodes + $0.1.opcodes } + [0x75]
    case .global(let module, let name):
      return joined([0x63], Array(module.utf8), [0x0a], Array(name.utf8), [0x0a])
    case .call(let function, let arguments):
      return function.opcodes + Pickled.tuple(arguments).opcodes + [0x52]
    case .build(let object, let state): return object.opcodes + state.opcodes + [0x62]
    case .persistent(let identifier): return identifier.opcodes + [0x51]
    case .raw(let bytes): return bytes
    }
  }

  /// A whole pickle.
  func pickle(version: UInt8 = 2) -> [UInt8] { [0x80, version] + opcodes + [0x2e] }

  static let ordered = Pickled.call(.global("collections", "OrderedDict"), [])

  static func storage(
    _ key: String = "0", count: Int, type: String = "FloatStorage", location: String = "cpu",
    view: [Pickled] = []
  ) -> Pickled {
    .persistent(
      .tuple(
        [.text("storage"), .global("torch", type), .text(key), .text(location), .int(count)]
          + view))
  }

  static func tensor(
    _ storage: Pickled, offset: Int = 0, _ shape: [Int], _ strides: [Int]
  ) -> Pickled {
    .call(
      .global("torch._utils", "_rebuild_tensor_v2"),
      [
        storage, .int(offset), .tuple(shape.map { .int($0) }), .tuple(strides.map { .int($0) }),
        .bool(false), ordered,
      ])
  }

  /// {"w": four floats}
  static func state(_ items: [(String, Pickled)] = []) -> Pickled {
    let first = ("w", tensor(storage(count: 4), [2, 2], [2, 1]))
    return .dict((items.isEmpty ? [first] : items).map { (.text($0.0), $0.1) })
  }
}

/// A valid or invalid zip archive.
struct Zip {
  struct Entry {
    var name: String
    var data: [UInt8]
    var deflates = false
    /// Deliberately wrong header fields.
    var localName: String?
    var crc: UInt32?
    var method: UInt16?
    var flags: UInt16 = 0
    var claimedCount: UInt32?
    var offset: UInt32?
    var disk: UInt16 = 0
    var extra: [UInt8] = []

    init(_ name: String, _ data: [UInt8], _ change: (inout Entry) -> Void = { _ in }) {
      self.name = name
      self.data = data
      change(&self)
    }
  }

  var entries: [Entry]
  var prefix: [UInt8] = []
  var comment: [UInt8] = []
  var gap: [UInt8] = []
  var suffix: [UInt8] = []
  var countOfEntries: UInt16?
  var directoryOffset: UInt32?
  var directorySize: UInt32?
  var disk: UInt16 = 0
  /// Sizes, offset and end in their 64-bit forms.
  var is64 = false
  var locatorOffset: UInt64?

  init(_ entries: [Entry], _ change: (inout Zip) -> Void = { _ in }) {
    self.entries = entries
    change(&self)
  }

  static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  static func crc(_ data: [UInt8]) -> UInt32 {
    data.isEmpty ? 0 : UInt32(truncatingIfNeeded: crc32_z(0, data, data.count))
  }

  static func deflate(_ data: [UInt8]) -> [UInt8] {
    var count = compressBound(UInt(data.count))
    var output = [UInt8](repeating: 0, count: Int(count))
    #expect(compress2(&output, &count, data, UInt(data.count), 9) == Z_OK)
    // zlib's own header and checksum are not part of the stream.
    return Array(output[2..<Int(count) - 4])
  }

  var bytes: [UInt8] {
    var (output, directory) = (prefix, [UInt8]())
    for (index, entry) in entries.enumerated() {
      let start = output.count
      let stored = entry.deflates ? Self.deflate(entry.data) : entry.data
      let crc = entry.crc ?? Self.crc(entry.data)
      let method = entry.method ?? (entry.deflates ? 8 : 0)
      let count = entry.claimedCount ?? UInt32(entry.data.count)
      let wide: [UInt8] =
        is64
        ? joined(
          Self.little(UInt16(1)), Self.little(UInt16(24)), Self.little(UInt64(count)),
          Self.little(UInt64(stored.count)), Self.little(UInt64(start))) : []
      let common = joined(
        Self.little(UInt16(20)), Self.little(entry.flags), Self.little(method), [0, 0, 0, 0],
        Self.little(crc), Self.little(is64 ? UInt32.max : UInt32(stored.count)),
        Self.little(is64 ? UInt32.max : count))
      let localName = Array((entry.localName ?? entry.name).utf8)
      let localWide = is64 ? Array(wide[..<20]).replacing(2, with: [16, 0]) : []
      output += joined([0x50, 0x4b, 3, 4], common, Self.little(UInt16(localName.count)))
      output += Self.little(UInt16(entry.extra.count + localWide.count)) + localName
      output += entry.extra + localWide + stored
      if index == 0 { output += gap }
      let name = Array(entry.name.utf8)
      directory += joined([0x50, 0x4b, 1, 2, 20, 0], common, Self.little(UInt16(name.count)))
      directory += joined(Self.little(UInt16(wide.count)), [0, 0], Self.little(entry.disk))
      directory += [0, 0, 0, 0, 0, 0]
      directory += Self.little(is64 ? UInt32.max : entry.offset ?? UInt32(start)) + name + wide
    }
    let start = output.count
    output += directory
    let count = countOfEntries ?? UInt16(entries.count)
    if is64 {
      let record = output.count
      output +=
        [0x50, 0x4b, 6, 6] + Self.little(UInt64(44)) + [45, 0, 45, 0]
        + [UInt8](
          repeating: 0, count: 8)
      output += Self.little(UInt64(count)) + Self.little(UInt64(count))
      output += Self.little(UInt64(directory.count)) + Self.little(UInt64(start))
      output += [0x50, 0x4b, 6, 7, 0, 0, 0, 0]
      output += Self.little(locatorOffset ?? UInt64(record)) + [1, 0, 0, 0]
    }
    output += [0x50, 0x4b, 5, 6] + Self.little(disk) + [0, 0]
    output += Self.little(is64 ? UInt16.max : count) + Self.little(is64 ? UInt16.max : count)
    output += Self.little(is64 ? UInt32.max : directorySize ?? UInt32(directory.count))
    output += Self.little(is64 ? UInt32.max : directoryOffset ?? UInt32(start))
    return output + Self.little(UInt16(comment.count)) + comment + suffix
  }
}

extension Array where Element == UInt8 {
  func replacing(_ start: Int, with bytes: [UInt8]) -> [UInt8] {
    var copy = self
    copy.replaceSubrange(start..<start + bytes.count, with: bytes)
    return copy
  }
}

/// Composes PyTorch checkpoints and reads them.
struct TorchComposer {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// 1, 2, 3, 4
  static let floats: [UInt8] = [1, 2, 3, 4].flatMap { (value: Float) in
    Zip.little(value.bitPattern)
  }

  /// The entries of a valid archive around a pickle.
  static func entries(
    _ pickle: [UInt8] = Pickled.state().pickle(), storage: [UInt8] = floats, root: String = "a"
  ) -> [Zip.Entry] {
    [
      Zip.Entry("\(root)/data.pkl", pickle), Zip.Entry("\(root)/data/0", storage),
      Zip.Entry("\(root)/version", Array("3\n".utf8)),
    ]
  }

  static func zip(_ state: Pickled, storage: [UInt8] = floats) -> [UInt8] {
    Zip(entries(state.pickle(), storage: storage)).bytes
  }

  static let magic: [UInt8] = [
    0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
  ]
  static let system = Pickled.dict([(.text("little_endian"), .bool(true))])

  static func legacy(
    magic: [UInt8] = magic, version: Pickled = .int(1001), system: Pickled = system,
    _ state: Pickled = legacyState, keys: Pickled = .list([.text("0")]), count: Int = 4,
    storage: [UInt8] = floats
  ) -> [UInt8] {
    joined(
      magic, version.pickle(), system.pickle(), state.pickle(), keys.pickle(),
      Zip.little(Int64(count)), storage)
  }

  static let legacyState = Pickled.state([
    ("w", .tensor(.storage(count: 4, view: [.none]), [2, 2], [2, 1]))
  ])

  func read(_ bytes: [UInt8], _ options: PyTorchFile.Options = .init()) throws -> TensorCatalog {
    try Checkpoint.readFile(path: folder.write("case.pt", bytes), options: options)
  }

  /// The error message; nil if the file is read.
  func refusal(
    _ bytes: [UInt8], _ options: PyTorchFile.Options = .init(state: .everything)
  ) throws -> String? {
    let path = try folder.write("case.pt", bytes)
    do throws(CheckpointError) {
      _ = try Checkpoint.readFile(path: path, options: options)
      return nil
    } catch {
      #expect(error.exitStatus == .badData)
      #expect(error.description.hasPrefix(path + ": "))
      #expect(!error.description.contains { $0.isNewline })
      return String(error.description.dropFirst(path.count + 2))
    }
  }

  /// Checks that the file is refused with a message that contains each of `words`.
  func expectRefusal(
    _ bytes: [UInt8], _ words: String..., location: SourceLocation = #_sourceLocation
  ) throws {
    let text = try refusal(bytes)
    guard let text else {
      Issue.record("the file was read", sourceLocation: location)
      return
    }
    for word in words {
      #expect(text.contains(word), "\(text)", sourceLocation: location)
    }
  }
}

/// The parts one after another. Long sums of arrays are beyond the type checker of Swift 6.0.
func joined(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }
