import VLMFoundation
import VLMTensor

/// Reads and validates the entries of a tensor index sequentially.
struct IndexReader {
  private var reader: ByteReader
  private let path: String
  private let version: Int
  private var index = -1

  /// Creates a reader at the first entry. The caller keeps `bytes` alive.
  ///
  /// - Precondition: `bytes` contain the index's header.
  init(_ bytes: UnsafeRawBufferPointer, version: Int, path: String) {
    self.version = version
    reader = ByteReader(bytes.slice(Format.indexHeaderSize..<bytes.count))
    self.path = path
  }

  /// Offset of the next byte from the start of the index.
  var offset: Int { Format.indexHeaderSize + reader.offset }

  /// The next entry.
  ///
  /// - Parameter previous: the name of the previous entry.
  mutating func next(after previous: String?) throws(ContainerError) -> TensorIndex.Entry {
    index += 1
    let nameSize: UInt16 = try read("name length")
    let scheme: UInt8 = try read("scheme")
    let layout: UInt8 = try read("layout")
    let order: UInt8 = try read("axis order")
    let role: UInt8 = try read("role")
    let rank: UInt8 = try read("rank")
    let reserved: UInt8 = try read("reserved")
    let offset: UInt64 = try read("offset")
    let byteCount: UInt64 = try read("byte count")
    let hash: UInt64 = try read("hash")

    let place = ContainerError.Place.indexEntry(index)
    guard (1...Format.maximumNameSize).contains(Int(nameSize)) else {
      throw fail(
        place, .r36, "name length", "\(nameSize)", "1 to \(Format.maximumNameSize)")
    }
    guard rank <= Format.maximumRank else {
      throw fail(place, .r41, "rank", "\(rank)", "at most \(Format.maximumRank)")
    }
    var extents: [UInt64] = []
    for _ in 0..<rank { extents.append(try read("extent")) }
    let name = try readName(count: Int(nameSize), reserved: reserved)

    let tensor = ContainerError.Place.tensor(name)
    if let previous, !TensorIndex.ascends(previous, name) {
      throw fail(tensor, .r38, "name", "'\(name)'", "a name after '\(previous)'")
    }
    let format = try self.format(scheme: scheme, layout: layout, order: order, of: tensor)
    guard let role = TensorRole(storedCode: role), Format.version(of: role) <= version else {
      let known = TensorRole.stored.filter { Format.version(of: $0) <= version }
      throw fail(tensor, .r40, "role", "\(role)", "0 to \(known.count - 1)")
    }
    var shape: [Int] = []
    for extent in extents {
      guard extent > 0, let extent = Int(exactly: extent) else {
        throw fail(tensor, .r42, "extent", "\(extent)", "1 to 2^63 - 1")
      }
      shape.append(extent)
    }
    guard let expected = format.byteCount(shape: shape) else {
      throw ContainerError(
        path: path, place: tensor,
        problem: .broken(
          .r44,
          "shape \(shape) cannot be stored as \(format.scheme.name), layout \(layout), "
            + "axis order \(order)"))
    }
    guard byteCount == UInt64(expected) else {
      throw fail(
        tensor, .r45, "byte count", "\(byteCount)",
        "\(expected) for shape \(shape) as \(format.scheme.name)")
    }
    guard let start = Int(exactly: offset) else {
      throw fail(tensor, .r46, "offset", "\(offset)", "less than 2^63")
    }
    return TensorIndex.Entry(
      name: name, format: format, role: role, shape: shape, offset: start, byteCount: expected,
      hash: hash)
  }

  private mutating func readName(
    count: Int, reserved: UInt8
  ) throws(ContainerError) -> String {
    let place = ContainerError.Place.indexEntry(index)
    let bytes = try readBytes("name", count: count)
    let padding = try readBytes("padding", count: (8 - offset % 8) % 8)
    guard reserved == 0, padding.allSatisfy({ $0 == 0 }) else {
      throw ContainerError(
        path: path, place: place, problem: .broken(.r43, "reserved bytes are not zero"))
    }
    guard let name = String(validating: bytes, as: UTF8.self) else {
      throw ContainerError(
        path: path, place: place, problem: .broken(.r37, "the name is not UTF-8"))
    }
    if let problem = TensorIndex.problem(name: name) {
      throw ContainerError(path: path, place: place, problem: problem)
    }
    return name
  }

  private func format(
    scheme: UInt8, layout: UInt8, order: UInt8, of place: ContainerError.Place
  ) throws(ContainerError) -> TensorFormat {
    guard let known = Scheme(code: scheme), known.readVersion <= version else {
      let known = Scheme.allCases.filter { $0.readVersion <= version }
      throw fail(place, .r40, "scheme", "\(scheme)", "1 to \(known.count)")
    }
    guard let knownLayout = TensorLayout(rawValue: layout) else {
      throw fail(place, .r40, "layout", "\(layout)", "0 to \(TensorLayout.allCases.count - 1)")
    }
    guard let knownOrder = AxisOrder(rawValue: order) else {
      throw fail(place, .r40, "axis order", "\(order)", "0 to \(AxisOrder.allCases.count - 1)")
    }
    return TensorFormat(scheme: known, layout: knownLayout, order: knownOrder)
  }

  private func fail(
    _ place: ContainerError.Place, _ rule: Rule, _ field: String, _ found: String,
    _ expected: String
  ) -> ContainerError {
    ContainerError(
      path: path, place: place,
      problem: .value(rule, field: field, found: found, expected: expected))
  }

  private mutating func read<T: FixedWidthInteger>(
    _ field: StaticString, as: T.Type = T.self
  ) throws(ContainerError) -> T {
    do { return try reader.read(field, as: T.self) } catch { throw truncated(error) }
  }

  private mutating func readBytes(
    _ field: StaticString, count: Int
  ) throws(ContainerError) -> [UInt8] {
    do { return try reader.readBytes(field, count: count) } catch { throw truncated(error) }
  }

  private func truncated(_ error: ByteReader.Truncated) -> ContainerError {
    let text =
      "\(error.field) needs \(error.needed) bytes, the index has \(error.available) left"
    return ContainerError(path: path, place: .indexEntry(index), problem: .broken(.r34, text))
  }
}
